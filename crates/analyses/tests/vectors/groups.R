# Reference numbers of the comparisons of groups on the made-up patients beside it.
# Run in this folder: Rscript groups.R (R 4.2, car, pROC, jsonlite).
suppressMessages({library(jsonlite); library(car); library(pROC)})
d <- read.csv("patients.csv", stringsAsFactors = TRUE)
d$died2 <- factor(d$died); d$old2 <- factor(d$old)
num <- function(x) ifelse(is.finite(x), signif(as.numeric(x), 14), NA)
cases <- list()
# one case: the request, where its numbers are, and the numbers
case <- function(request, expect, row = 0, table = "tidy", network = "both") {
  request$id <- "test"
  cases[[length(cases) + 1]] <<- list(request = request, table = table, row = row,
    network = network, expect = lapply(expect, num))
}

t_case <- function(h, request, extra = list()) case(request, c(list(statistic = h$statistic,
  p.value = h$p.value, parameter = h$parameter, conf.low = h$conf.int[1],
  conf.high = h$conf.int[2], stderr = h$stderr), extra))
f <- function(kind, formula, ...) c(list(kind = kind, formula = formula), list(...))
h <- t.test(bmi ~ sex, d)
t_case(h, f("t_test", "bmi ~ sex"), list(estimate = h$estimate[1] - h$estimate[2]))
t_case(t.test(bmi ~ sex, d, var.equal = TRUE), f("t_test", "bmi ~ sex", var_equal = TRUE))
t_case(t.test(d$bmi, mu = 25), f("t_test", "bmi ~ 1", mu = 25))
h <- t.test(d$age, d$bmi, paired = TRUE)
t_case(h, list(kind = "t_test", variables = c("age", "bmi"), paired = TRUE))
# Hedges' effect size and its interval, written out
hedges <- function(x, y) {
  n <- length(x); m <- length(y); df <- n + m - 2
  s <- sqrt(((n - 1) * var(x) + (m - 1) * var(y)) / df)
  g <- (mean(x) - mean(y)) / s * (1 - 3 / (4 * df - 1))
  e <- sqrt((n + m) / (n * m) + g^2 / (2 * (n + m)))
  list(effect.size = g, effect.low = g - qnorm(.975) * e, effect.high = g + qnorm(.975) * e)
}
case(f("t_test", "bmi ~ sex"), hedges(d$bmi[d$sex == "F"], d$bmi[d$sex == "M"]))

m <- anova(aov(bmi ~ arm, d)); w <- oneway.test(bmi ~ arm, d)
case(f("oneway", "bmi ~ arm"), list(statistic = m$F[1], p.value = m$`Pr(>F)`[1], num.df = m$Df[1],
  den.df = m$Df[2], sumsq = m$`Sum Sq`[1], sumsq.residual = m$`Sum Sq`[2],
  eta.squared = m$`Sum Sq`[1] / sum(m$`Sum Sq`),
  omega.squared = (m$`Sum Sq`[1] - m$Df[1] * m$`Mean Sq`[2]) / (sum(m$`Sum Sq`) + m$`Mean Sq`[2])))
case(f("oneway", "bmi ~ arm"), list(statistic = w$statistic, num.df = w$parameter[1],
  den.df = w$parameter[2], p.value = w$p.value), row = 1)
for (center in c("median", "mean")) {
  l <- leveneTest(age ~ arm, d, center = get(center))
  case(f("levene", "age ~ arm", center = center), list(statistic = l$`F value`[1],
    p.value = l$`Pr(>F)`[1], df = l$Df[1], df.residual = l$Df[2]))
}

h <- wilcox.test(age ~ sex, d, exact = FALSE)
n <- table(d$sex[!is.na(d$age)])
case(f("wilcox", "age ~ sex"), list(statistic = h$statistic, p.value = h$p.value,
  prob.superiority = h$statistic / prod(n), rank.biserial = 2 * h$statistic / prod(n) - 1))
h <- wilcox.test(visits ~ sex, d, exact = FALSE)
case(f("wilcox", "visits ~ sex"), list(statistic = h$statistic, p.value = h$p.value))
h <- kruskal.test(visits ~ arm, d)
case(f("kruskal", "visits ~ arm"), list(statistic = h$statistic, p.value = h$p.value,
  parameter = h$parameter, epsilon.squared = h$statistic / (nrow(d) - 1)))
# Dunn's comparisons, written out, adjusted by R's Holm
r <- rank(d$visits); N <- length(r); t <- table(d$visits)
v <- N * (N + 1) / 12 * (1 - sum(t^3 - t) / (N^3 - N))
z <- function(a, b) (mean(r[d$arm == a]) - mean(r[d$arm == b])) /
  sqrt(v * (1 / sum(d$arm == a) + 1 / sum(d$arm == b)))
