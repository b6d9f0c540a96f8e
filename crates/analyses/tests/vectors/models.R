# Reference numbers of regression models beside those of reference.R, on the same made-up patients.
# Run in this folder: Rscript models.R (R 4.2; packages as loaded below).
suppressMessages({library(MASS); library(sandwich); library(lmtest); library(jsonlite)})
d <- read.csv("patients.csv", stringsAsFactors = FALSE)
for (v in c("sex", "arm")) d[[v]] <- factor(d[[v]])
d$stage <- factor(d$stage, levels = c("I", "II", "III", "IV", "V"))

num <- function(x) ifelse(is.finite(x), signif(as.numeric(x), 13), NA)
table_of <- function(a) data.frame(term = rownames(a), coef = num(a[, 1]), se = num(a[, 2]),
  stat = num(a[, 3]), p = num(a[, 4]), row.names = NULL)
coefs <- function(m) table_of(summary(m)$coefficients)
out <- function(what, file) {
  write(toJSON(what, auto_unbox = TRUE, digits = NA, na = "null", pretty = TRUE), file)
}
tight <- glm.control(epsilon = 1e-14, maxit = 100)

# generalised linear models: the request's options, and what R says
glm_of <- function(formula, family, name, link = NULL, weights = NULL) {
  d$w <- if (is.null(weights)) rep(1, nrow(d)) else d[[weights]]
  m <- glm(as.formula(formula), family, d, weights = w, control = tight)
  s <- summary(m)
  likelihood <- if (is.na(m$aic)) NA else as.numeric(logLik(m))
  # R's BIC counts patients of weight 0, which nobs() does not
  c(list(formula = formula, family = name), if (!is.null(link)) list(link = link),
    if (!is.null(weights)) list(weights = weights), list(n = nobs(m), deviance = num(m$deviance),
    null_deviance = num(m$null.deviance), loglik = num(likelihood), aic = num(m$aic),
    bic = num(log(nobs(m)) * attr(logLik(m), "df") - 2 * likelihood), dispersion = num(s$dispersion), coef = coefs(m)))
}
nb_of <- function(formula, weights = NULL) {
  d$w <- if (is.null(weights)) rep(1, nrow(d)) else d[[weights]]
  m <- glm.nb(as.formula(formula), d, weights = w, control = tight)
  # theta once more, to the last digit, at the means of the fit, until both stand still
  for (turn in 1:50) {
    theta <- theta.ml(m$y, fitted(m), sum(m$prior.weights), weights = m$prior.weights, limit = 50,
      eps = 1e-12)
    m2 <- glm(as.formula(formula), negative.binomial(theta), d, weights = w, control = tight)
    m$fitted.values <- fitted(m2)
  }
  a <- summary(m2, dispersion = 1)$coefficients
  mu <- fitted(m2); y <- m2$y; pw <- m2$prior.weights; th <- as.numeric(theta)
  l <- sum(pw * (lgamma(th + y) - lgamma(th) - lgamma(y + 1) + th * log(th) + y * log(mu + (y == 0)) -
    (th + y) * log(th + mu)))
  p <- length(coef(m2)) + 1
  list(formula = formula, family = "negative_binomial", weights = weights, n = nobs(m2),
    deviance = num(m2$deviance), null_deviance = num(m2$null.deviance), loglik = num(l),
    aic = num(2 * p - 2 * l), bic = num(p * log(nobs(m2)) - 2 * l), dispersion = 1,
    theta = num(th), theta_se = num(attr(theta, "SE")), coef = table_of(a))
}
out(list(
  quasibinomial = glm_of("died ~ age + sex", quasibinomial(), "quasibinomial"),
  quasipoisson = glm_of("visits ~ age + sex + arm", quasipoisson(), "quasipoisson"),
  gamma = glm_of("bmi ~ age + sex + arm", Gamma(), "gamma"),
  gamma_log = glm_of("bmi ~ age + sex + arm", Gamma("log"), "gamma", "log", "visits"),
  gamma_offset = glm_of("months ~ sex + offset(log(bmi))", Gamma("log"), "gamma", "log"),
  gaussian = glm_of("bmi ~ age + sex", gaussian(), "gaussian", NULL, "months"),
  gaussian_log = glm_of("bmi ~ age * sex", gaussian("log"), "gaussian", "log"),
  weighted = glm_of("died ~ age + sex", binomial(), "binomial", NULL, "visits"),
  weighted_counts = glm_of("visits ~ age + sex", poisson(), "poisson", NULL, "months"),
  negative_binomial = nb_of("visits ~ age + sex + arm")), "glm_models.json")

# robust and cluster standard errors
robust <- function(m, v, df) table_of(unclass(coeftest(m, vcov. = v, df = df))[, 1:4])
fits <- list(
  lm = list(kind = "lm", formula = "bmi ~ age + sex + arm"),
  lm_weighted = list(kind = "lm", formula = "bmi ~ age + sex", weights = "visits"),
  glm = list(kind = "glm", formula = "died ~ age + sex + arm", family = "binomial"),
  poisson = list(kind = "glm", formula = "visits ~ age + arm", family = "poisson"))
