# Studies and analyses: what is asked, as the lists that the interface takes.

# Kinds whose results may have noise: docs/disclosure.md, Noise.
NOISED <- c("summary", "table1")
# Options that are lists, also of one value.
LISTS <- c(
  "variables", "cutoffs", "models", "coefficients", "incomplete", "range", "condition", "condition_at", "traits",
  "chromosomes", "x", "set_list"
)

#' A study
#'
#' The question, its purpose and its cohort. Nothing is sent to a centre but a request for the
#' dictionary, if `where` is an expression.
#'
#' @param net A connection of [konsil_connect()].
#' @param id Short name: letters, digits, `-` or `_`.
#' @param where Which patients: an R expression or a text, see [konsil_where()]. All, without it.
#' @param title,purpose,ethics Title for people, code of the purpose, number of the ethics vote.
#' @param centres Names of the centres that take part; all, without it.
#' @param dictionary The dictionary's version that it is for, such as `"hmsp@4"`.
#' @param min_centres Fewest centres that must contribute patients.
#' @param release More of the study file's `[release]`, as a list: `threshold`, `rounding`,
#'   `zero_cells`.
#' @return A study, of class `konsil_study`.
#' @examples
#' \dontrun{
#' study <- konsil_study(net, "ad-survival", purpose = "dementia-research", where = dx_ad & age >= 50)
#' }
#' @export
konsil_study <- function(net, id, where = NULL, title = NULL, purpose = NULL, ethics = NULL,
                         centres = NULL, dictionary = NULL, min_centres = NULL, release = list()) {
  alive(net)
  if (!is.character(id) || length(id) != 1 || !grepl("^[A-Za-z0-9_-]{1,64}$", id)) {
    konsil_stop("K0704", "`id` of a study is 1 to 64 letters, digits, - or _, not `", format(id)[1], "`")
  }
  head <- list(
    id = id, title = title, purpose = purpose, ethics = ethics, dictionary = dictionary,
    centres = if (!is.null(centres)) as.list(centres), min_centres = min_centres
  )
  study <- list(
    net = net, head = Filter(Negate(is.null), head),
    where = translate(substitute(where), parent.frame(), net), release = as.list(release)
  )
  structure(study, class = "konsil_study")
}

#' @export
print.konsil_study <- function(x, ...) {
  cat("Konsil study ", x$head$id, "\n", sep = "")
  for (name in setdiff(names(x$head), "id")) {
    cat("  ", name, ": ", paste(x$head[[name]], collapse = ", "), "\n", sep = "")
  }
  cat("  cohort: ", if (nzchar(x$where)) x$where else "all patients", "\n", sep = "")
  invisible(x)
}

#' An analysis of any kind
#'
#' All other `fed_` functions are short for this one. Nothing is computed, and no centre is asked,
#' before [konsil_plan()] or [konsil_run()].
#'
#' @param kind A kind of [konsil_analyses()].
#' @param formula A formula, taken as it is written, or its text. For kinds that take variables instead,
#'   `~ age + bmi` or their names. `NULL` for kinds that take neither.
#' @param study A study of [konsil_study()].
#' @param ... Options of the kind, by the names of [konsil_analyses()]; a dot may stand for `_`.
#' @param id Name of the result; the kind, without it.
#' @return An analysis, of class `konsil_analysis`.
#' @examples
#' \dontrun{
#' roc <- fed_analysis("roc", hba1c ~ dx_ad, study, cutoffs = c(40, 48))
#' }
#' @export
fed_analysis <- function(kind, formula = NULL, study, ..., id = NULL) {
  if (missing(study)) konsil_stop("K0220", kind, " needs a study: konsil_study(net, ..) gives one")
  if (!inherits(study, "konsil_study")) {
    konsil_stop("K0220", "`study` of ", kind, " is what konsil_study() gives, not an object of class ", class(study)[1])
  }
  options <- list(...)
  names(options) <- gsub(".", "_", names(options), fixed = TRUE)
  options <- Filter(Negate(is.null), options)
  check_options(kind, options, study$net)
  options <- lapply(options, texts_of)
  # the program may run in another folder
  for (name in intersect(names(options), c("panel", "sets"))) {
    if (file.exists(options[[name]])) options[[name]] <- normalizePath(options[[name]])
  }
  for (name in intersect(names(options), LISTS)) options[[name]] <- as.list(options[[name]])
  request <- c(list(kind = kind), model_of(formula, kind), options)
  structure(list(study = study, request = request, id = id), class = "konsil_analysis")
}

# Formulas among options, as of nested models, are texts too.
texts_of <- function(value) {
  if (inherits(value, "formula")) return(written(value))
  if (is.list(value)) lapply(value, texts_of) else value
}

