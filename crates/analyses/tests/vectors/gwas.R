# Made-up people, their genotypes, and what R says of each variant. Run from this folder:
#   Rscript gwas.R > gwas.json
library(jsonlite)
set.seed(20261127)
n <- 600; m <- 14
centre <- sample(rep(1:6, c(150, 130, 110, 100, 80, 30)))
age <- round(runif(n, 20, 80), 1)
pc <- round(rnorm(n, 0, 0.8), 4)
frequency <- c(0.4, 0.25, 0.1, 0.05, 0.02, runif(m - 5, 0.02, 0.5))
genotypes <- sapply(frequency, function(p) rbinom(n, 2, pmin(0.95, pmax(0.005, p + 0.04 * pc))))
genotypes[cbind(sample(n, 90), sample(m, 90, TRUE))] <- NA
g0 <- ifelse(is.na(genotypes), 0, genotypes)
y <- round(0.02 * age + 0.5 * pc + 0.4 * g0[, 1] - 0.3 * g0[, 3] + rnorm(n), 6)
ill <- rbinom(n, 1, plogis(-2.2 + 0.02 * age + 0.5 * g0[, 2]))
imputed <- apply(genotypes, 2, function(g) ifelse(is.na(g), mean(g, na.rm = TRUE), g))
null <- glm(ill ~ age + pc, binomial, epsilon = 1e-14, maxit = 100)
rows <- lapply(seq_len(m), function(j) {
  g <- imputed[, j]
  linear <- summary(lm(y ~ age + pc + g))$coefficients["g", ]
  df <- n - 4
  # the score test that anova(test = "Rao") prints, from its parts at the converged model
  w <- null$fitted.values * (1 - null$fitted.values)
  x <- cbind(1, age, pc)
  projected <- g - x %*% solve(crossprod(x, w * x), crossprod(x, w * g))
  score <- sum((ill - null$fitted.values) * g)
  variance <- sum(w * projected^2)
  rao <- anova(null, glm(ill ~ age + pc + g, binomial, epsilon = 1e-14, maxit = 100), test = "Rao")$Rao[2]
  stopifnot(abs(rao / (score^2 / variance) - 1) < 1e-6)
  list(observed = sum(!is.na(genotypes[, j])), alternative = sum(genotypes[, j], na.rm = TRUE),
       beta = linear[[1]], error = linear[[2]], statistic = linear[[3]],
       log10_p = -(log(2) + pt(-abs(linear[[3]]), df, log.p = TRUE)) / log(10),
       score_beta = score / variance, score_error = 1 / sqrt(variance), score_statistic = score / sqrt(variance),
       score_log10_p = -(log(2) + pnorm(-abs(score / sqrt(variance)), log.p = TRUE)) / log(10))
})
people <- data.frame(centre, age, pc, y, ill)
cat(toJSON(list(people = people, genotypes = ifelse(is.na(genotypes), 3, genotypes), variants = rows),
           digits = I(17), auto_unbox = TRUE, dataframe = "columns"), "\n")
