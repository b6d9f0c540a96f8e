# Reference numbers of meta-analyses: centre-wise fits of R, combined by metafor.
# Run in this folder: Rscript meta.R (R 4.2; packages as loaded below).
suppressMessages({library(metafor); library(jsonlite); library(survival)})

# made-up trials at seven centres: effects differ by centre; one centre has three patients, in one
# the event follows from the dose
set.seed(20)
sizes <- c(110, 95, 80, 70, 60, 52, 3)
d <- do.call(rbind, lapply(seq_along(sizes), function(c) {
  n <- sizes[c]
  dose <- round(runif(n, 0, 10), 2); sex <- sample(c("F", "M"), n, TRUE); age <- round(rnorm(n, 60, 9), 1)
  slope <- c(0.9, 0.3, 0.6, 0.1, 0.5, 0.7, 0.4)[c]
  score <- round(40 + slope * dose + 0.2 * age + 2 * (sex == "M") + rnorm(n, 0, 4), 1)
  event <- rbinom(n, 1, plogis(-1 + 0.25 * slope * dose + 0.4 * (sex == "M")))
  if (c == 5) event <- as.integer(dose > 5)
  falls <- rpois(n, exp(0.2 + 0.12 * slope * dose)); years <- round(runif(n, 0.5, 3), 2)
  data.frame(centre = c, dose, sex, age, score, event, falls, years)
}))
# times of their own generator, so that the rest stays as it was
set.seed(21)
time <- rexp(nrow(d), exp(-3.5 + 0.12 * d$dose * (d$centre %% 3) / 2 + 0.3 * (d$sex == "M")))
d$months <- pmin(ceiling(time), 24); d$died <- as.integer(time <= 24)
d <- data.frame(id = sprintf("M%03d", seq_len(nrow(d))), d)
d$score[c(3, 150, 300)] <- NA
write.csv(d, "meta.csv", row.names = FALSE, quote = FALSE, na = "")
d$sex <- factor(d$sex)
tight <- glm.control(epsilon = 1e-14, maxit = 100)

# a centre takes part with ten patients a coefficient, ten of each outcome and level, and a maximum
takes_part <- function(m, family) {
  x <- model.matrix(m); y <- m$y
  enough <- nrow(x) >= max(10 * ncol(x), 10) && all(sapply(seq_len(ncol(x)), function(j)
    !all(x[, j] %in% 0:1) || all(x[, j] == 1) || min(table(factor(x[, j], 0:1))) >= 10))
  if (family == "binomial") enough <- enough && min(table(factor(y, 0:1))) >= 10
  if (family == "poisson") enough <- enough && sum(y > 0) >= 10
  enough && !anyNA(coef(m)) && (family != "binomial" || all(abs(m$linear.predictors) < 15))
}
case <- function(formula, family, weights = NULL) {
  d$w <- if (is.null(weights)) 1 else d[[weights]]
  fits <- lapply(sort(unique(d$centre)), function(c) suppressWarnings(
    glm(as.formula(formula), family, d[d$centre == c, ], weights = w, control = tight)))
  part <- sapply(fits, takes_part, family)
  fits <- fits[part]
  cat(formula, family, "takes part:", part, "\n")
  combined(formula, family, weights, lapply(fits, function(m) summary(m)$coefficients[, 1:2]))
}
combined <- function(formula, family, weights, tables) {
  list(formula = formula, family = family, weights = weights, k = length(tables), terms = lapply(rownames(tables[[1]]), function(term) {
    a <- t(sapply(tables, function(table) table[term, 1:2]))
    method <- function(name) {
      m <- rma(yi = a[, 1], sei = a[, 2], method = name)
      list(estimate = as.numeric(m$beta), se = m$se, stat = m$zval, p = m$pval, low = m$ci.lb,
        high = m$ci.ub, tau2 = m$tau2, i2 = m$I2, h2 = m$H2, q = m$QE, qp = m$QEp)
    }
    list(term = term, fixed = method("FE"), random = method("DL"))
  }))
}
# Cox regression with ties by Efron, ten patients a coefficient and ten events
cox_case <- function(formula) {
  fits <- lapply(sort(unique(d$centre)), function(c) suppressWarnings(coxph(as.formula(formula),
    d[d$centre == c, ], ties = "efron", control = coxph.control(eps = 1e-14, iter.max = 50, toler.chol = 1e-14))))
  part <- sapply(fits, function(m) m$n >= 10 * length(coef(m)) && m$nevent >= 10)
  cat(formula, "takes part:", part, "\n")
  combined(formula, NULL, NULL, lapply(fits[part], function(m) summary(m)$coefficients[, c(1, 3), drop = FALSE]))
}
write(toJSON(list(
  cox = cox_case("Surv(months, died) ~ dose + sex"),
  linear = case("score ~ dose + sex + age", "gaussian"),
  weighted = case("score ~ dose + age", "gaussian", "years"),
  logistic = case("event ~ dose + sex", "binomial"),
  counts = case("falls ~ dose + offset(log(years))", "poisson"),
  null = case("age ~ sex", "gaussian")), auto_unbox = TRUE, digits = NA, pretty = TRUE, null = "null"), "meta.json")