z <- c(z("A", "B"), z("A", "C"), z("B", "C")); p <- 2 * pnorm(-abs(z))
for (i in 1:3) case(f("kruskal", "visits ~ arm"), list(statistic = z[i], p.value = p[i],
  adj.p.value = p.adjust(p, "holm")[i]), row = i - 1, table = "pairs")
h <- suppressWarnings(wilcox.test(d$months, d$time, paired = TRUE, exact = FALSE))
case(list(kind = "signed_rank", variables = c("months", "time")),
  list(statistic = h$statistic, p.value = h$p.value))
# in tenths: differences of binary fractions would not be tied where the numbers are
h <- suppressWarnings(wilcox.test(round(10 * d$bmi) - 275, exact = FALSE))
case(f("signed_rank", "bmi ~ 1", mu = 27.5), list(statistic = h$statistic, p.value = h$p.value))
h <- suppressWarnings(ks.test(d$age[d$sex == "F"], d$age[d$sex == "M"], exact = FALSE))
case(f("ks", "age ~ sex"), list(statistic = h$statistic, p.value = h$p.value))
h <- suppressWarnings(ks.test(d$time[d$sex == "F"], d$time[d$sex == "M"], exact = FALSE))
case(f("ks", "time ~ sex"), list(statistic = h$statistic, p.value = h$p.value))
for (marker in c("age", "visits")) {
  a <- roc(d$died, d[[marker]], direction = "<", quiet = TRUE)
  i <- ci.auc(a)
  case(f("roc", paste(marker, "~ died")), list(estimate = a$auc, std.error = sqrt(var(a)),
    conf.low = i[1], conf.high = i[3], cases = sum(d$died[!is.na(d[[marker]])])))
}

h <- chisq.test(d$arm, d$sex)
case(f("chisq", "arm ~ sex"), list(statistic = h$statistic, p.value = h$p.value,
  parameter = h$parameter, cramer.v = sqrt(h$statistic / nrow(d))))
h <- chisq.test(d$died, d$sex); u <- chisq.test(d$died, d$sex, correct = FALSE)
case(f("chisq", "died ~ sex"), list(statistic = h$statistic, p.value = h$p.value,
  statistic.uncorrected = u$statistic, p.value.uncorrected = u$p.value,
  cramer.v = sqrt(u$statistic / nrow(d))))
h <- fisher.test(d$died, d$sex)
# fisher.test finds its roots to 4 digits only: the same equations, solved further
b <- table(d$died, d$sex)
x <- max(0, sum(b[1, ]) + sum(b[, 1]) - sum(b)):min(sum(b[1, ]), sum(b[, 1]))
w <- dhyper(x, sum(b[, 1]), sum(b[, 2]), sum(b[1, ]), log = TRUE)
q <- function(l) { e <- w + x * l; e <- exp(e - max(e)); e / sum(e) }
at <- function(g) exp(uniroot(g, c(-20, 20), tol = 1e-15)$root)
stopifnot(abs(at(function(l) sum(x * q(l)) - b[1, 1]) / h$estimate - 1) < 1e-3)
case(f("fisher", "died ~ sex"), list(p.value = h$p.value,
  estimate = at(function(l) sum(x * q(l)) - b[1, 1]),
  conf.low = at(function(l) sum(q(l)[x >= b[1, 1]]) - .025),
  conf.high = at(function(l) .025 - sum(q(l)[x <= b[1, 1]]))))
h <- fisher.test(d$arm, d$sex)
case(f("fisher", "arm ~ sex"), list(p.value = h$p.value))
h <- mcnemar.test(table(d$died, d$old))
b <- table(d$died, d$old)
case(list(kind = "mcnemar", variables = c("died", "old")), list(statistic = h$statistic,
  p.value = h$p.value, p.value.exact = binom.test(b[1, 2], b[1, 2] + b[2, 1])$p.value))
cmh <- function(z, strata, network = "both") {
  h <- mantelhaen.test(d$died, d$sex, z); u <- mantelhaen.test(d$died, d$sex, z, correct = FALSE)
  case(f("cmh", paste("died ~ sex +", strata)), list(statistic = h$statistic,
    p.value = h$p.value, estimate = h$estimate, conf.low = h$conf.int[1],
    conf.high = h$conf.int[2], statistic.uncorrected = u$statistic), network = network)
}
cmh(d$arm, "arm")
cmh(factor(d$centre3), "centre", "three")

