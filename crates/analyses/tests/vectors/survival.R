# Makes the reference numbers of the survival analyses from patients.csv, which reference.R makes.
# Run in this folder: Rscript survival.R (R 4.2, survival, cmprsk, jsonlite).
suppressMessages({library(survival); library(cmprsk); library(jsonlite)})
d <- read.csv("patients.csv", stringsAsFactors = TRUE)

num <- function(x) ifelse(is.finite(x), signif(as.numeric(x), 13), NA)
out <- function(what, file) {
  write(toJSON(what, auto_unbox = TRUE, digits = NA, na = "null", pretty = TRUE), file)
}

# curves: limits on three scales, restricted means, trend and strata of the log-rank test
points <- function(formula, type) {
  f <- survfit(as.formula(formula), d, conf.type = type)
  s <- summary(f)
  t <- summary(f)$table
  keep <- c("records", "events", "median", "0.95LCL", "0.95UCL")
  list(medians = if (is.null(dim(t))) as.list(t[keep]) else apply(t[, keep], 1, as.list),
    points = data.frame(stratum = if (is.null(s$strata)) "all" else as.character(s$strata),
      time = s$time, n_risk = s$n.risk, surv = num(s$surv), se = num(s$std.err),
      lower95 = num(s$lower), upper95 = num(s$upper)))
}
means <- function(formula, horizon) {
  t <- summary(survfit(as.formula(formula), d), rmean = horizon)$table
  t <- if (is.null(dim(t))) t(t) else t
  list(horizon = horizon, mean = num(t[, "rmean"]), se = num(t[, "se(rmean)"]))
}
tests <- function(formula) {
  x <- survdiff(as.formula(formula), d)
  observed <- if (is.matrix(x$obs)) rowSums(x$obs) else x$obs
  expected <- if (is.matrix(x$exp)) rowSums(x$exp) else x$exp
  s <- seq_along(observed)
  trend <- sum(s * (observed - expected))^2 / c(t(s) %*% x$var %*% s)
  list(formula = formula, observed = observed, expected = num(expected), chisq = num(x$chisq),
    df = length(s) - 1, p = num(pchisq(x$chisq, length(s) - 1, lower.tail = FALSE)),
    trend = num(trend), trend_p = num(pchisq(trend, 1, lower.tail = FALSE)))
}
out(list(
  plain = points("Surv(time, event) ~ arm", "plain"),
  loglog = points("Surv(time, event) ~ arm", "log-log"),
  mean_arm = means("Surv(time, event) ~ arm", 20),
  mean_all = means("Surv(time, event) ~ 1", 17.5),
  tests = list(
    arm = tests("Surv(time, event) ~ arm"),
    sex = tests("Surv(time, event) ~ sex"),
    by_sex = tests("Surv(time, event) ~ arm + strata(sex)"),
    by_two = tests("Surv(time, event) ~ arm + strata(sex, old)"),
    centres = tests("Surv(time, event) ~ arm + strata(centre3)"),
    centres7 = tests("Surv(time, event) ~ arm + strata(centre7)"))), "km_more.json")

# competing causes: other made-up patients with ties, an empty level of the dictionary (status 3, arm
# D), a small arm, a centre without events and one of three patients
set.seed(41)
n <- 400
k <- data.frame(centre = sample(c("a", "b", "c", "d", "e"), n, TRUE, c(.4, .3, .2, .1, 0)))
k$centre[n - 2:0] <- "e"
k$arm <- sample(c("A", "B", "C", "S"), n, TRUE, c(.45, .3, .23, .02))
k$time <- round(rexp(n, c(A = .08, B = .05, C = .06, S = .06)[k$arm])) + (k$arm == "B")
k$time <- pmin(k$time, 40)
k$status <- sample(0:2, n, TRUE, c(.3, .45, .25))
k$status[k$centre == "d"] <- 0
write.csv(k, "causes.csv", row.names = FALSE, quote = FALSE)
incidences <- function(data, arms = TRUE) {
  f <- if (arms) cuminc(data$time, data$status, data$arm) else cuminc(data$time, data$status)
  at <- sort(unique(data$time))
  p <- timepoints(f, at)
  curves <- do.call(rbind, lapply(seq_len(nrow(p$est)), function(i) {
    name <- strsplit(rownames(p$est)[i], " ")[[1]]
    data.frame(stratum = name[1], cause = name[2], time = at, est = num(p$est[i, ]),
      se = num(sqrt(p$var[i, ])))
  }))
  tests <- if (arms) list(stat = num(f$Tests[, 1]), p = num(f$Tests[, 2]), df = f$Tests[1, 3])
  list(curves = curves, tests = tests)
}
kept <- subset(k, arm != "S")
# all patients of one arm die at their last time
last <- data.frame(centre = rep(c("a", "b", "c"), 40), arm = rep(c("A", "B"), each = 60),
  time = c(rep(c(1, 2, 3, 4, 5, 5), each = 10), rep(1:12, each = 5)),
  status = c(rep(c(1, 2, 1, 0, 1), 12), rep(c(1, 0, 2, 1, 1), 12)))