check_options <- function(kind, options, net) {
  known <- konsil_analyses(net)
  if (!kind %in% known$kind) konsil_stop("K0220", "there is no analysis `", kind, "`", near(kind, known$kind))
  takes <- known$options[[match(kind, known$kind)]]
  if (length(options) > 0 && (is.null(names(options)) || !all(nzchar(names(options))))) {
    konsil_stop("K0220", "options of `", kind, "` are given by their names")
  }
  for (name in setdiff(names(options), takes)) {
    konsil_stop(
      "K0220", "`", kind, "` does not take `", name, "`", near(name, takes), "; it has ",
      if (length(takes) > 0) paste(takes, collapse = ", ") else "no options"
    )
  }
}

# A formula, or variables.
model_of <- function(formula, kind) {
  if (is.null(formula)) return(list())
  if (is.character(formula)) {
    if (length(formula) == 1 && grepl("~", formula, fixed = TRUE)) return(list(formula = formula))
    return(list(variables = as.list(formula)))
  }
  if (!inherits(formula, "formula")) {
    konsil_stop(
      "K0201", "`", kind, "` needs a formula, or names of variables, not an object of class ", class(formula)[1]
    )
  }
  if (length(formula) == 3) return(list(formula = written(formula)))
  list(variables = as.list(summands(formula[[2]])))
}

# The formula on one line, however long it is.
written <- function(formula) {
  attributes(formula) <- NULL
  paste(trimws(deparse(formula, width.cutoff = 500L, control = NULL)), collapse = " ")
}

summands <- function(expression) {
  if (is.call(expression) && identical(expression[[1]], as.name("+")) && length(expression) == 3) {
    return(c(summands(expression[[2]]), summands(expression[[3]])))
  }
  if (is.name(expression)) return(as.character(expression))
  konsil_stop(
    "K0204", "`", shown(expression), "` is no variable: behind ~ stand names of variables, with + between them"
  )
}

#' @export
print.konsil_analysis <- function(x, ...) {
  request <- x$request
  model <- if (is.null(request$formula)) paste(unlist(request$variables), collapse = ", ") else request$formula
  cat("Konsil analysis ", request$kind, ": ", model, "\n", sep = "")
  options <- request[setdiff(names(request), c("kind", "formula", "variables"))]
  for (name in names(options)) cat("  ", name, " = ", paste(unlist(options[[name]]), collapse = ", "), "\n", sep = "")
  cat("  of study ", x$study$head$id, "; nothing has been computed: konsil_plan(), konsil_run()\n", sep = "")
  invisible(x)
}

# Analyses of a call, in order, with their names: a name of the call, an id, or the kind, and a number where
# it would stand twice.
named_analyses <- function(list) {
  if (length(list) == 1 && is.null(names(list)) && is_bare_list(list[[1]])) list <- list[[1]]
  if (length(list) == 0) konsil_stop("K0220", "there is nothing to run: give an analysis, such as fed_coxph(.., study)")
  wrong <- Filter(function(it) !inherits(it, "konsil_analysis"), list)
  if (length(wrong) > 0) {
    konsil_stop("K0220", "an object of class ", class(wrong[[1]])[1], " is no analysis; fed_coxph(.., study) gives one")
  }
  study <- list[[1]]$study
  other <- Filter(function(it) !identical(it$study, study), list)
  if (length(other) > 0) {
    konsil_stop(
      "K0220", "the analyses are of two studies, `", study$head$id, "` and `", other[[1]]$study$head$id,
      "`; run each study by a call of its own"
    )
  }
  given <- names(list)
  if (is.null(given)) given <- rep("", length(list))
  own <- vapply(list, function(it) if (is.null(it$id)) it$request$kind else it$id, "")
  names(list) <- numbered(ifelse(nzchar(given), given, own))
  list
}

is_bare_list <- function(value) is.list(value) && !inherits(value, "konsil_analysis")

numbered <- function(names) {
  count <- stats::ave(seq_along(names), names, FUN = seq_along)
  ifelse(count == 1, names, paste0(names, "_", count))
}

# The studies that a call means: one, or with noise for some kinds two. The engine gives noise to a whole
# study or to none of it.
parts_of <- function(analyses, noise) {
  study <- analyses[[1]]$study
  if (is.null(noise$epsilon) || identical(as.numeric(noise$epsilon), 0)) {
    return(list(exact = study_body(study, analyses, list())))
  }
  kinds <- vapply(analyses, function(it) it$request$kind, "")
  noised <- kinds %in% NOISED
  if (!any(noised)) {
    konsil_stop(
      "K0220", paste(unique(kinds), collapse = ", "), " cannot have noise, only ", paste(NOISED, collapse = " and "),
      " can; leave `epsilon` out for exact results under the centres' disclosure rules"
    )
  }
  parts <- list(noise = study_body(study, analyses[noised], noise))
  if (!all(noised)) parts$exact <- study_body(study, analyses[!noised], list())
  parts
}

study_body <- function(study, analyses, noise) {
  request <- function(name) c(list(id = name), analyses[[name]]$request)
  release <- c(study$release, Filter(Negate(is.null), noise))
  body <- list(study = study$head, cohort = list(where = study$where), analysis = lapply(names(analyses), request))
  if (length(release) > 0) body$release <- release
  list(study = body)
}
