# Made-up people with linked genotypes, and R's squared correlations. Run from this folder:
#   Rscript ld.R > ld.json
library(jsonlite)
set.seed(20261128)
n <- 420; m <- 30
centre <- sample(rep(1:5, c(150, 120, 90, 53, 7)))
frequency <- runif(m, 0.08, 0.5)
haplotypes <- function() {
  z <- matrix(rnorm(n), n, 1)
  for (j in 2:m) {
    rho <- if (j %% 7 == 0) 0 else 0.93
    z <- cbind(z, rho * z[, j - 1] + sqrt(1 - rho^2) * rnorm(n))
  }
  sapply(seq_len(m), function(j) as.integer(z[, j] < qnorm(frequency[j])))
}
genotypes <- haplotypes() + haplotypes()
genotypes[cbind(sample(n, 200, TRUE), sample(m, 200, TRUE))] <- NA
imputed <- apply(genotypes, 2, function(g) ifelse(is.na(g), mean(g, na.rm = TRUE), g))
observed <- colSums(!is.na(genotypes)); alternative <- colSums(genotypes, na.rm = TRUE)
cat(toJSON(list(centre = centre, genotypes = ifelse(is.na(genotypes), 3, genotypes),
                observed = observed, alternative = alternative, r2 = cor(imputed)^2),
           digits = I(17), auto_unbox = TRUE), "\n")
