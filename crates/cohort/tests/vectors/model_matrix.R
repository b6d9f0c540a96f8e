# Writes patients.csv and model_matrix.tsv beside this script: for each formula of formulas.txt,
# the columns that R gives its model matrix, each with the sum over patients of position * value.
# Needs R >= 4.2, survival and Hmisc; run in this folder:  Rscript model_matrix.R
library(survival)
library(splines)
# the columns and names of rms::rcs; Hmisc has the formula
rcs <- function(x, knots) {
  columns <- Hmisc::rcspline.eval(x, knots = knots, inclx = TRUE)
  ticks <- vapply(seq_len(ncol(columns)) - 1, function(k) strrep("'", k), "")
  colnames(columns) <- paste0(deparse(substitute(x)), ticks)
  columns
}
options(digits = 17)
n <- 96
i <- seq_len(n)
pick <- function(levels, step) levels[((i * step) %/% 3) %% length(levels) + 1]
patients <- data.frame(
  patient_id = sprintf("p%03d", i),
  age = 18L + as.integer((i * 37) %% 83),
  sex = pick(c("F", "M"), 5),
  killip = pick(c("I", "II", "III", "IV"), 7),
  smoker = pick(c("current", "former", "never"), 11),
  sysbp = 60 + (i * 71) %% 201,
  hba1c = 20 + ((i * 113) %% 1800) / 10,
  stage = 1L + as.integer((i * 13) %/% 4 %% 4),
  dx = (i * 17) %/% 5 %% 2 == 1,
  died = as.integer((i * 19) %/% 7 %% 2),
  x.y = ((i * 29) %% 401) / 100 - 2,
  entry = ((i * 23) %% 300) / 10,
  months = 31 + ((i * 97) %% 5600) / 10
)
patients$age[c(5, 50)] <- NA
patients$sex[7] <- NA
patients$sysbp[c(7, 60)] <- NA
write.csv(patients, "patients.csv", row.names = FALSE, na = "", quote = FALSE)
for (name in c("sex", "killip", "smoker")) patients[[name]] <- factor(patients[[name]])

describe <- function(text) {
  formula <- as.formula(text)
  matrix <- if (grepl("^Surv", text)) {
    fit <- suppressWarnings(coxph(formula, patients, iter.max = 0, na.action = na.omit))
    model.matrix(fit)
  } else {
    model.matrix(formula, model.frame(formula, patients, na.action = na.omit))
  }
  sums <- colSums(matrix * seq_len(nrow(matrix)))
  c(text, nrow(matrix), rbind(colnames(matrix), format(sums, digits = 15, trim = TRUE)))
}
formulas <- readLines("formulas.txt")
lines <- vapply(formulas, function(text) {
  # `.` means the variables that may be analysed: the identifier is not among R's either.
  paste(describe(text), collapse = "\t")
}, "")
writeLines(lines, "model_matrix.tsv")