sandwiches <- lapply(fits, function(f) {
  d$w <- if (is.null(f$weights)) rep(1, nrow(d)) else d[[f$weights]]
  full <- d[d$w > 0 & complete.cases(d[all.vars(as.formula(f$formula))]), ]
  m <- if (f$kind == "lm") lm(as.formula(f$formula), full, weights = w)
    else glm(as.formula(f$formula), f$family, full, weights = w, control = tight)
  df <- if (f$kind == "lm") df.residual(m) else Inf
  hc <- sapply(c("HC0", "HC1", "HC2", "HC3"), function(type) robust(m, vcovHC(m, type), df),
    simplify = FALSE)
  by <- function(g) robust(m, vcovCL(m, cluster = g, type = "HC1"), df)
  a <- if (f$kind == "lm") list(n = nobs(m), loglik = num(logLik(m)), aic = num(AIC(m)),
    sigma = num(sigma(m)), r2 = num(summary(m)$r.squared), f = num(summary(m)$fstatistic[1]),
    coef = coefs(m)) else list()
  c(f, a, hc, list(
    months7 = by(interaction(full$centre7, full$months, drop = TRUE)),
    months3 = by(interaction(full$centre3, full$months, drop = TRUE)),
    centre7 = by(full$centre7), centre3 = by(full$centre3)))
})
out(sandwiches, "lm_models.json")

# Firth's logistic regression, from the equations of Heinze and Schemper (2002): no package is used
firth_of <- function(formula) {
  f <- as.formula(formula)
  full <- d[complete.cases(d[all.vars(f)]), ]
  x <- model.matrix(f, full)
  y <- full[[all.vars(f)[1]]]
  b <- rep(0, ncol(x))
  for (step in 1:500) {
    pi <- plogis(drop(x %*% b))
    v <- solve(crossprod(x * sqrt(pi * (1 - pi))))
    h <- pi * (1 - pi) * rowSums((x %*% v) * x)
    change <- drop(v %*% crossprod(x, y - pi + h * (.5 - pi)))
    b <- b + change / max(1, abs(change))
    if (max(abs(change)) < 1e-13) break
  }
  pi <- plogis(drop(x %*% b))
  i <- crossprod(x * sqrt(pi * (1 - pi)))
  se <- sqrt(diag(solve(i)))
  l <- sum(y * log(pi) + (1 - y) * log1p(-pi))
  a <- cbind(b, se, b / se, 2 * pnorm(-abs(b / se)))
  rownames(a) <- colnames(x)
  list(formula = formula, n = nrow(x), penalised = num(l + as.numeric(determinant(i)$modulus) / 2),
    coef = table_of(a))
}
out(list(plain = firth_of("died ~ age + sex * arm"), separated = firth_of("old ~ I(age > 62) + sex")),
  "firth.json")

# nested models
rows_of <- function(a, residual) data.frame(rest = a[[1]], residual = num(residual),
  statistic = num(a$statistic), p = num(a$p))
terms_of <- function(formula, family = NULL, name = NULL) {
  f <- as.formula(formula)
  if (is.null(family)) {
    a <- anova(lm(f, d))
    k <- nrow(a)
    rest <- rev(cumsum(rev(a$Df))) ; residual <- rev(cumsum(rev(a$`Sum Sq`)))
    return(list(formula = formula, rows = data.frame(rest = rest, residual = num(residual),
      statistic = num(c(NA, a$`F value`[-k])), p = num(c(NA, a$`Pr(>F)`[-k])))))
  }
  test <- if (name %in% c("binomial", "poisson")) "Chisq" else "F"
  a <- anova(glm(f, family, d, control = tight), test = test)
  list(formula = formula, family = name, rows = data.frame(rest = a$`Resid. Df`,
    residual = num(a$`Resid. Dev`), statistic = num(if (test == "F") a$F else a$Deviance),
    p = num(if (test == "F") a$`Pr(>F)` else a$`Pr(>Chi)`)))
}
full <- d[complete.cases(d[c("age", "sex", "arm")]), ]
pair <- anova(lm(bmi ~ sex, full), lm(bmi ~ sex + age + arm, full))
out(list(
  linear = terms_of("bmi ~ age * sex + arm"),
  binomial = terms_of("died ~ age + sex + arm", binomial(), "binomial"),
  quasipoisson = terms_of("visits ~ age + sex + arm", quasipoisson(), "quasipoisson"),
  pair = list(models = c("bmi ~ sex", "bmi ~ sex + age + arm"), rows = data.frame(
    rest = pair$Res.Df, residual = num(pair$RSS), statistic = num(pair$F),
    p = num(pair$`Pr(>F)`)))), "anova.json")
