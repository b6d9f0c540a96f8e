# Made-up patients in wards, and reference numbers of regressions of levels (proportional odds,
# multinomial logit). Run in this folder: Rscript wards.R (R 4.2; MASS, nnet, jsonlite).
suppressMessages({library(MASS); library(nnet); library(jsonlite)})
num <- function(x) ifelse(is.finite(x), signif(as.numeric(x), 13), NA)
out <- function(what, file) {
  write(toJSON(what, auto_unbox = TRUE, digits = NA, na = "null", pretty = TRUE), file)
}

# 420 patients, 60 wards; a ward lies in one centre, one centre has three patients
set.seed(2026)
n <- 420
ward <- c(rep(1, 3), sample(2:60, n - 3, TRUE))
effect <- rnorm(60, 0, 0.8)[ward]
centre7 <- ifelse(ward == 1, 1, 2 + (ward * 7) %% 6)
d <- data.frame(id = sprintf("W%03d", 1:n), centre7 = centre7, centre3 = 1 + centre7 %% 3, ward = ward,
  age = round(runif(n, 20, 90), 1), sex = sample(c("F", "M"), n, TRUE),
  arm = sample(c("A", "B", "C"), n, TRUE), copies = sample(1:3, n, TRUE), days = sample(5:30, n, TRUE))
eta <- 0.03 * (d$age - 55) + 0.5 * (d$sex == "M") - 0.7 * (d$arm == "C") + effect
d$grade <- c("mild", "moderate", "severe", "worst")[1 + findInterval(eta + rlogis(n), c(-1, 0.4, 1.9))]
u <- cbind(0, 0.02 * (d$age - 55) - 0.3, 0.4 * (d$arm == "B") - 0.2 * (d$sex == "M"))
gumbel <- matrix(-log(-log(runif(3 * n))), n)
d$course <- c("home", "rehab", "ward")[max.col(u + gumbel)]
d$score <- round(50 + 4 * eta + rnorm(n, 0, 5), 1)
d$score[7] <- NA
d$improved <- as.integer(runif(n) < plogis(eta - 0.2))
d$falls <- rpois(n, d$days / 12 * exp(0.3 * eta))
d$half_age <- d$age / 2
d$older <- as.integer(d$age > 60)
d$spread <- round(rnorm(n), 2)
# wards that differ much more than their patients
d$steady <- round(pmin(pmax(10 * effect + rnorm(n, 0, 0.6), -60), 60), 2)
d$answer <- as.integer(runif(n) < plogis(4 * effect + 0.02 * (d$age - 55)))
write.csv(d, "wards.csv", row.names = FALSE, quote = FALSE, na = "")
writeLines(c("name,label,type,unit,levels,min,max,decimals,missing,code,sensitivity,notes",
  "id,,category,,,,,,,,identifier,", "ward,Ward,integer,,,1,60,,,,quasi,", "age,Age,number,a,,18,100,1,,,quasi,",
  "sex,Sex,category,,F|M,,,,,,quasi,", "arm,Arm,category,,A|B|C,,,,,,clinical,",
  "copies,Copies,integer,,,1,3,,,,clinical,", "days,Days of stay,integer,,,1,40,,,,clinical,",
  "grade,Grade,category,,mild|moderate|severe|worst,,,,,,clinical,",
  "course,Where to,category,,home|rehab|ward,,,,,,clinical,",
  "score,Score,number,,,20,90,1,,,clinical,", "improved,Improved,integer,,,0,1,,,,clinical,",
  "falls,Falls,integer,,,0,60,,,,clinical,", "half_age,Half the age,number,a,,9,50,2,,,quasi,",
  "older,Above 60,integer,,,0,1,,,,quasi,", "spread,Noise,number,,,-5,5,2,,,clinical,",
  "steady,The ward's own,number,,,-60,60,2,,,clinical,", "answer,Answer,integer,,,0,1,,,,clinical,"), "wards.dictionary.csv")
