# Conditions of a cohort: R expressions as Konsil's language, a small part of SQL.

COMPARISONS <- c("==" = "=", "!=" = "<>", "<" = "<", "<=" = "<=", ">" = ">", ">=" = ">=")
ARITHMETIC <- c("+", "-", "*", "/")
FUNCTIONS <- c(abs = "abs", pmin = "least", pmax = "greatest", coalesce = "coalesce")
ALLOWED <- paste(
  "a cohort knows & | ! == != < <= > >= %in%, is.na(), between(), + - * /, abs(), pmin(), pmax(), coalesce()"
)

#' A cohort's condition
#'
#' Translates an R expression into Konsil's language of cohorts, as [konsil_study()] does with its
#' `where`. Names are variables of the dictionary; other names are looked up where the call stands, so
#' that `age >= youngest` works. What cannot be said to the centres is an error that names it.
#'
#' As in SQL, a comparison with a missing value is neither true nor false and keeps no patient, also
#' behind `!`: write `!(x %in% "a") | is.na(x)` to keep them.
#'
#' @param where An expression, or a text in Konsil's language, which is taken as it is.
#' @param variables Names of the dictionary's variables, or a connection that has them.
#' @return A text.
#' @examples
#' konsil_where(dx_ad & age >= 50, c("dx_ad", "age"))
#' konsil_where(sex %in% c("f", "m") & !is.na(hba1c), c("sex", "hba1c"))
#' @export
konsil_where <- function(where, variables) {
  translate(substitute(where), parent.frame(), variables)
}

# `variables` may be a connection, which is asked only when there is an expression to read.
translate <- function(expression, scope, variables) {
  if (is.null(expression)) return("")
  if (is.character(expression)) return(one_text(expression))
  if (inherits(variables, "konsil_network")) variables <- konsil_dictionary(variables)$name
  words <- list(variables = variables, scope = scope)
  if (is.name(expression) && !as.character(expression) %in% variables) {
    # a name of a text in Konsil's language
    value <- get0(as.character(expression), scope)
    if (is.null(value) && exists(as.character(expression), scope)) return("")
    if (is.character(value)) return(one_text(value))
  }
  condition(expression, words)
}

one_text <- function(text) {
  if (length(text) == 1 && !is.na(text)) return(text)
  konsil_stop("K0301", "`where` is one condition, not ", length(text), " texts")
}

# A subexpression in brackets where another stands around it.
inner <- function(expression, words) {
  text <- condition(expression, words)
  if (grepl("^[A-Za-z0-9_.\"]+$|^[0-9.]+e[-+]?[0-9]+$|^'[^']*'$", text)) text else paste0("(", text, ")")
}

condition <- function(expression, words) {
  # brackets are written anew
  if (is.call(expression) && identical(expression[[1]], as.name("("))) return(condition(expression[[2]], words))
  if (!mentions(expression, words)) return(literal(constant(expression, words), expression))
  if (is.name(expression)) return(quoted(as.character(expression)))
  name <- if (is.name(expression[[1]])) as.character(expression[[1]]) else shown(expression[[1]])
  arguments <- as.list(expression)[-1]
  if (name %in% c("dplyr::between", "dplyr::coalesce")) name <- sub("dplyr::", "", name)
  if (name == "&" || name == "|") return(joined(name, arguments, words))
  if (name == "!") return(negated(arguments[[1]], words))
  if (name %in% names(COMPARISONS)) return(compared(name, arguments, words))
  if (name == "%in%") return(contained(arguments, "in", words))
  if (name == "is.na") return(missing_value(arguments, "is null", words))
  if (name == "between" && length(arguments) == 3) {
    parts <- vapply(arguments, inner, "", words)
    return(paste(parts[1], "between", parts[2], "and", parts[3]))
  }
  if (name %in% ARITHMETIC) return(reckoned(name, arguments, words))
  if (name %in% names(FUNCTIONS) && length(arguments) > 0 && is.null(names(arguments))) {
    parts <- vapply(arguments, condition, "", words)
    return(paste0(FUNCTIONS[[name]], "(", paste(parts, collapse = ", "), ")"))
  }
  instead <- switch(name, "&&" = "write &; ", "||" = "write |; ", "=" = , "<-" = "write ==; ", "")
  konsil_stop("K0305", "`", name, "` in `", shown(expression), "` is not known to a cohort: ", instead, ALLOWED)
}

joined <- function(name, arguments, words) {
  # a & b & c stays one row of conditions: their depth is limited
  part <- function(argument) {
    while (is.call(argument) && identical(argument[[1]], as.name("("))) argument <- argument[[2]]
    same <- is.call(argument) && identical(argument[[1]], as.name(name))
    if (same || is_comparison(argument)) condition(argument, words) else inner(argument, words)
  }
  parts <- vapply(arguments, part, "")
  paste(parts, collapse = if (name == "&") " and " else " or ")
}

