# Reference numbers of penalised regression: R's glmnet, iterated tightly, folds within centres.
# Run in this folder: Rscript elastic_net.R (R 4.2; packages as loaded below).
suppressMessages({library(glmnet); library(jsonlite)})

# made-up patients at seven centres, one of three patients; markers that go together
set.seed(31)
sizes <- c(90, 80, 60, 50, 40, 37, 3)
n <- sum(sizes)
z <- rnorm(n)
d <- data.frame(id = sprintf("E%03d", seq_len(n)), centre = rep(seq_along(sizes), sizes),
  age = round(pmin(pmax(rnorm(n, 60, 10), 20), 95)), marker1 = round(50 + 8 * z + 4 * rnorm(n), 1),
  marker2 = round(50 + 8 * z + 5 * rnorm(n), 1), marker3 = round(50 + 10 * rnorm(n), 1),
  marker4 = round(50 - 5 * z + 8 * rnorm(n), 1), marker5 = round(50 + 10 * rnorm(n), 1),
  level = sample(c("low", "middle", "high"), n, TRUE))
d$pressure <- round(120 + 0.3 * d$age + 0.5 * d$marker1 - 0.25 * d$marker3 +
  4 * (d$level == "high") + 12 * rnorm(n), 1)
d$ill <- rbinom(n, 1, plogis(-1 + 0.06 * (d$marker1 - 50) - 0.04 * (d$marker3 - 50) + 0.6 * (d$level == "high")))
d$marker5[c(5, 200)] <- NA
write.csv(d, "elastic_net.csv", row.names = FALSE, quote = FALSE, na = "")
d$level <- factor(d$level, levels = c("low", "middle", "high"))

# Park and Miller's generator; each centre draws a number for each of its complete rows, and the
# rows in the order of these numbers go to the folds in turn
foldid_of <- function(centre, folds, seed) {
  id <- integer(length(centre))
  for (c in sort(unique(centre))) {
    state <- seed + c - 1
    rows <- which(centre == c)
    keys <- sapply(rows, function(i) { state <<- (state * 48271) %% 2147483647; state })
    id[rows[order(keys)]] <- (seq_along(rows) - 1) %% folds + 1
  }
  id
}
ratios <- function(count = 25, least = 1e-4) least^((seq_len(count) - 1) / (count - 1))
case <- function(formula, family, alpha, folds = 5, seed = 1, lambda = NULL) {
  frame <- model.frame(as.formula(formula), d)
  x <- model.matrix(as.formula(formula), frame)[, -1]
  y <- model.response(frame)
  id <- foldid_of(d$centre[as.integer(rownames(frame))], folds, seed)
  sd1 <- function(v) sqrt(mean((v - mean(v))^2))
  top <- max(abs(cor(x, y))) * sd1(y) / max(alpha, 0.001)
  grid <- if (is.null(lambda)) top * ratios() else c(10 * lambda, lambda)
  m <- cv.glmnet(x, y, family = family, alpha = alpha, lambda = grid, foldid = id, thresh = 1e-22,
    maxit = 1e7, keep = FALSE, type.measure = if (family == "gaussian") "mse" else "deviance")
  of <- function(s) as.numeric(coef(m, s = s))
  shown <- if (is.null(lambda)) seq_along(grid) else 2
  at <- if (is.null(lambda)) c(m$lambda.min, m$lambda.1se) else c(lambda, lambda)
  stopifnot(isTRUE(all.equal(m$lambda, grid)))
  cat(formula, family, "alpha", alpha, "at", match(at, m$lambda), "of", length(grid), "nonzero",
    m$nzero[match(at, m$lambda)], "\n")
  list(formula = formula, family = family, alpha = alpha, folds = folds, seed = seed, lambda = lambda,
    n = length(y), lambda_min = at[1], lambda_1se = at[2], terms = c("(Intercept)", colnames(x)),
    coef_min = of(at[1]), coef_1se = of(at[2]), curve = data.frame(lambda = m$lambda, mean = m$cvm,
    se = m$cvsd, nonzero = as.integer(m$nzero))[shown, ])
}
all <- "pressure ~ age + marker1 + marker2 + marker3 + marker4 + marker5 + level"
write(toJSON(list(
  lasso = case(all, "gaussian", 1),
  elastic = case(all, "gaussian", 0.5, folds = 4, seed = 9),
  ridge = case(all, "gaussian", 0),
  few = case("pressure ~ age + marker1 + marker2", "gaussian", 0.9, folds = 3),
  one_lambda = case(all, "gaussian", 1, lambda = 1.5)),
  auto_unbox = TRUE, digits = NA, pretty = TRUE, null = "null"), "elastic_net.json")

if (nzchar(Sys.getenv("TRY_ADMM"))) {
  frame <- model.frame(as.formula(all), d)
  X <- scale(model.matrix(as.formula(all), frame)[, -1]); y <- scale(model.response(frame))
  G <- cor(X); c0 <- cor(X, y); print(range(eigen(G)$values))
  for (alpha in c(1, 0.5)) for (rho in c(0.1, 0.2, 0.5, 1)) for (K in c(15, 25, 40, 60)) for (relax in c(1, 1.6)) {
    bad <- 0; worst <- 0
    for (l in max(abs(c0)) / alpha * ratios()) {
      Ki <- solve(G + rho * diag(ncol(G))); zz <- u <- rep(0, ncol(G))
      for (k in 1:K) {
        xx <- Ki %*% (c0 + rho * (zz - u)); h <- relax * xx + (1 - relax) * zz
        a <- h + u; t <- alpha * l / rho
        zz <- sign(a) * pmax(abs(a) - t, 0) / (1 + (1 - alpha) * l / rho); u <- u + h - zz
      }
      S <- which(zz != 0); b <- rep(0, ncol(G))
      if (length(S)) b[S] <- solve(G[S, S] + diag(l * (1 - alpha), length(S)), c0[S] - alpha * l * sign(zz[S]))
      g <- c0 - G %*% b - l * (1 - alpha) * b
      viol <- max(c(0, (abs(g) - alpha * l)[b == 0], (alpha * l - sign(b) * g)[b != 0], abs(b)[sign(b) != sign(zz)]))
      bad <- bad + (viol > 1e-9); worst <- max(worst, viol)
    }
    cat("alpha", alpha, "rho", rho, "K", K, "relax", relax, "bad", bad, "worst", worst, "\n")
  }
}
