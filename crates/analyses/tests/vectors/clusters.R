# Reference numbers of k-means, by R's own Lloyd steps from the public starting places.
# Run in this folder: Rscript clusters.R (R 4.2; jsonlite).
suppressMessages(library(jsonlite))
patients <- read.csv("patients.csv", stringsAsFactors = FALSE)

# three clouds that end without anybody changing, at seven centres, one of three patients
set.seed(7)
clouds <- do.call(rbind, lapply(1:3, function(g) data.frame(
  height = round(rnorm(80, c(160, 172, 185)[g], 3), 1),
  weight = round(rnorm(80, c(95, 60, 90)[g], 4), 1), pulse = round(rnorm(80, 70, 8)))))
clouds$centre <- sample(rep(1:7, c(70, 60, 40, 30, 20, 17, 3)))
clouds <- data.frame(id = sprintf("C%03d", seq_len(nrow(clouds))), clouds)
write.csv(clouds, "clusters.csv", row.names = FALSE, quote = FALSE)

# Park and Miller's generator and Box and Muller's numbers, as the analysis draws them
public_numbers <- function(seed) {
  state <- seed
  even <- function() { state <<- (state * 48271) %% 2147483647; state / 2147483647 }
  function() { r <- even(); a <- even(); sqrt(-2 * log(r)) * cos(2 * pi * a) }
}

# One start: NULL where a cluster is empty in a step or too small at the end.
lloyd <- function(x, centers, steps, threshold) {
  fit <- tryCatch(suppressWarnings(kmeans(x, centers, iter.max = steps, algorithm = "Lloyd")),
    error = function(e) NULL)
  if (is.null(fit) || any(fit$size < threshold)) NULL else fit
}
case <- function(d, names, k, seed = 1, starts = 3, steps = 20, raw = FALSE, threshold = 10) {
  x <- as.matrix(na.omit(d[names]))
  mean <- colMeans(x); sd <- apply(x, 2, sd)
  z <- if (raw) x else scale(x)
  draw <- public_numbers(seed)
  ends <- lapply(seq_len(starts), function(start) {
    places <- matrix(0, k, length(names))
    for (i in seq_len(k)) for (j in seq_along(names)) places[i, j] <- 0.5 * draw()
    if (raw) places <- sweep(sweep(places, 2, sd, "*"), 2, mean, "+")
    lloyd(z, places, steps, threshold)
  })
  within <- sapply(ends, function(e) if (is.null(e)) Inf else e$tot.withinss)
  best <- ends[[which.min(within)]]
  cat(names, "k", k, "raw", raw, ": given up", sum(is.infinite(within)), "iter", best$iter,
    "sizes", best$size, "\n")
  list(variables = names, k = k, seed = seed, starts = starts, iterations = steps, raw = raw,
    centers = unname(best$centers), size = best$size, withinss = best$withinss,
    totss = best$totss, iter = best$iter)
}
out <- list(
  patients = list(
    two = case(patients, c("age", "bmi"), 2),
    three = case(patients, c("age", "bmi", "visits"), 3, seed = 42, steps = 30),
    raw = case(patients, c("age", "bmi", "months", "visits"), 3, raw = TRUE),
    one_start = case(patients, c("age", "bmi"), 3, starts = 1, steps = 3),
    five = case(patients, c("age", "bmi", "months", "visits"), 5, seed = 11, starts = 4, steps = 12)),
  clusters = list(
    clouds = case(clouds, c("height", "weight", "pulse"), 3),
    raw = case(clouds, c("height", "weight"), 3, seed = 5, raw = TRUE)))
write(toJSON(out, auto_unbox = TRUE, digits = NA, pretty = TRUE), "kmeans.json")
