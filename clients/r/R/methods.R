# What R asks of a model: broom's tables, coefficients, limits, likelihood.

#' @importFrom generics tidy
#' @export
generics::tidy

#' @importFrom generics glance
#' @export
generics::glance

#' Results as R's models
#'
#' [generics::tidy()] and [generics::glance()] give broom's columns with the numbers of the result's CSV
#' files; `coef()`, `confint()`, `nobs()`, `logLik()`, and by it `AIC()`, are what the tables have.
#' `vcov()` is an error: a model releases the variances of its coefficients, not what goes along with
#' what.
#'
#' @param x,object A result, such as `res$cox`.
#' @param conf.int Whether limits are columns.
#' @param conf.level Their level. As in the files they are Wald's, of the normal or the t distribution.
#' @param exponentiate Whether estimates and limits are odds or hazard ratios.
#' @param parm,level Names or numbers of coefficients; level of the limits.
#' @param table,row.names,optional For `as.data.frame()`: the table that is wanted; without it the main
#'   one. The others are not used.
#' @param ... Not used.
#' @return As the generic functions.
#' @examples
#' \dontrun{
#' broom::tidy(res$cox, exponentiate = TRUE, conf.int = TRUE)
#' AIC(res$cox)
#' }
#' @name konsil_methods
NULL

#' @rdname konsil_methods
#' @method tidy konsil_result
#' @export
tidy.konsil_result <- function(x, ...) main_table(x)

#' @rdname konsil_methods
#' @method tidy konsil_model
#' @export
tidy.konsil_model <- function(x, conf.int = FALSE, conf.level = 0.95, exponentiate = FALSE, ...) {
  table <- table_named(x, "tidy")
  limits <- c("conf.low", "conf.high")
  table <- table[!startsWith(names(table), "exp.")]
  if (conf.int && all(limits %in% names(table))) {
    table[limits] <- limits_of(x, table, conf.level)
  } else {
    table <- table[setdiff(names(table), limits)]
  }
  if (exponentiate) {
    for (name in intersect(c("estimate", limits), names(table))) table[[name]] <- exp(table[[name]])
  }
  table
}

# Limits of another level than the released 95 %, of the distribution that these were of.
limits_of <- function(x, table, level) {
  released <- table[c("conf.low", "conf.high")]
  if (!is.numeric(level) || length(level) != 1 || is.na(level) || level <= 0 || level >= 1) {
    konsil_stop("K0220", "a level of limits lies between 0 and 1, such as 0.95")
  }
  if (level == 0.95) return(released)
  was <- (table$conf.high - table$estimate) / table$std.error
  freedom <- inside(x)$tables$glance$df.residual
  if (is.null(freedom) || is.na(freedom[1])) freedom <- Inf
  fits <- function(freedom) max(abs(was - stats::qt(0.975, freedom)), na.rm = TRUE) < 1e-6
  freedom <- Find(fits, c(Inf, freedom[1]))
  if (is.null(freedom)) konsil_stop("K0220", "limits of `", inside(x)$id, "` are there for 95 % only")
  width <- stats::qt(1 - (1 - level) / 2, freedom) * table$std.error
  data.frame(conf.low = table$estimate - width, conf.high = table$estimate + width)
}

#' @rdname konsil_methods
#' @method tidy konsil_km
#' @export
tidy.konsil_km <- function(x, ...) {
  curve <- table_named(x, "km")
  data.frame(
    time = curve$time, n.risk = curve$n.risk, n.event = curve$n.event, n.censor = curve$n.censor,
    estimate = curve$surv, std.error = curve$std.err, conf.high = curve$upper, conf.low = curve$lower,
    strata = curve$strata
  )
}

#' @rdname konsil_methods
#' @method glance konsil_result
#' @export
glance.konsil_result <- function(x, ...) {
  it <- released(x)
  if (!is.null(it$tables$glance)) return(it$tables$glance)
  # of a test broom gives the same line twice
  if (!is.null(it$tables$tidy) && nrow(it$tables$tidy) == 1) return(it$tables$tidy)
  table_named(x, "glance")
}

