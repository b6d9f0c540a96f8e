# Conditions: every error of the package is a `konsil_error` with the code that `konsil explain` knows.

#' Errors
#'
#' Every error has the class `konsil_error`, a `code` such as `"K0203"` and a `text` that says what
#' happened, where, and what to do. `konsil explain K0203` in a terminal says more of a code;
#' `konsil_explain()` does the same from R.
#'
#' @param code A code, or a caught `konsil_error`.
#' @return The program's explanation, which is printed, invisibly.
#' @examples
#' \dontrun{
#' failure <- tryCatch(konsil_run(cox), konsil_error = identity)
#' failure$code
#' konsil_explain(failure)
#' }
#' @export
konsil_explain <- function(code) {
  if (inherits(code, "konsil_error")) code <- code$code
  lines <- suppressWarnings(system2(program(), c("explain", shQuote(code)), stdout = TRUE, stderr = TRUE))
  cat(lines, sep = "\n")
  invisible(lines)
}

konsil_stop <- function(code, ...) {
  text <- trimws(paste0(..., collapse = ""), "right")
  # the program's own messages about formulas and conditions bring the code already
  head <- if (grepl(code, text, fixed = TRUE)) text else paste0(code, "  ", text)
  message <- paste0(head, "\n  konsil explain ", code)
  condition <- list(message = message, call = NULL, code = code, text = text)
  stop(structure(condition, class = c("konsil_error", "error", "condition")))
}

konsil_warn <- function(...) {
  condition <- list(message = paste0(..., collapse = ""), call = NULL)
  warning(structure(condition, class = c("konsil_warning", "warning", "condition")))
}

# "; did you mean `age`?", or nothing
near <- function(name, names) {
  if (length(names) == 0) return("")
  distance <- utils::adist(name, names, ignore.case = TRUE)[1, ]
  if (min(distance) > ceiling(nchar(name) / 3)) return("")
  paste0("; did you mean `", names[which.min(distance)], "`?")
}
