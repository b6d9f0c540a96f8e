# What R says of the genotypes in gwas.json: counts, and the exact test of Hardy-Weinberg proportions by
# its definition. Run from this folder:
#   Rscript variant_qc.R > variant_qc.json
library(jsonlite)
genotypes <- fromJSON("gwas.json")$genotypes
genotypes[genotypes == 3] <- NA
rows <- lapply(seq_len(ncol(genotypes)), function(j) {
  g <- genotypes[, j]
  n <- sum(!is.na(g)); one <- sum(g == 1, na.rm = TRUE); two <- sum(g == 2, na.rm = TRUE)
  rare <- one + 2 * min(two, n - one - two)
  het <- seq(rare %% 2, rare, by = 2)
  log_weight <- het * log(2) - lfactorial(het) - lfactorial((rare - het) / 2) - lfactorial(n - (rare + het) / 2)
  weight <- exp(log_weight - max(log_weight))
  own <- weight[het == one]
  p <- sum(weight[weight <= own * (1 + 1e-8)]) / sum(weight)
  list(observed = n, alternative = one + 2 * two, one = one, two = two, log10_p = -log10(p))
})
cat(toJSON(list(variants = rows), digits = I(17), auto_unbox = TRUE), "\n")