#' @rdname konsil_methods
#' @method glance konsil_km
#' @export
glance.konsil_km <- function(x, ...) {
  it <- released(x)
  test <- it$tables$glance
  one <- function(name) if (is.null(test[[name]]) || nrow(test) == 0) NA_real_ else test[[name]][1]
  data.frame(
    statistic = one("statistic.log"), df = one("df"), p.value = one("p.value.log"),
    records = sum(it$tables$tidy$records), events = sum(it$tables$tidy$events)
  )
}

main_table <- function(x) {
  it <- released(x)
  if (length(it$tables) == 0) return(table_named(x, "tidy"))
  first <- intersect(c("tidy", "ard", names(it$tables)), names(it$tables))[1]
  it$tables[[first]]
}

#' @rdname konsil_methods
#' @export
as.data.frame.konsil_result <- function(x, row.names = NULL, optional = FALSE, table = NULL, ...) {
  if (is.null(table)) main_table(x) else table_named(x, table)
}

#' @rdname konsil_methods
#' @export
as.data.frame.konsil_km <- function(x, row.names = NULL, optional = FALSE, table = "km", ...) table_named(x, table)

#' @rdname konsil_methods
#' @export
coef.konsil_result <- function(object, ...) {
  table <- model_table(object)
  stats::setNames(table$estimate, table$term)
}

model_table <- function(object) {
  it <- released(object)
  if (inherits(object, "konsil_model")) return(it$tables$tidy)
  konsil_stop("K0220", "`", it$id, "` (", it$kind, ") is no model with coefficients")
}

#' @rdname konsil_methods
#' @export
vcov.konsil_result <- function(object, ...) {
  it <- released(object)
  konsil_stop(
    "K0220", "the covariance matrix of `", it$id, "` was not released, only the standard errors of its coefficients: ",
    "tidy(x)$std.error"
  )
}

#' @rdname konsil_methods
#' @export
confint.konsil_result <- function(object, parm, level = 0.95, ...) {
  table <- model_table(object)
  limits <- as.matrix(limits_of(object, table, level))
  sides <- c((1 - level) / 2, 1 - (1 - level) / 2)
  dimnames(limits) <- list(table$term, paste(format(100 * sides, trim = TRUE, digits = 3), "%"))
  if (missing(parm)) limits else limits[parm, , drop = FALSE]
}

# A number of the table `glance`, under one of several names.
glance_number <- function(object, names, what) {
  it <- released(object)
  found <- intersect(names, names(it$tables$glance))
  value <- if (length(found) > 0) it$tables$glance[[found[1]]][1]
  if (is.numeric(value) && !is.na(value)) return(value)
  konsil_stop("K0906", what, " of `", it$id, "` (", it$kind, ") was not released")
}

#' @rdname konsil_methods
#' @export
nobs.konsil_result <- function(object, ...) glance_number(object, c("nobs", "n"), "the number of patients")

#' @rdname konsil_methods
#' @export
nobs.konsil_km <- function(object, ...) sum(released(object)$tables$tidy$records)

#' @rdname konsil_methods
#' @export
logLik.konsil_result <- function(object, ...) {
  value <- glance_number(object, "logLik", "the likelihood")
  # the parameters that the released AIC counts, as the variance of a linear model
  parameters <- (glance_number(object, "AIC", "the AIC") + 2 * value) / 2
  structure(value, df = round(parameters, 6), nobs = nobs(object), class = "logLik")
}

#' @export
print.konsil_results <- function(x, ...) {
  cat("Results of", length(x), if (length(x) == 1) "analysis\n" else "analyses\n")
  for (name in names(x)) cat(sprintf("  $%s  %s\n", format(name, width = max(nchar(names(x)))), one_line(x[[name]])))
  invisible(x)
}

