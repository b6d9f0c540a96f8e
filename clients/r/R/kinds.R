# A function for each kind of analysis, named as R's own functions where there is one.

#' Models
#'
#' Formulas are R's, with the meaning that the dictionary fixes (`docs/formulas.md` of the program):
#' `strata(centre)`, `I()`, `ns()`, `rcs()`, `relevel()` and so on. Terms have R's names.
#'
#' @inheritParams fed_analysis
#' @param ties How events at the same time are treated. As in `survival::coxph()` it is `"efron"`;
#'   `"breslow"` costs less and is what other ways into the program use unless told otherwise.
#' @param family A family as in [stats::glm()], or its name, also `"negative_binomial"`. R's default is
#'   gaussian, this one's `"binomial"`.
#' @return An analysis, of class `konsil_analysis`.
#' @examples
#' \dontrun{
#' cox <- fed_coxph(Surv(months, died) ~ age + sex + strata(centre), study)
#' logistic <- fed_glm(died ~ age + sex, study)
#' counts <- fed_glm(visits ~ age, study, family = poisson)
#' }
#' @name fed_models
NULL

#' @rdname fed_models
#' @export
fed_coxph <- function(formula, study, ties = c("efron", "breslow"), ..., id = NULL) {
  fed_analysis("cox", formula, study, ties = match.arg(ties), ..., id = id)
}

#' @rdname fed_models
#' @export
fed_glm <- function(formula, study, family = "binomial", ..., id = NULL) {
  words <- family_words(family, list(...)$link)
  options <- list(...)
  options$link <- words$link
  do.call(fed_analysis, c(list("glm", formula, study, family = words$family), options, list(id = id)))
}

# R's families by the program's names. A link is said where it is not the one that the family usually has.
family_words <- function(family, link) {
  if (is.function(family)) family <- family()
  if (identical(family, "Gamma")) family <- stats::Gamma()
  if (is.character(family) && length(family) == 1) return(list(family = family, link = link))
  if (!inherits(family, "family")) {
    konsil_stop("K0220", "`family` is a family as in glm(), or its name, not an object of class ", class(family)[1])
  }
  usual <- c(binomial = "logit", quasibinomial = "logit", poisson = "log", quasipoisson = "log", gaussian = "identity")
  if (is.null(link) && !identical(unname(usual[family$family]), family$link)) link <- family$link
  list(family = tolower(family$family), link = link)
}

#' @rdname fed_models
#' @export
fed_lm <- function(formula, study, ..., id = NULL) fed_analysis("lm", formula, study, ..., id = id)

#' @rdname fed_models
#' @export
fed_firth <- function(formula, study, ..., id = NULL) fed_analysis("firth", formula, study, ..., id = id)

#' @rdname fed_models
#' @export
fed_ordinal <- function(formula, study, ..., id = NULL) fed_analysis("ordinal", formula, study, ..., id = id)

#' @rdname fed_models
#' @export
fed_multinom <- function(formula, study, ..., id = NULL) fed_analysis("multinom", formula, study, ..., id = id)

#' @rdname fed_models
#' @export
fed_gee <- function(formula, study, ..., id = NULL) fed_analysis("gee", formula, study, ..., id = id)

#' @rdname fed_models
#' @export
fed_mixed <- function(formula, study, ..., id = NULL) fed_analysis("mixed", formula, study, ..., id = id)

#' @rdname fed_models
#' @export
fed_anova <- function(formula, study, ..., id = NULL) fed_analysis("anova", formula, study, ..., id = id)

#' @rdname fed_models
#' @export
fed_elastic_net <- function(formula, study, ..., id = NULL) fed_analysis("elastic_net", formula, study, ..., id = id)

#' @rdname fed_models
#' @export
fed_meta <- function(formula, study, ..., id = NULL) fed_analysis("meta", formula, study, ..., id = id)

#' @rdname fed_models
#' @export
fed_impute <- function(formula, study, ..., id = NULL) fed_analysis("impute", formula, study, ..., id = id)

#' @rdname fed_models
#' @export
fed_survreg <- function(formula, study, ..., id = NULL) fed_analysis("survreg", formula, study, ..., id = id)

#' Survival curves
#'
#' `fed_km()` gives Kaplan-Meier curves. The result is a data frame with the columns of
#' `survminer::surv_summary()`, so that `survminer::ggsurvplot_df(res$km)` draws it. Points of a curve with
#' too few events or patients are not released. Neither are numbers of censored patients: the
#' column `n.censor` has 0 for the sake of survminer, and `as.data.frame()` has `NA`.
#' `fed_cuminc()` gives the cumulative incidence of competing causes.
#'
#' @inheritParams fed_analysis
#' @return An analysis, of class `konsil_analysis`.
#' @examples
#' \dontrun{
#' km <- fed_km(Surv(months, died) ~ sex, study, conf.type = "log-log")
#' res <- konsil_run(km)
#' survminer::ggsurvplot_df(res$km, conf.int = TRUE)
#' }
#' @name fed_curves
NULL

