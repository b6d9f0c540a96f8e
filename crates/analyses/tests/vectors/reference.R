# Makes the made-up patients and the reference numbers of the vectors beside it.
# Run in this folder: Rscript reference.R (R 4.2, survival, jsonlite).
suppressMessages({library(survival); library(jsonlite)})
RNGversion("4.0.0")
set.seed(20)

centres <- c(80, 60, 40, 34, 20, 7, 3)
n <- sum(centres)
d <- data.frame(centre7 = rep(seq_along(centres), centres))
d$centre3 <- c(1, 2, 3, 3, 2, 3, 1)[d$centre7]
d$age <- round(pmin(pmax(rnorm(n, 62, 11), 25), 95), 1)
d$sex <- sample(c("F", "M"), n, TRUE)
d$arm <- sample(c("A", "B", "C"), n, TRUE, c(.4, .35, .25))
d$bmi <- round(pmin(pmax(27 + .05 * (d$age - 62) + 2 * (d$sex == "M") - (d$arm == "B") +
  rnorm(n, 0, 3.5), 15), 50), 1)
d$months <- round(runif(n, 1, 36))
d$visits <- rpois(n, d$months * exp(-2 + .01 * (d$age - 62) + .3 * (d$arm == "C")))
d$died <- rbinom(n, 1, plogis(-.6 + .05 * (d$age - 62) + .5 * (d$sex == "M") - .6 * (d$arm == "B")))
d$time <- round(pmin(rexp(n, ifelse(d$arm == "A", .06, .035)), runif(n, 5, 40)))
d$event <- rbinom(n, 1, .7)
d$event[d$time >= 38] <- 0
# one centre without events
d$died[d$centre7 == 6] <- 0
d$event[d$centre7 == 6] <- 0
# a group with too few patients, one with too few events, and in the dictionary one without anyone
d$stage <- sample(c("I", "II"), n, TRUE)
d$stage[sample(which(d$event == 0), 25)] <- "III"
d$stage[sample(which(d$stage == "III"), 4)] <- "IV"
d$stage[sample(which(d$event == 1), 6)] <- "III"
# seldom yes in every arm, in one so seldom that it must be hidden; two patients without an answer
d$rare <- ifelse(runif(n) < c(A = .25, B = .06, C = .3)[d$arm], "yes", "no")
d$rare[c(5, 100)] <- NA
d$age[c(7, 23, 81, 90, 112, 150, 151, 170, 200, 210, 215, 230)] <- NA
d$half_age <- round(d$age / 2, 2)
d$old <- as.integer(d$age > 62)
d$constant <- 4L
d$entry <- pmin(floor(d$time * (seq_len(n) %% 4) / 8), d$time - 1)
d$sex <- factor(d$sex)
d <- cbind(id = sprintf("P%03d", seq_len(n)), d)
write.csv(d, "patients.csv", row.names = FALSE, quote = FALSE, na = "")

# a curve that runs level at one half and ends at 0, with ten patients left to die; a second one
# with ties and censorings
level <- data.frame(
  centre3 = rep(1:3, 20),
  group = rep(c("X", "Y"), each = 30),
  time = c(rep(1, 10), rep(2, 5), rep(4, 5), rep(5, 10), rep(1:6, each = 5)),
  event = c(rep(1, 30), rep(c(1, 1, 1, 0, 1), 6)))
write.csv(level, "level.csv", row.names = FALSE, quote = FALSE)