one_line <- function(x) {
  it <- inside(x)
  if (!is.null(it$withheld)) return(paste("no result:", reason(it)))
  noise <- if (is.null(it$origin$noise)) "exact" else "with noise"
  paste0(it$kind, ", ", noise, "; tables ", paste(names(it$tables), collapse = ", "))
}

heading <- function(x) {
  it <- inside(x)
  cat("Konsil ", it$kind, " `", it$id, "` of study ", it$origin$study, " (job ", it$origin$job, ")\n", sep = "")
}

#' @export
print.konsil_withheld <- function(x, ...) {
  heading(x)
  it <- inside(x)
  cat("  no result: ", it$withheld$code, " ", it$withheld$text, "\n", sep = "")
  invisible(x)
}

#' @export
print.konsil_result <- function(x, digits = max(3L, getOption("digits") - 3L), n = 20L, ...) {
  heading(x)
  it <- inside(x)
  table <- if (length(it$tables) > 0) main_table(x)
  if (!is.null(table)) print_table(table, digits, n)
  foot(it)
  invisible(x)
}

#' @export
print.konsil_km <- function(x, digits = max(3L, getOption("digits") - 3L), n = 20L, ...) {
  heading(x)
  it <- inside(x)
  print_table(it$tables$tidy, digits, n)
  test <- glance(x)
  if (!is.na(test$statistic)) {
    cat(
      "Log-rank: chi-squared ", format(test$statistic, digits = digits), " on ", test$df, " df, p = ",
      format.pval(test$p.value, digits), "\n", sep = ""
    )
  }
  cat("A data frame with", nrow(x), "points of the curves.\n")
  foot(it)
  invisible(x)
}

#' @export
print.konsil_table1 <- function(x, ...) {
  heading(x)
  it <- inside(x)
  print(wide_table(it$tables$ard), row.names = FALSE, right = FALSE)
  foot(it)
  invisible(x)
}

# A description with a column for each group, as it stands in papers; the long form is tidy(x).
wide_table <- function(ard) {
  # a total has neither a variable's name nor a level
  ard$variable[ard$variable == "..ard_total_n.."] <- "patients"
  ard[is.na(ard)] <- ""
  group <- if (is.null(ard$group1_level) || !any(nzchar(ard$group1))) {
    rep("all", nrow(ard))
  } else {
    ifelse(nzchar(ard$group1_level), paste0(ard$group1, "=", ard$group1_level), "all")
  }
  row <- paste(ard$variable, ard$variable_level, ard$stat_label, sep = "\r")
  first <- !duplicated(row)
  wide <- ard[first, c("variable", "variable_level", "stat_label")]
  names(wide) <- c("variable", "level", "number")
  for (name in unique(group)) {
    mine <- group == name
    wide[[name]] <- ard$stat_fmt[mine][match(row[first], row[mine])]
    wide[[name]][is.na(wide[[name]])] <- ""
  }
  wide$variable[duplicated(wide$variable)] <- ""
  wide
}

print_table <- function(table, digits, n) {
  table <- table[!startsWith(names(table), "exp.")]
  print(utils::head(table, n), digits = digits, row.names = FALSE)
  if (nrow(table) > n) cat("and", nrow(table) - n, "more rows: as.data.frame(x)\n")
}

foot <- function(it) {
  for (note in it$notes) wrapped(paste("note:", note), "", "  ")
  if (!is.null(it$origin$noise)) wrapped(paste("noise:", it$origin$noise), "", "  ")
}

#' @export
summary.konsil_result <- function(object, ...) {
  structure(list(result = object, tables = released(object)$tables), class = "summary.konsil_result")
}

#' @export
print.summary.konsil_result <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  heading(x$result)
  for (name in names(x$tables)) {
    cat("\n", name, "\n", sep = "")
    print(x$tables[[name]], digits = digits, row.names = FALSE)
  }
  foot(inside(x$result))
  invisible(x)
}
