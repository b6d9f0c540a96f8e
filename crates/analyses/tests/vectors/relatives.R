# Made-up people, some of them related, and PLINK's kinships above 0.05 of those in different centres.
# Run from this folder, with plink2 at hand:
#   Rscript relatives.R > relatives.json
library(jsonlite)
set.seed(20261129)
m <- 700
frequency <- runif(m, 0.15, 0.5)
founder <- function() rbind(rbinom(m, 1, frequency), rbinom(m, 1, frequency))
gamete <- function(p) ifelse(rbinom(m, 1, 0.5) == 1, p[1, ], p[2, ])
child <- function(p, q) rbind(gamete(p), gamete(q))
people <- list(); centre <- c()
add <- function(person, at) { people[[length(people) + 1]] <<- person; centre <<- c(centre, at) }
pair <- function(a, b) { at <- sample(1:5, 2, prob = c(5, 4, 4, 1, 4)); add(a, at[1]); add(b, at[2]) }
for (i in 1:3) { p <- founder(); pair(p, p) }
for (i in 1:5) { p <- founder(); pair(p, child(p, founder())) }
for (i in 1:5) { p <- founder(); q <- founder(); pair(child(p, q), child(p, q)) }
for (i in 1:5) { p <- founder(); pair(child(p, founder()), child(p, founder())) }
for (i in 1:5) { p <- founder(); q <- founder(); pair(child(child(p, q), founder()), child(child(p, q), founder())) }
# a parent with children in two other centres
p <- founder(); add(p, 1); add(child(p, founder()), 2); add(child(p, founder()), 3)
while (length(people) < 200) add(founder(), sample(1:5, 1, prob = c(5, 4, 4, 0.3, 4)))
order <- sample(length(people)); people <- people[order]; centre <- centre[order]
genotypes <- sapply(people, colSums)                    # variants in rows
folder <- tempfile(); dir.create(folder)
call <- matrix(c("0/0", "0/1", "1/1")[genotypes + 1], m)
head <- c("##fileformat=VCFv4.2", "##contig=<ID=1>", '##FORMAT=<ID=GT,Number=1,Type=String,Description="">',
          paste(c("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT",
                  paste0("p", seq_along(people) - 1)), collapse = "\t"))
rows <- paste(1, seq_len(m), paste0("v", seq_len(m)), "A", "C", ".", ".", ".", "GT",
              apply(call, 1, paste, collapse = "\t"), sep = "\t")
writeLines(c(head, rows), file.path(folder, "x.vcf"))
out <- file.path(folder, "x")
system2("plink2", c("--vcf", paste0(out, ".vcf"), "--make-king-table", "--out", out), stdout = FALSE)
king <- read.table(paste0(out, ".kin0"), header = TRUE, comment.char = "")
names(king)[1] <- sub("^X\\.", "", names(king)[1])
king$a <- as.integer(sub("p", "", king$IID1)); king$b <- as.integer(sub("p", "", king$IID2))
king <- king[centre[king$a + 1] != centre[king$b + 1] & king$KINSHIP > 0.05, ]
cat(toJSON(list(centre = centre - 1, genotypes = apply(genotypes, 1, paste, collapse = ""),
                a = king$a, b = king$b, kinship = king$KINSHIP), digits = I(6)), "\n")
