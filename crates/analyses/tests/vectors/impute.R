# Reference numbers of multiple imputation: R's mice on the pooled patients, and its rules of pooling.
# Run in this folder: Rscript impute.R (R 4.2; packages as loaded below; takes minutes).
suppressMessages({library(mice); library(jsonlite)})

# made-up patients at seven centres, one of three patients; a number and a property are missing where
# the outcome is high, or the patient is old
set.seed(77)
sizes <- c(300, 260, 200, 160, 120, 97, 3)
n <- sum(sizes)
age <- round(pmin(pmax(rnorm(n, 60, 10), 20), 95))
group <- sample(c("A", "B", "C"), n, TRUE)
smoker <- rbinom(n, 1, plogis(-0.4 - 0.03 * (age - 60)))
marker <- round(50 + 0.3 * (age - 60) + 4 * smoker + rnorm(n, 0, 8), 2)
score <- round(30 + 0.2 * age + 0.5 * marker + 4 * smoker + 2 * (group == "B") - 1 * (group == "C") + rnorm(n, 0, 6), 2)
event <- rbinom(n, 1, plogis(-0.5 + 0.03 * (age - 60) + 0.06 * (marker - 52) + 0.7 * smoker))
d <- data.frame(id = sprintf("I%04d", seq_len(n)), centre = rep(seq_along(sizes), sizes), age, group,
  smoker, marker, score, event)
d$marker[runif(n) < plogis(-1.6 + 0.10 * (score - mean(score)))] <- NA
d$smoker[runif(n) < plogis(-2 + 0.06 * (age - 60) + 0.8 * event)] <- NA
d$score[c(10, 700)] <- NA
write.csv(d, "impute.csv", row.names = FALSE, quote = FALSE, na = "")
d$group <- factor(d$group); d$smoker <- factor(d$smoker, levels = 0:1)
cat("missing", colMeans(is.na(d)), "\n")

method_of <- function(data) sapply(data, function(v)
  if (!anyNA(v)) "" else if (is.factor(v)) "logreg.boot" else "norm.boot")
imputed <- function(names, m, maxit, seed) {
  data <- d[complete.cases(d[names[1]]), names]
  mice(data, m = m, maxit = maxit, method = method_of(data), printFlag = FALSE, seed = seed)
}
fit <- function(imp, formula, family) with(imp, glm(as.formula(formula), family = family,
  control = glm.control(epsilon = 1e-12)), list(formula = formula, family = family))
fits <- function(imp, formula, family) {
  as.mira(lapply(seq_len(imp$m), function(k) if (family == "gaussian")
    lm(as.formula(formula), complete(imp, k)) else
    glm(as.formula(formula), family, complete(imp, k), control = glm.control(epsilon = 1e-12))))
}
term_of <- function(name) sub("^smoker1$", "smoker", name)

# the rules of pooling on given estimates
pooled <- function(names, formula, family, m) {
  all <- fits(imputed(names, m, 3, m), formula, family)
  p <- pool(all)$pooled
  list(dfcom = df.residual(all$analyses[[1]]), terms = lapply(seq_len(nrow(p)), function(j) list(
    term = as.character(p$term[j]), estimates = sapply(all$analyses, function(a) coef(a)[[j]]),
    variances = sapply(all$analyses, function(a) vcov(a)[j, j]), estimate = p$estimate[j],
    se = sqrt(p$t[j]), df = p$df[j], ubar = p$ubar[j], b = p$b[j], riv = p$riv[j],
    lambda = p$lambda[j], fmi = p$fmi[j])))
}
# the whole method, with many imputations
whole <- function(names, formula, family, truth) {
  data <- d[complete.cases(d[names[1]]), names]
  p <- pool(fits(imputed(names, 200, 10, 1), formula, family))$pooled
  cc <- if (family == "gaussian") lm(as.formula(formula), data) else glm(as.formula(formula), family, data)
  print(cbind(p[, c("estimate", "ubar", "b", "t", "fmi")], truth, complete_cases = coef(cc)))
  list(formula = formula, family = family, n = nrow(data), terms = lapply(seq_len(nrow(p)), function(j) list(
    term = term_of(as.character(p$term[j])), estimate = p$estimate[j], se = sqrt(p$t[j]), b = p$b[j], ubar = p$ubar[j],
    truth = truth[j], complete_cases = coef(cc)[[j]])))
}
linear <- c("score", "age", "marker", "smoker", "group")
logistic <- c("event", "age", "marker", "smoker")
write(toJSON(list(
  pooled = list(pooled(linear, "score ~ age + marker + smoker + group", "gaussian", 5),
    pooled(logistic, "event ~ age + marker + smoker", "binomial", 3)),
  whole = list(
    linear = whole(linear, "score ~ age + marker + smoker + group", "gaussian", c(30, 0.2, 0.5, 4, 2, -1)),
    logistic = whole(logistic, "event ~ age + marker + smoker", "binomial", c(-0.5 - 1.8 - 3.12, 0.03, 0.06, 0.7)))),
  auto_unbox = TRUE, digits = NA, pretty = TRUE), "impute.json")