num <- function(x) ifelse(is.finite(x), signif(as.numeric(x), 13), NA)
coefs <- function(m) {
  a <- summary(m)$coefficients
  data.frame(term = rownames(a), coef = num(a[, 1]), se = num(a[, 2]), stat = num(a[, 3]),
    p = num(a[, 4]), row.names = NULL)
}
describe <- function(x) {
  q <- unname(quantile(x, c(.25, .5, .75), na.rm = TRUE))
  list(n = sum(!is.na(x)), missing = sum(is.na(x)), mean = num(mean(x, na.rm = TRUE)),
    sd = num(sd(x, na.rm = TRUE)), q25 = num(q[1]), median = num(q[2]), q75 = num(q[3]))
}
fit_lm <- function(formula) {
  m <- lm(as.formula(formula), d)
  s <- summary(m)
  list(formula = formula, n = nobs(m), r2 = num(s$r.squared), adj_r2 = num(s$adj.r.squared),
    sigma = num(s$sigma), rss = num(deviance(m)), f = num(s$fstatistic[1]),
    f_p = num(pf(s$fstatistic[1], s$fstatistic[2], s$fstatistic[3], lower.tail = FALSE)),
    loglik = num(logLik(m)), aic = num(AIC(m)), bic = num(BIC(m)), coef = coefs(m))
}
fit_glm <- function(formula, family) {
  m <- glm(as.formula(formula), family, d, control = glm.control(epsilon = 1e-14, maxit = 50))
  list(formula = formula, family = family$family, n = nobs(m), events = sum(m$y),
    deviance = num(m$deviance), null_deviance = num(m$null.deviance), loglik = num(logLik(m)),
    aic = num(AIC(m)), bic = num(BIC(m)), coef = coefs(m))
}
fit_cox <- function(formula, ties = "efron") {
  m <- coxph(as.formula(formula), d, ties = ties, control = coxph.control(
    eps = 1e-13, toler.chol = 1e-14, iter.max = 50))
  a <- summary(m)$coefficients
  list(formula = formula, ties = ties, n = m$n, events = m$nevent, loglik_null = num(m$loglik[1]),
    loglik = num(m$loglik[2]), coef = data.frame(term = rownames(a), coef = num(a[, 1]),
      se = num(a[, 3]), stat = num(a[, 4]), p = num(a[, 5]), row.names = NULL))
}
curve <- function(formula, data) {
  f <- survfit(as.formula(formula), data, conf.type = "log")
  t <- summary(f)$table
  keep <- c("records", "events", "median", "0.95LCL", "0.95UCL")
  if (is.null(dim(t))) as.list(t[keep]) else apply(t[, keep], 1, as.list)
}
points <- function(formula, data, file) {
  s <- summary(survfit(as.formula(formula), data, conf.type = "log"))
  k <- data.frame(stratum = if (is.null(s$strata)) "all" else as.character(s$strata),
    time = s$time, n_risk = s$n.risk, n_event = s$n.event, surv = signif(s$surv, 13),
    se = signif(s$std.err, 13), lower95 = signif(s$lower, 13), upper95 = signif(s$upper, 13))
  write.csv(k, file, row.names = FALSE, quote = FALSE)
}
test <- function(formula, data) {
  x <- survdiff(as.formula(formula), data)
  df <- length(x$n) - 1
  list(observed = x$obs, expected = num(x$exp), chisq = num(x$chisq), df = df,
    p = num(pchisq(x$chisq, df, lower.tail = FALSE)))
}
out <- function(what, file) {
  write(toJSON(what, auto_unbox = TRUE, digits = NA, na = "null", pretty = TRUE), file)
}

out(lapply(d[c("age", "bmi", "months", "visits", "half_age", "constant")], describe), "summary.json")
by_arm <- function(v) lapply(split(d[[v]], d$arm), describe)
levels_by_arm <- function(v) lapply(split(d[[v]], d$arm), function(x)
  c(as.list(table(x)), list(missing = sum(is.na(x)))))
out(list(n = as.list(table(d$arm)), age = by_arm("age"), bmi = by_arm("bmi"),
  sex = levels_by_arm("sex"), rare = levels_by_arm("rare"), stage = levels_by_arm("stage")),
  "table1.json")
out(list(interaction = fit_lm("bmi ~ age * sex + arm"), transformed =
  fit_lm("log(months) ~ I(age^2) + arm"), origin = fit_lm("bmi ~ age + sex - 1"),
  alone = fit_lm("months ~ age")), "lm.json")
out(list(
  binomial = fit_glm("died ~ age + sex * arm", binomial()),
  category = fit_glm("sex ~ age + bmi", binomial()),
  poisson = fit_glm("visits ~ age + sex + arm", poisson()),
  offset = fit_glm("visits ~ age + sex + arm + offset(log(months))", poisson())), "glm.json")
out(list(
  plain = fit_cox("Surv(time, event) ~ age + sex * arm"),
  breslow = fit_cox("Surv(time, event) ~ age + sex * arm", "breslow"),
  strata = fit_cox("Surv(time, event) ~ age + bmi + strata(arm)"),
  centres = fit_cox("Surv(time, event) ~ age + sex + strata(centre3)"),
  offset = fit_cox("Surv(time, event) ~ sex + arm + offset(log(months))"),
  entry = fit_cox("Surv(entry, time, event) ~ age + arm"),
  entry_breslow = fit_cox("Surv(entry, time, event) ~ age + arm", "breslow"),
  strata_breslow = fit_cox("Surv(time, event) ~ age + bmi + strata(arm)", "breslow")), "cox.json")
kept <- subset(d, stage %in% c("I", "II", "III"))
points("Surv(time, event) ~ arm", d, "km_arm.csv")
points("Surv(time, event) ~ 1", d, "km_all.csv")
points("Surv(time, event) ~ group", level, "km_level.csv")
out(list(all = curve("Surv(time, event) ~ 1", d), arm = curve("Surv(time, event) ~ arm", d),
  arm_test = test("Surv(time, event) ~ arm", d), stage = curve("Surv(time, event) ~ stage", d),
  stage_test = test("Surv(time, event) ~ stage", kept),
  level = curve("Surv(time, event) ~ group", level),
  level_test = test("Surv(time, event) ~ group", level)), "km.json")