last$status[last$arm == "A" & last$time == 5] <- c(rep(1, 12), rep(2, 8))
write.csv(last, "causes_last.csv", row.names = FALSE, quote = FALSE)
out(list(arm = incidences(kept), all = incidences(k, FALSE), last = incidences(last)),
  "cuminc.json")

# Cox regression: robust variances, clusters within each centre, case weights, the test of
# proportional hazards with untransformed times, the baseline's hazard
d$months <- as.numeric(d$months)
d$bycentre <- interaction(d$centre7, d$stage, drop = TRUE)
d$bycentre3 <- interaction(d$centre3, d$stage, drop = TRUE)
fit <- function(formula, ties, weights = NULL, cluster = NULL, robust = FALSE, zph = FALSE,
                baseline = FALSE, ask = NULL) {
  call <- list(as.formula(formula), data = d, ties = ties,
    control = coxph.control(eps = 1e-13, toler.chol = 1e-14, iter.max = 50))
  if (!is.null(weights)) call$weights <- as.name(weights)
  if (!is.null(cluster)) call$cluster <- as.name(cluster)
  call$robust <- robust || !is.null(cluster)
  m <- do.call(coxph, call)
  naive <- if (is.null(m$naive.var)) m$var else m$naive.var
  a <- list(formula = formula, ties = ties, weights = weights, cluster = cluster, ask = ask,
    n = m$n, events = m$nevent, loglik_null = num(m$loglik[1]), loglik = num(m$loglik[2]),
    concordance = num(concordance(m)$concordance), term = names(coef(m)), coef = num(coef(m)), se = num(sqrt(diag(naive))))
  if (call$robust) a$robust <- num(sqrt(diag(m$var)))
  if (zph) {
    z <- cox.zph(m, transform = "identity", terms = FALSE)$table
    a$zph <- num(z[, 1])
    a$zph_p <- num(z[, 3])
  }
  if (baseline) {
    h <- basehaz(m, centered = FALSE)
    # R's baseline has the mean of the offsets, Konsil's has none
    moved <- if (is.null(m$offset)) 0 else mean(log(d$months))
    a$baseline <- data.frame(time = h$time, hazard = num(h$hazard * exp(-moved)))
  }
  a
}
s <- "Surv(time, event) ~ age + sex * arm"
out(list(
  efron = fit(s, "efron", robust = TRUE, zph = TRUE, baseline = TRUE),
  breslow = fit(s, "breslow", robust = TRUE, zph = TRUE, baseline = TRUE),
  strata = fit("Surv(time, event) ~ age + bmi + strata(arm)", "efron", robust = TRUE, zph = TRUE),
  offset = fit("Surv(time, event) ~ sex + arm + offset(log(months))", "efron", robust = TRUE,
    baseline = TRUE),
  weights = fit("Surv(time, event) ~ age + arm", "efron", "months", robust = TRUE, baseline = TRUE),
  weights_breslow = fit("Surv(time, event) ~ age + arm", "breslow", "months", robust = TRUE,
    zph = TRUE),
  weights_age = fit("Surv(time, event) ~ sex + arm", "efron", "half_age", robust = TRUE),
  late = fit("Surv(entry, time, event) ~ age + arm", "efron", zph = TRUE, baseline = TRUE),
  centre7 = fit(s, "efron", cluster = "centre7", ask = "centre"),
  centre3 = fit(s, "breslow", cluster = "centre3", ask = "centre"),
  late7 = fit("Surv(entry, time, event) ~ age + arm", "efron", cluster = "centre7", ask = "centre"),
  stage7 = fit("Surv(time, event) ~ age + arm", "efron", "months", "bycentre", ask = "stage"),
  stage3 = fit("Surv(time, event) ~ age + strata(sex)", "breslow", cluster = "bycentre3",
    ask = "stage")), "cox_more.json")

# parametric survival: nobody has time 0
p <- read.csv("patients.csv", stringsAsFactors = TRUE)
p$time <- p$time + 1
p$months <- as.numeric(p$months)
write.csv(p, "lifetimes.csv", row.names = FALSE, quote = FALSE, na = "")
lifetimes <- function(formula, dist, weights = NULL) {
  call <- list(as.formula(formula), data = p, dist = dist,
    control = survreg.control(rel.tolerance = 1e-14, maxiter = 100))
  if (!is.null(weights)) call$weights <- as.name(weights)
  m <- do.call(survreg, call)
  a <- summary(m)$table
  list(formula = formula, dist = dist, weights = weights, n = nobs(m), scale = num(m$scale),
    loglik_null = num(m$loglik[1]), loglik = num(m$loglik[2]), aic = num(AIC(m)),
    coef = data.frame(term = rownames(a), coef = num(a[, 1]), se = num(a[, 2]), stat = num(a[, 3]),
      p = num(a[, 4]), row.names = NULL))
}
out(list(
  weibull = lifetimes("Surv(time, event) ~ age + sex * arm", "weibull"),
  exponential = lifetimes("Surv(time, event) ~ age + sex * arm", "exponential"),
  offset = lifetimes("Surv(time, event) ~ sex + bmi + offset(log(months))", "weibull"),
  weights = lifetimes("Surv(time, event) ~ age + arm", "weibull", "months"),
  transformed = lifetimes("Surv(time, event) ~ log(age) + I(bmi > 25)", "exponential")),
  "survreg.json")