for (v in c("sex", "arm")) d[[v]] <- factor(d[[v]])
d$course <- factor(d$course)
d$grade <- factor(d$grade, levels = c("mild", "moderate", "severe", "worst"))

table_of <- function(term, b, se, level = NULL) {
  a <- data.frame(term = term, coef = num(b), se = num(se), stat = num(b / se),
    p = num(2 * pnorm(-abs(b / se))), row.names = NULL)
  if (is.null(level)) a else cbind(level = level, a)
}
# MASS::polr stops early and takes its Hessian by differences: its fit is the start of Newton steps
# with exact derivatives. log P = log F(a) + log(1 - F(b)) + log(1 - exp(b - a)), a and b the bounds.
polr_of <- function(formula, weights = NULL) {
  d$w <- if (is.null(weights)) rep(1, nrow(d)) else d[[weights]]
  m <- polr(as.formula(formula), d, weights = w, Hess = TRUE)
  frame <- model.frame(m)
  x <- model.matrix(m)[, -1, drop = FALSE]
  y <- as.integer(model.response(frame)); w <- model.weights(frame)
  o <- model.offset(frame); if (is.null(o)) o <- 0
  k <- length(m$zeta); p <- ncol(x); th <- c(m$zeta, m$coefficients)
  up <- cbind(diag(k)[pmin(y, k), ] * (y <= k), -x * (y <= k))
  low <- cbind(diag(k)[pmax(y - 1, 1), ] * (y > 1), -x * (y > 1))
  for (turn in 1:30) {
    a <- drop(up %*% th) - o; b <- drop(low %*% th) - o
    inside <- y > 1 & y <= k; gap <- ifelse(inside, a - b, 1)
    fa <- plogis(a); fb <- plogis(b)
    h1 <- inside / expm1(gap); h2 <- inside * exp(gap) / expm1(gap)^2
    g <- colSums(w * ((y <= k) * (1 - fa) * up - (y > 1) * fb * low + h1 * (up - low)))
    i <- crossprod(up, w * (y <= k) * fa * (1 - fa) * up) +
      crossprod(low, w * (y > 1) * fb * (1 - fb) * low) + crossprod(up - low, w * h2 * (up - low))
    step <- solve(i, g); th <- th + step
    if (max(abs(step)) < 1e-13) break
  }
  l <- sum(w * ((y <= k) * plogis(a, log.p = TRUE) + (y > 1) * plogis(-b, log.p = TRUE) +
    inside * log(-expm1(-gap))))
  se <- sqrt(diag(solve(i)))
  own <- sqrt(diag(vcov(m)))[c(p + 1:k, 1:p)]
  cat(formula, "polr itself: estimates", max(abs(c(m$zeta, m$coefficients) / th - 1)), "errors",
    max(abs(own / se - 1)), "deviance", abs(m$deviance / (-2 * l) - 1), "\n")
  order <- c(k + seq_len(p), 1:k)
  list(formula = formula, weights = weights, n = m$nobs, patients = nrow(x), edf = k + p,
    deviance = num(-2 * l), aic = num(2 * (k + p) - 2 * l),
    coef = table_of(c(colnames(x), names(m$zeta)), th[order], se[order]))
}
multinom_of <- function(formula, weights = NULL) {
  d$w <- if (is.null(weights)) rep(1, nrow(d)) else d[[weights]]
  m <- multinom(as.formula(formula), d, weights = w, trace = FALSE, reltol = 1e-14, maxit = 2000)
  frame <- model.frame(as.formula(formula), d, weights = w)
  x <- model.matrix(as.formula(formula), frame); y <- model.response(frame); w <- model.weights(frame)
  b <- t(rbind(coef(m))); k <- ncol(b); p <- nrow(b)
  one <- sapply(levels(y)[-1], function(l) as.numeric(y == l))
  for (turn in 1:30) {
    e <- cbind(0, x %*% b); e <- e - apply(e, 1, max); pr <- exp(e) / rowSums(exp(e))
    g <- as.vector(crossprod(x, w * (one - pr[, -1])))
    i <- matrix(0, k * p, k * p)
    for (r in 1:k) for (s in 1:k) i[(r - 1) * p + 1:p, (s - 1) * p + 1:p] <-
      crossprod(x, w * pr[, r + 1] * ((r == s) - pr[, s + 1]) * x)
    step <- solve(i, g); b <- b + matrix(step, p)
    if (max(abs(step)) < 1e-13) break
  }
  l <- sum(w * log(pr[cbind(seq_along(y), as.integer(y))]))
  se <- sqrt(diag(solve(i)))
  cat(formula, "multinom itself: estimates", max(abs(t(rbind(coef(m))) / b - 1)), "errors",
    max(abs(as.vector(t(rbind(summary(m)$standard.errors))) / se - 1)), "\n")
  list(formula = formula, weights = weights, n = nrow(x), edf = k * p, deviance = num(-2 * l),
    aic = num(2 * k * p - 2 * l),
    coef = table_of(rep(colnames(x), k), as.vector(b), se, rep(levels(y)[-1], each = p)))
}
out(list(plain = polr_of("grade ~ age + sex + arm"), weighted = polr_of("grade ~ age * sex", "copies"),
  offset = polr_of("grade ~ age + arm + offset(spread / 2)"), one = polr_of("grade ~ spread"),
  # rounds of a steep relation: thresholds far from where the steps start
  uneven = polr_of("grade ~ I(age / 10) + I((age / 10)^2) + older"), three = polr_of("arm ~ age + sex")),
  "ordinal.json")