cor_case <- function(x, y, row) {
  k <- complete.cases(d[c("age", "bmi", "months")])
  h <- cor.test(d[k, x], d[k, y])
  case(list(kind = "cor", variables = c("age", "bmi", "months")), list(estimate = h$estimate,
    statistic = h$statistic, p.value = h$p.value, conf.low = h$conf.int[1],
    conf.high = h$conf.int[2], parameter = h$parameter), row = row)
}
cor_case("age", "bmi", 0); cor_case("age", "months", 1); cor_case("bmi", "months", 2)
h <- suppressWarnings(cor.test(d$visits, d$months, method = "spearman", exact = FALSE))
r <- unname(h$estimate)
case(list(kind = "spearman", variables = c("visits", "months")),
  list(estimate = r, p.value = h$p.value))
v <- c("age", "bmi", "months", "visits")
p <- prcomp(d[complete.cases(d[v]), v], scale. = TRUE)
for (i in 1:4) case(list(kind = "pca", variables = v), list(sdev = p$sdev[i],
  percent = p$sdev[i]^2 / 4), row = i - 1)
for (i in 1:4) { x <- p$rotation[, i]; x <- x * sign(x[which.max(abs(x))])
  for (j in 1:4) case(list(kind = "pca", variables = v), list(loading = x[j]),
    row = (i - 1) * 4 + j - 1, table = "rotation") }
# a model that somebody else has fitted, judged on these patients
b <- c(-3.2, .045, .35)
k <- complete.cases(d[c("age", "sex")])
lp <- b[1] + b[2] * d$age[k] + b[3] * (d$sex[k] == "M"); y <- d$died[k]; p <- plogis(lp)
a <- roc(y, round(p, 3), direction = "<", quiet = TRUE); i <- ci.auc(a)
tight <- glm.control(epsilon = 1e-14, maxit = 50)
large <- summary(glm(y ~ 1, binomial, offset = lp, control = tight))$coefficients
slope <- summary(glm(y ~ lp, binomial, control = tight))$coefficients
v <- function(row, expect, table = "tidy") case(list(kind = "validate", formula = "died ~ age + sex",
  coefficients = b), expect, row = row, table = table)
v(0, list(estimate = a$auc, std.error = sqrt(var(a)), conf.low = i[1], conf.high = i[3]))
v(1, list(estimate = mean((p - y)^2)))
v(2, list(estimate = sum(y) / sum(p)))
v(3, list(estimate = large[1, 1], std.error = large[1, 2], p.value = large[1, 4]))
v(4, list(estimate = slope[2, 1], std.error = slope[2, 2]))
v(0, list(nobs = sum(k), cases = sum(y)), table = "glance")
# bands of risk: limits with ten cases and ten controls since the last shown one and beyond
band <- pmin(floor(round(p, 3) * 20 + 1e-9), 19); rows <- list(); from <- 0
for (k in 1:19) {
  since <- band >= from & band < k; left <- band >= k
  if (min(table(factor(y[since], 0:1)), table(factor(y[left], 0:1))) >= 10) {
    rows[[length(rows) + 1]] <- c(from, k); from <- k }
}
rows[[length(rows) + 1]] <- c(from, 20)
for (i in seq_along(rows)) { r <- rows[[i]]; k <- band >= r[1] & band < r[2]
  v(i - 1, list(risk.from = r[1] / 20, risk.to = r[2] / 20, n = sum(k), cases = sum(y[k]),
    observed = mean(y[k])), table = "calibration")
  if (i > 1) { t <- r[1] / 20; a <- band >= r[1]
    v(i - 2, list(threshold = t, net.benefit = (sum(y[a]) - sum(!y[a]) * t / (1 - t)) / length(y),
      treat.all = (sum(y) - sum(!y) * t / (1 - t)) / length(y)), table = "benefit") }
}
# each centre by the model of the others
k <- complete.cases(d[c("age", "sex")]); e <- d[k, ]; lp <- rep(NA, nrow(e))
for (one in unique(e$centre7)) { out_ <- e$centre7 == one
  lp[out_] <- predict(glm(died ~ age + sex, binomial, e[!out_, ], control = tight), e[out_, ]) }
y <- e$died; p <- plogis(lp); a <- roc(y, round(p, 3), direction = "<", quiet = TRUE)
large <- summary(glm(y ~ 1, binomial, offset = lp, control = tight))$coefficients
slope <- summary(glm(y ~ lp, binomial, control = tight))$coefficients
l <- function(row, expect, table = "tidy") case(list(kind = "leave_out", formula = "died ~ age + sex"),
  expect, row = row, table = table, network = "seven")
