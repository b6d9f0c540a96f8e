#' konsil: federated secure analyses over several medical centres
#'
#' Begin with [konsil_connect()], [konsil_study()], [fed_coxph()] and other models, [konsil_plan()] and
#' [konsil_run()]. `docs/r.md` of the program has a first study in eight lines.
#'
#' @keywords internal
#' @importFrom stats coef confint logLik nobs vcov
"_PACKAGE"