is_comparison <- function(expression) {
  # `x is not null` and `x not in (..)` are comparisons too
  if (is.call(expression) && identical(expression[[1]], as.name("!"))) {
    return(is.call(expression[[2]]) && as.character(expression[[2]][[1]])[1] %in% c("is.na", "%in%"))
  }
  known <- c(names(COMPARISONS), "%in%", "is.na")
  is.call(expression) && is.name(expression[[1]]) && as.character(expression[[1]]) %in% known
}

negated <- function(argument, words) {
  while (is.call(argument) && identical(argument[[1]], as.name("("))) argument <- argument[[2]]
  is <- function(name) is.call(argument) && identical(argument[[1]], as.name(name))
  if (is("is.na")) return(missing_value(as.list(argument)[-1], "is not null", words))
  if (is("%in%")) return(contained(as.list(argument)[-1], "not in", words))
  paste("not", inner(argument, words))
}

compared <- function(name, arguments, words) {
  parts <- vapply(arguments, inner, "", words)
  paste(parts[1], COMPARISONS[[name]], parts[2])
}

contained <- function(arguments, word, words) {
  if (mentions(arguments[[2]], words)) {
    konsil_stop("K0305", "`", shown(arguments[[2]]), "` behind %in% must be values, not a variable of the patients")
  }
  values <- constant(arguments[[2]], words)
  if (length(values) == 0) konsil_stop("K0306", "`", shown(arguments[[2]]), "` behind %in% has no values")
  parts <- vapply(values, literal, "", arguments[[2]], USE.NAMES = FALSE)
  paste0(inner(arguments[[1]], words), " ", word, " (", paste(parts, collapse = ", "), ")")
}

missing_value <- function(arguments, word, words) {
  if (length(arguments) == 1 && is.name(arguments[[1]])) return(paste(condition(arguments[[1]], words), word))
  konsil_stop("K0306", "is.na() takes one variable, not `", paste(vapply(arguments, shown, ""), collapse = ", "), "`")
}

reckoned <- function(name, arguments, words) {
  parts <- vapply(arguments, inner, "", words)
  if (length(parts) == 1) paste0(name, parts) else paste(parts[1], name, parts[2])
}

mentions <- function(expression, words) any(all.vars(expression) %in% words$variables)

# What stands for itself: numbers, texts, and objects of the caller.
constant <- function(expression, words) {
  for (name in all.vars(expression)) {
    value <- get0(name, words$scope)
    if (is.null(value) || !is.atomic(value)) {
      konsil_stop(
        "K0303", "`", name, "` in the cohort's condition is neither a variable of the dictionary nor a value here",
        near(name, words$variables)
      )
    }
  }
  value <- tryCatch(eval(expression, words$scope), error = function(error) {
    why <- conditionMessage(error)
    konsil_stop("K0305", "`", shown(expression), "` in the cohort's condition: ", why, "; ", ALLOWED)
  })
  if (is.factor(value)) as.character(value) else value
}

literal <- function(value, expression) {
  if (length(value) != 1 || !is.atomic(value)) {
    konsil_stop("K0306", "`", shown(expression), "` is not one value; several stand behind %in%")
  }
  if (is.na(value)) {
    konsil_stop("K0305", "`", shown(expression), "` is missing: ask for missing values by is.na()")
  }
  if (is.logical(value)) return(if (value) "true" else "false")
  if (is.character(value)) return(paste0("'", gsub("'", "''", value, fixed = TRUE), "'"))
  if (is.numeric(value) && is.finite(value) && is.null(attributes(value))) return(number(value))
  konsil_stop("K0306", "`", shown(expression), "` is neither a number, a text, nor TRUE or FALSE")
}

# The shortest decimal that is read back as the same number.
number <- function(value) {
  for (digits in c(7, 15, 17)) {
    text <- format(value, digits = digits, scientific = abs(value) >= 1e15 || (value != 0 && abs(value) < 1e-5))
    if (as.numeric(text) == value) break
  }
  trimws(text)
}

# Names with dots and of other letters stand in quotes.
quoted <- function(name) {
  words <- c(
    "and", "or", "not", "in", "between", "is", "null", "true", "false", "order", "group", "end", "case", "user"
  )
  plain <- grepl("^[a-z_][a-z0-9_]*$", name) && !name %in% words
  if (plain) name else paste0("\"", gsub("\"", "\"\"", name, fixed = TRUE), "\"")
}

shown <- function(expression) paste(deparse(expression), collapse = " ")