#' @rdname fed_curves
#' @export
fed_km <- function(formula, study, ..., id = NULL) fed_analysis("km", formula, study, ..., id = id)

#' @rdname fed_curves
#' @export
fed_cuminc <- function(formula, study, ..., id = NULL) fed_analysis("cuminc", formula, study, ..., id = id)

#' Descriptions
#'
#' `fed_table1()` describes a cohort, by groups that stand before `~`; `smd = TRUE` and `tests = TRUE`
#' compare them. Descriptions may have noise: `konsil_run(.., epsilon = 0.4)`.
#'
#' @inheritParams fed_analysis
#' @return An analysis, of class `konsil_analysis`.
#' @examples
#' \dontrun{
#' t1 <- fed_table1(apoe4 ~ age + sex + hba1c, study, smd = TRUE)
#' quartiles <- fed_summary(~ age + hba1c, study)
#' }
#' @name fed_descriptions
NULL

#' @rdname fed_descriptions
#' @export
fed_table1 <- function(formula, study, ..., id = NULL) fed_analysis("table1", formula, study, ..., id = id)

#' @rdname fed_descriptions
#' @export
fed_summary <- function(formula, study, ..., id = NULL) fed_analysis("summary", formula, study, ..., id = id)

#' @rdname fed_descriptions
#' @export
fed_histogram <- function(formula, study, ..., id = NULL) fed_analysis("histogram", formula, study, ..., id = id)

#' Tests, correlations, groups that are found
#'
#' Named as the program's kinds; `konsil_analyses()` has their options and an example of each.
#'
#' @inheritParams fed_analysis
#' @return An analysis, of class `konsil_analysis`.
#' @examples
#' \dontrun{
#' welch <- fed_t_test(hba1c ~ sex, study)
#' pairs <- fed_t_test(c("sbp", "sbp_later"), study, paired = TRUE)
#' cor <- fed_cor(~ age + hba1c, study)
#' }
#' @name fed_tests
NULL

#' @rdname fed_tests
#' @export
fed_t_test <- function(formula, study, ..., id = NULL) fed_analysis("t_test", formula, study, ..., id = id)

#' @rdname fed_tests
#' @export
fed_oneway <- function(formula, study, ..., id = NULL) fed_analysis("oneway", formula, study, ..., id = id)

#' @rdname fed_tests
#' @export
fed_levene <- function(formula, study, ..., id = NULL) fed_analysis("levene", formula, study, ..., id = id)

#' @rdname fed_tests
#' @export
fed_wilcox <- function(formula, study, ..., id = NULL) fed_analysis("wilcox", formula, study, ..., id = id)

#' @rdname fed_tests
#' @export
fed_kruskal <- function(formula, study, ..., id = NULL) fed_analysis("kruskal", formula, study, ..., id = id)

#' @rdname fed_tests
#' @export
fed_signed_rank <- function(formula, study, ..., id = NULL) fed_analysis("signed_rank", formula, study, ..., id = id)

#' @rdname fed_tests
#' @export
fed_ks <- function(formula, study, ..., id = NULL) fed_analysis("ks", formula, study, ..., id = id)

#' @rdname fed_tests
#' @export
fed_chisq <- function(formula, study, ..., id = NULL) fed_analysis("chisq", formula, study, ..., id = id)

#' @rdname fed_tests
#' @export
fed_fisher <- function(formula, study, ..., id = NULL) fed_analysis("fisher", formula, study, ..., id = id)

#' @rdname fed_tests
#' @export
fed_mcnemar <- function(formula, study, ..., id = NULL) fed_analysis("mcnemar", formula, study, ..., id = id)

#' @rdname fed_tests
#' @export
fed_cmh <- function(formula, study, ..., id = NULL) fed_analysis("cmh", formula, study, ..., id = id)

#' @rdname fed_tests
#' @export
fed_cor <- function(formula, study, ..., id = NULL) fed_analysis("cor", formula, study, ..., id = id)

#' @rdname fed_tests
#' @export
fed_spearman <- function(formula, study, ..., id = NULL) fed_analysis("spearman", formula, study, ..., id = id)

#' @rdname fed_tests
#' @export
fed_pca <- function(formula, study, ..., id = NULL) fed_analysis("pca", formula, study, ..., id = id)

#' @rdname fed_tests
#' @export
fed_kmeans <- function(formula, study, ..., id = NULL) fed_analysis("kmeans", formula, study, ..., id = id)

#' @rdname fed_tests
#' @export
fed_roc <- function(formula, study, ..., id = NULL) fed_analysis("roc", formula, study, ..., id = id)

#' @rdname fed_tests
#' @export
fed_ttest <- fed_t_test
