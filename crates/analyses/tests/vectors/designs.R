# Random designs with ties, weights, strata and empty cells over 2 to 7 centres, and what R says of them.
# Run in this folder: Rscript designs.R (R 4.2, survival, jsonlite).
suppressMessages({library(survival); library(jsonlite)})
num <- function(x) ifelse(is.finite(x), signif(as.numeric(x), 14), NA)
table_of <- function(a) data.frame(term = rownames(a), coef = num(a[, 1]), se = num(a[, 2]),
  stat = num(a[, 3]), p = num(a[, 4]), row.names = NULL)
tight <- glm.control(epsilon = 1e-14, maxit = 100)
set.seed(20261127)
all <- NULL; out <- list()
for (k in 1:12) {
  n <- sample(160:420, 1); parties <- 2 + (k - 1) %% 6
  d <- data.frame(design = k, centre = sample(parties, n, TRUE, prob = runif(parties, .3, 1)))
  # one centre with three patients, one that has nobody of a level
  if (parties > 2) d$centre[d$centre == parties & cumsum(d$centre == parties) > 3] <- 1
  d$x1 <- round(rnorm(n, 50, 12), 1); d$x2 <- rpois(n, 4)
  d$g <- sample(c("a", "b", "c"), n, TRUE, prob = c(.5, .3, .2))
  d$g[d$g == "c" & d$centre == 2] <- "a"
  d$h <- sample(c("u", "v"), n, TRUE)
  d$w <- sample(0:4, n, TRUE, prob = c(.1, .4, .3, .1, .1))
  d$y <- round(10 + .2 * d$x1 + 2 * (d$g == "b") + rnorm(n, 0, 4), 2)
  d$b <- rbinom(n, 1, plogis(-3 + .05 * d$x1 + .5 * (d$g == "c") - .4 * (d$h == "v")))
  d$fu <- sample(1:12, n, TRUE)
  d$cnt <- rpois(n, d$fu * exp(-1.2 + .08 * d$x2 + .2 * (d$h == "v")))
  # few times, many ties
  t <- rexp(n, .06 * exp(.02 * (d$x1 - 50) + .4 * (d$g == "b")))
  d$t <- pmin(pmax(1, ceiling(t / if (k %% 2) 1 else 4)), 24); d$e <- rbinom(n, 1, .75)
  # a centre without events
  d$e[d$centre == 2] <- 0; d$b[d$centre == 2] <- 0
  for (v in c("g", "h")) d[[v]] <- factor(d[[v]])
  both <- function(ties) {
    m <- coxph(Surv(t, e) ~ x1 + g + strata(h), d, ties = ties,
      control = coxph.control(eps = 1e-13, toler.chol = 1e-14, iter.max = 60))
    table_of(summary(m)$coefficients[, -2])
  }
  m <- lm(y ~ x1 + g, d, weights = w)
  k2 <- kruskal.test(x2 ~ g, d); l <- survdiff(Surv(t, e) ~ h, d); tt <- t.test(y ~ h, d)
  cs <- chisq.test(d$g, d$h, correct = FALSE)
  out[[k]] <- list(design = k, parties = parties, n = n,
    lm = table_of(summary(m)$coefficients),
    binomial = table_of(summary(glm(b ~ x1 + g + h, binomial, d, control = tight))$coefficients),
    poisson = table_of(summary(glm(cnt ~ x2 + h + offset(log(fu)), poisson, d, control = tight))$coefficients),
    breslow = both("breslow"), efron = both("efron"),
    kruskal = num(k2$statistic), logrank = num(l$chisq), t = num(tt$statistic), t_df = num(tt$parameter),
    chisq = num(cs$statistic))
  all <- rbind(all, d)
}
write.csv(all, "designs.csv", row.names = FALSE, quote = FALSE)
write(toJSON(out, auto_unbox = TRUE, digits = NA, na = "null"), "designs.json")