out(list(plain = multinom_of("course ~ age + sex + arm"), weighted = multinom_of("course ~ age * sex", "copies"),
  four = multinom_of("grade ~ age + sex"), constant = multinom_of("course ~ 1"),
  all_levels = multinom_of("course ~ arm - 1")), "multinom.json")

# Estimating equations. geepack iterates until nothing changes by more than 1e-15; clusters are sorted.
suppressMessages(library(geepack))
gee_of <- function(formula, family, corstr, cluster, name) {
  own <- d[complete.cases(d[all.vars(as.formula(formula))]), ]
  own$cluster <- switch(cluster, ward = own$ward, centre7 = own$centre7)
  own <- own[order(own$cluster), ]
  m <- geeglm(as.formula(formula), family, own, id = cluster, corstr = corstr,
    control = geese.control(epsilon = 1e-15, maxit = 500))
  a <- summary(m)$coefficients
  list(formula = formula, family = name, corstr = corstr, cluster = cluster, n = nrow(own),
    clusters = length(unique(own$cluster)), gamma = num(m$geese$gamma),
    alpha = if (corstr == "exchangeable") num(m$geese$alpha) else NA,
    coef = data.frame(term = rownames(a), coef = num(a[, 1]), se = num(a[, 2]), stat = num(a[, 3]),
      p = num(pchisq(a[, 3], 1, lower.tail = FALSE)), row.names = NULL))
}
out(list(
  gaussian = gee_of("score ~ age + sex + arm", gaussian(), "exchangeable", "ward", "gaussian"),
  binomial = gee_of("improved ~ age + sex + arm", binomial(), "exchangeable", "ward", "binomial"),
  poisson = gee_of("falls ~ age + arm + offset(log(days))", poisson(), "exchangeable", "ward", "poisson"),
  independent = gee_of("improved ~ age * sex", binomial(), "independence", "ward", "binomial"),
  independent_gaussian = gee_of("score ~ age + arm", gaussian(), "independence", "centre7", "gaussian"),
  centre7 = gee_of("score ~ age + sex", gaussian(), "exchangeable", "centre7", "gaussian"),
  centre7_counts = gee_of("falls ~ age + sex", poisson(), "exchangeable", "centre7", "poisson")), "gee.json")

