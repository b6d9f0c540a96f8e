# Reference numbers of the models of wards.R for GUSTO-I, whose patients stand in the shared folder.
# Run in this folder: Rscript gusto1_models.R PATH/gusto1/data.csv (some minutes).
suppressMessages({library(MASS); library(nnet); library(geepack); library(lme4); library(jsonlite)})
is_function <- function(e) is.call(e) && identical(e[[1]], as.name("<-")) && is.call(e[[3]]) &&
  identical(e[[3]][[1]], as.name("function"))
for (e in parse("wards.R")) if (is_function(e)) eval(e)
d <- read.csv(commandArgs(TRUE)[1], stringsAsFactors = FALSE)
d$ward <- as.integer(interaction(d$centre6, d$grps, drop = TRUE))
for (v in c("sex", "Killip", "tx")) d[[v]] <- factor(d[[v]])
d$grade <- d$Killip
out(list(
  ordinal = c(kind = "ordinal", polr_of("Killip ~ age + sex + pulse")),
  multinom = c(kind = "multinom", multinom_of("tx ~ age + sex")),
  linear = c(kind = "mixed", lmer_of("sysbp ~ age + sex + pulse", "ward")),
  logistic = c(kind = "mixed", glmer_of("day30 ~ age + Killip + pulse", "ward")),
  gee = c(kind = "gee", gee_of("day30 ~ age + Killip + pulse", binomial(), "exchangeable", "ward", "binomial"))),
  "mixed_gusto1.json")