l(0, list(estimate = a$auc, std.error = sqrt(var(a))))
l(1, list(estimate = mean((p - y)^2)))
l(2, list(estimate = sum(y) / sum(p)))
l(3, list(estimate = large[1, 1], std.error = large[1, 2]))
l(4, list(estimate = slope[2, 1], std.error = slope[2, 2]))
l(0, list(nobs = sum(k), cases = sum(y)), table = "glance")
# Table 1: standardised differences by the formulas of Austin (2009) and of Yang and Dalton (2012),
# averaged over pairs; F tests, chi-squared tests
pairs_mean <- function(groups, distance) mean(combn(length(groups), 2, function(k)
  distance(groups[[k[1]]], groups[[k[2]]])))
smd_number <- function(a, b) abs(mean(a) - mean(b)) / sqrt((var(a) + var(b)) / 2)
smd_levels <- function(a, b) {
  p <- prop.table(table(a))[-1]; q <- prop.table(table(b))[-1]
  if (length(p) == 1) s <- (p * (1 - p) + q * (1 - q)) / 2 else
    s <- (diag(p) - p %o% p + diag(q) - q %o% q) / 2
  sqrt(c(t(p - q) %*% solve(s) %*% (p - q)))
}
compare <- function(formula, by, name, row) {
  k <- !is.na(d[[name]]) & !is.na(d[[by]]); x <- d[[name]][k]; g <- factor(d[[by]][k])
  if (is.factor(x) || length(unique(x)) == 2) {
    x <- factor(x); h <- suppressWarnings(chisq.test(x, g))
    e <- list(smd = pairs_mean(split(x, g), smd_levels), statistic = h$statistic,
      df = h$parameter, p.value = h$p.value)
  } else {
    h <- oneway.test(x ~ g, var.equal = TRUE)
    e <- list(smd = pairs_mean(split(x, g), smd_number), statistic = h$statistic,
      df = h$parameter[1], df.residual = h$parameter[2], p.value = h$p.value)
  }
  case(list(kind = "table1", formula = formula, smd = TRUE, tests = TRUE), e, row = row,
    table = "comparison")
}
compare("sex ~ age + arm + died + bmi", "sex", "age", 0)
compare("sex ~ age + arm + died + bmi", "sex", "arm", 1)
compare("sex ~ age + arm + died + bmi", "sex", "died", 2)
compare("sex ~ age + arm + died + bmi", "sex", "bmi", 3)
compare("arm ~ bmi + sex", "arm", "bmi", 0)
compare("arm ~ bmi + sex", "arm", "sex", 1)
# counts in bins; sensitivity and specificity at cutoffs
h <- hist(d$age, breaks = c(18 + 8.2 * 0:9, 18 + 8.2 * 10), right = FALSE, include.lowest = TRUE, plot = FALSE)
for (i in seq_along(h$counts)) if (h$counts[i] > 12) case(list(kind = "histogram",
  variables = list("age"), bins = 10), list(n = h$counts[i], from = h$breaks[i]), row = i - 1, table = "histogram")
case(list(kind = "histogram", variables = list("age"), bins = 10), list(missing = sum(is.na(d$age))),
  table = "glance")
k <- !is.na(d$age)
for (cut in c(55, 64.5)) { # below 50 are too few cases to be shown
  t <- d$age[k] >= cut - 1e-9; y <- d$died[k] == 1
  case(list(kind = "roc", formula = "age ~ died", cutoffs = c(64.5, 55, 50)),
    list(cutoff = cut, sensitivity = mean(t[y]), specificity = mean(!t[!y]), ppv = mean(y[t]),
      npv = mean(!y[!t])), row = match(cut, c(50, 55, 64.5)) - 1, table = "cutoffs") }
# concordance: of one number, and of a model whose predictor is rounded to the public grid
library(survival)
m <- concordance(Surv(time, event) ~ age, d, reverse = TRUE)
k <- complete.cases(d[c("time", "event", "age")])
case(list(kind = "concordance", formula = "Surv(time, event) ~ age"), list(estimate = m$concordance,
  std.error = sqrt(m$var), nobs = sum(k), nevent = sum(d$event[k])))
b <- c(.05, .3); levels <- 65536 %/% 41; reach <- .05 * 41 + .3
d$lp <- round(((b[1] * (d$age - 59) + b[2] * (d$sex == "M")) / reach + 1) / 2 * (levels - 1))
m <- concordance(Surv(time, event) ~ lp, d, reverse = TRUE)
case(list(kind = "concordance", formula = "Surv(time, event) ~ age + sex", coefficients = b),
  list(estimate = m$concordance, std.error = sqrt(m$var), pairs = sum(m$count[1:3])))
file_of <- function(kind) if (kind == "table1") "table1_comparison.json" else paste0(kind, ".json")
for (kind in unique(sapply(cases, function(x) x$request$kind)))
  write_json(Filter(function(x) x$request$kind == kind, cases), file_of(kind),
    auto_unbox = TRUE, digits = NA, na = "null", pretty = TRUE)
