# Made-up people with rare variants in sets, and the burden test, SKAT and SKAT-O of each set by the
# eigenvalues of the pooled covariance. Run from this folder:
#   Rscript burden.R > burden.json
library(jsonlite)
set.seed(20261128)
n <- 900
centre <- sample(rep(1:5, c(260, 240, 200, 150, 50)))
age <- round(runif(n, 20, 80), 1)
pc <- round(rnorm(n, 0, 0.8), 4)
sizes <- c(8, 3, 12, 1, 20, 5, 6)
set <- rep(seq_along(sizes), sizes)
m <- length(set)
frequency <- runif(m, 0.002, 0.015)
frequency[set == 6] <- 0.0005
genotypes <- sapply(frequency, function(p) rbinom(n, 2, pmin(0.5, p * exp(0.3 * pc))))
# neighbours that go together
genotypes[, 2] <- ifelse(runif(n) < 0.7, genotypes[, 1], genotypes[, 2])
genotypes[cbind(sample(n, 60), sample(m, 60, TRUE))] <- NA
g0 <- ifelse(is.na(genotypes), 0, genotypes)
weight <- round(runif(m, 0.2, 4), 3)
weight[set == 2] <- 1
effect <- ifelse(set == 1, 0.7, ifelse(set == 3, rep(c(1.2, -1.2), length.out = m), 0))
y <- round(0.02 * age + 0.4 * pc + drop(g0 %*% effect) + rnorm(n), 6)
ill <- rbinom(n, 1, plogis(-1.6 + 0.02 * age + 0.8 * rowSums(g0[, set == 1])))

# a quadratic form's tail by Liu, Tang and Zhang, with kurtosis matched (Lee and others 2012)
matched <- function(lambda) {
  c <- sapply(1:4, function(k) sum(lambda^k))
  s1 <- c[3] / c[2]^1.5; s2 <- c[4] / c[2]^2
  if (s1^2 > s2) {
    a <- 1 / (s1 - sqrt(s1^2 - s2)); d <- s1 * a^3 - a^2; l <- a^2 - 2 * d
  } else l <- 1 / s2
  list(mean = c[1], sd = sqrt(2 * c[2]), df = l)
}
tail_of <- function(q, m) pchisq((q - m$mean) / m$sd * sqrt(2 * m$df) + m$df, m$df, lower.tail = FALSE)
value_at <- function(p, m) (qchisq(p, m$df, lower.tail = FALSE) - m$df) / sqrt(2 * m$df) * m$sd + m$mean

tests <- function(score, k, variance) {
  e <- function(a) { v <- eigen(a, symmetric = TRUE)$values; v[v > 1e-12 * max(v)] }
  root <- { v <- eigen(k, symmetric = TRUE); v$vectors %*% diag(sqrt(pmax(v$values, 0)), nrow(k)) %*% t(v$vectors) }
  rhos <- c(0, 0.01, 0.04, 0.09, 0.16, 0.25, 0.5, 1)
  mixes <- lapply(rhos, function(r) matched(e(root %*% ((1 - r) * diag(nrow(k)) + r * 1) %*% root)))
  q <- sapply(rhos, function(r) ((1 - r) * sum(score^2) + r * sum(score)^2) / variance)
  p <- mapply(tail_of, q, mixes)
  burden <- pchisq(sum(score)^2 / (variance * sum(k)), 1, lower.tail = FALSE)
  out <- list(burden = burden, skat = p[1], estimate = sum(score) / sum(k), error = sqrt(variance / sum(k)))
  if (nrow(k) == 1) return(c(out, list(skat_o = burden)))
  # SKAT-O: the direction of the burden, and what is beside it
  z <- root; zbar <- rowSums(z)
  projector <- zbar %*% t(zbar) / sum(zbar^2)
  beside <- t(z) %*% (diag(nrow(z)) - projector) %*% z
  lambda <- e(beside)
  between <- 4 * sum(diag(t(z) %*% projector %*% z %*% beside))
  mu <- sum(lambda); v <- 2 * sum(lambda^2); df <- sum(lambda^2)^2 / sum(lambda^4)
  share <- sapply(rhos, function(r) r * sum(zbar^2) + (1 - r) * sum((t(zbar) %*% z)^2) / sum(zbar^2))
  bound <- mapply(value_at, min(p), mixes)
  end <- sqrt(max(0, bound[8] / share[8]))
  inner <- function(x) sapply(x, function(d) {
    least <- min((bound[-8] - share[-8] * d^2) / (1 - rhos[-8]))
    pchisq((least - mu) / sqrt(v + between) * sqrt(2 * df) + df, df, lower.tail = FALSE) * dnorm(d)
  })
  # piece by piece: the bound has corners
  cuts <- seq(0, end, length.out = 301)
  pieces <- mapply(function(a, b) integrate(inner, a, b, rel.tol = 1e-9, stop.on.error = FALSE)$value,
                   cuts[-301], cuts[-1])
  whole <- 2 * pnorm(end, lower.tail = FALSE) + 2 * sum(pieces)
  c(out, list(skat_o = min(1, length(rhos) * min(p), max(min(p), whole))))
}

x <- cbind(1, age, pc)
linear <- lm(y ~ age + pc); variance <- sum(resid(linear)^2) / (n - 3)
null <- glm(ill ~ age + pc, binomial, epsilon = 1e-14, maxit = 100)
w <- null$fitted.values * (1 - null$fitted.values)
rows <- lapply(seq_along(sizes), function(s) {
  d <- g0[, set == s, drop = FALSE] %*% diag(weight[set == s], sum(set == s))
  k <- crossprod(d) - crossprod(d, x) %*% solve(crossprod(x), crossprod(x, d))
  kw <- crossprod(d, w * d) - crossprod(d, w * x) %*% solve(crossprod(x, w * x), crossprod(x, w * d))
  list(carriers = sum(rowSums(g0[, set == s, drop = FALSE]) > 0),
       linear = tests(drop(crossprod(d, resid(linear))), k, variance),
       event = tests(drop(crossprod(d, ill - null$fitted.values)), kw, 1))
})
people <- data.frame(centre, age, pc, y, ill)
cat(toJSON(list(people = people, genotypes = ifelse(is.na(genotypes), 3, genotypes), set = set,
                weight = weight, sets = rows), digits = I(17), auto_unbox = TRUE, dataframe = "columns"), "\n")