# Random intercepts. lme4 stops at differences of its criterion, so that its fit is the start of Newton
# steps of the criterion itself: for normal values profiled over all but v, the logarithm of the ratio
# of variances, and by first and second derivatives; for logistic regression Laplace's approximation.
suppressMessages(library(lme4))
mixed_table <- function(x, b, se) table_of(colnames(x), b, se)
lmer_of <- function(formula, cluster, reml = TRUE) {
  fixed <- as.formula(formula)
  own <- d[complete.cases(d[all.vars(fixed)]), ]
  own$g <- factor(own[[cluster]])
  m <- suppressMessages(lmer(update(fixed, . ~ . + (1 | g)), own, REML = reml,
    control = lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10, maxfun = 1e5))))
  frame <- model.frame(fixed, own)
  x <- model.matrix(fixed, frame)
  y <- model.response(frame) - (if (is.null(model.offset(frame))) 0 else model.offset(frame))
  n <- nrow(x); p <- ncol(x); df <- if (reml) n - p else n
  z <- model.matrix(~ g - 1, own)
  parts <- function(l) {
    size <- colSums(z); k <- l / (1 + size * l)
    half <- crossprod(z, cbind(x, y))
    gram <- crossprod(cbind(x, y)) - crossprod(half * sqrt(k))
    a <- gram[1:p, 1:p, drop = FALSE]; b <- solve(a, gram[1:p, p + 1])
    r <- y - x %*% b; t <- drop(crossprod(z, r)); s <- half[, 1:p, drop = FALSE]
    q <- sum(r^2) - sum(k * t^2); first <- 1 / (1 + size * l)^2
    slope <- sum(size / (1 + size * l)) - df * sum(first * t^2) / q -
      (if (reml) sum(diag(solve(a, crossprod(s * sqrt(first))))) else 0)
    list(a = a, b = b, q = q, slope = slope, det = sum(log1p(size * l)))
  }
  l <- getME(m, "theta")^2
  if (parts(0)$slope >= 0) l <- 0 else
    l <- exp(uniroot(function(v) exp(v) * parts(exp(v))$slope, log(l) + c(-1, 1), tol = 1e-15)$root)
  e <- parts(l)
  sigma <- sqrt(e$q / df)
  ll <- -0.5 * (e$det + (if (reml) as.numeric(determinant(e$a)$modulus) else 0) + df * (1 + log(2 * pi * sigma^2)))
  se <- sigma * sqrt(diag(solve(e$a)))
  cat(formula, cluster, "lmer itself: estimates", max(abs(fixef(m) / e$b - 1)), "errors",
    max(abs(sqrt(diag(as.matrix(vcov(m)))) / se - 1)), "theta", getME(m, "theta") - sqrt(l),
    "logLik", as.numeric(logLik(m)) - ll, "\n")
  list(formula = formula, family = "gaussian", cluster = cluster, ml = !reml, n = n, groups = nlevels(own$g),
    sd = num(sqrt(l) * sigma), sigma = num(sigma), loglik = num(ll), aic = num(2 * (p + 2) - 2 * ll),
    singular = l == 0, coef = mixed_table(x, e$b, se))
}
glmer_of <- function(formula, cluster) {
  fixed <- as.formula(formula)
  own <- d[complete.cases(d[all.vars(fixed)]), ]
  own$g <- factor(own[[cluster]])
  m <- suppressMessages(glmer(update(fixed, . ~ . + (1 | g)), data = own, family = binomial(),
    control = glmerControl(optimizer = "bobyqa", tolPwrss = 1e-13, optCtrl = list(rhoend = 1e-9, maxfun = 1e5))))
  frame <- model.frame(fixed, own)
  x <- model.matrix(fixed, frame); y <- as.numeric(model.response(frame))
  o <- if (is.null(model.offset(frame))) rep(0, nrow(x)) else model.offset(frame)
  p <- ncol(x); g <- as.integer(own$g)
  sums <- function(v) drop(rowsum(v, g))
  likelihood <- function(th) {
    l <- exp(th[p + 1]); e <- drop(x %*% th[1:p]) + o; b <- rep(0, max(g))
    for (turn in 1:60) {
      mu <- plogis(e + b[g]); step <- (sums(y - mu) - b / l) / (sums(mu * (1 - mu)) + 1 / l)
      b <- b + step
      if (max(abs(step)) < 1e-15) break
    }
    mu <- plogis(e + b[g]); w <- mu * (1 - mu); w1 <- w * (1 - 2 * mu); big <- 1 + l * sums(w)
    move <- -l * rowsum(w * x, g) / big
    slopes <- (rowsum(w1 * x, g) + sums(w1) * move)
    gradient <- c(crossprod(x, y - mu) - 0.5 * l * colSums(slopes / big),
      sum(b^2 / (2 * l) - 0.5 * l * (sums(w) + sums(w1) * b / big) / big))
    list(value = sum(y * (e + b[g]) - log1p(exp(e + b[g]))) - sum(b^2 / (2 * l)) - 0.5 * sum(log(big)),
      gradient = gradient)
  }
  singular <- getME(m, "theta") < 1e-5
  if (singular) {
    f <- glm(fixed, binomial(), own, control = glm.control(1e-15, 100))
    b <- coef(f); se <- sqrt(diag(vcov(f))); ll <- as.numeric(logLik(f)); tau <- 0
  } else {
    th <- c(fixef(m), 2 * log(getME(m, "theta")))
    for (turn in 1:20) {
      h <- sapply(1:(p + 1), function(j) { d1 <- 1e-5 * (1:(p + 1) == j) / c(pmax(1, apply(abs(x), 2, max)), 1)
        (likelihood(th + d1)$gradient - likelihood(th - d1)$gradient) / (2 * d1[j]) })
      step <- solve(-(h + t(h)) / 2, likelihood(th)$gradient); th <- th + step
      if (max(abs(step)) < 1e-12) break
    }
    b <- th[1:p]; se <- sqrt(diag(solve(-(h + t(h)) / 2)))[1:p]; ll <- likelihood(th)$value
    tau <- exp(th[p + 1] / 2)
  }
  cat(formula, cluster, "glmer itself: estimates", max(abs(fixef(m) / b - 1)), "errors",
    max(abs(sqrt(diag(as.matrix(vcov(m)))) / se - 1)), "theta", getME(m, "theta") - tau, "logLik",
    as.numeric(logLik(m)) - ll, "\n")
  list(formula = formula, family = "binomial", cluster = cluster, ml = FALSE, n = nrow(x), groups = nlevels(own$g),
    sd = num(tau), sigma = NA, loglik = num(ll), aic = num(2 * (p + 1) - 2 * ll), singular = singular,
    coef = mixed_table(x, b, se))
}
out(list(reml = lmer_of("score ~ age + sex + arm", "ward"), ml = lmer_of("score ~ age + sex + arm", "ward", FALSE),
  offset = lmer_of("score ~ age * sex + offset(2 * spread)", "ward"),
  centre7 = lmer_of("score ~ age + sex", "centre7"), centre7_ml = lmer_of("improved ~ age", "centre7", FALSE),
  singular = lmer_of("spread ~ age + sex", "centre7"),
  apart = lmer_of("steady ~ age", "ward"), apart_ml = lmer_of("steady ~ age - 1", "ward", FALSE),
  logistic_apart = glmer_of("answer ~ age", "ward"), logistic = glmer_of("improved ~ age + sex + arm", "ward"),
  logistic_offset = glmer_of("improved ~ age + offset(spread / 2)", "ward"),
  logistic_centre7 = glmer_of("improved ~ age + sex", "centre7"),
  logistic_levels = glmer_of("answer ~ arm - 1", "centre7"), logistic_singular = glmer_of("I(spread > 0) ~ age", "centre7")), "mixed.json")
