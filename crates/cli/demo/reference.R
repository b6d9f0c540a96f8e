# The pooled answer to study.toml, by R with survival and jsonlite: Rscript reference.R > reference.json
suppressMessages({ library(survival); library(jsonlite) })
d <- read.csv("dialysis.csv")
describe <- function(x) {
  q <- quantile(x, c(.25, .5, .75), names = FALSE)
  list(N = length(x), mean = mean(x), sd = sd(x), p25 = q[1], median = q[2], p75 = q[3])
}
table1 <- lapply(split(d, d$died), function(g) list(
  n = nrow(g), age = describe(g$age), begin = describe(g$begin), disease = as.list(table(g$disease))))
fit <- survfit(Surv(months, died) ~ disease, d, conf.type = "log")
s <- summary(fit, times = sort(unique(d$months)), extend = TRUE)
curve <- data.frame(strata = as.character(s$strata), time = s$time, surv = s$surv)
medians <- as.data.frame(summary(fit)$table)
medians <- data.frame(strata = rownames(medians), records = medians$records, events = medians$events,
  median = medians$median, conf.low = medians$`0.95LCL`, conf.high = medians$`0.95UCL`)
test <- survdiff(Surv(months, died) ~ disease, d)
model <- glm(died ~ age + begin + disease, binomial, d, control = glm.control(epsilon = 1e-14, maxit = 50))
co <- summary(model)$coefficients
out <- list(
  tool = paste0(R.version.string, ", survival ", packageVersion("survival")),
  table1 = table1,
  km = list(curve = curve, medians = medians, chisq = test$chisq, observed = test$obs, expected = test$exp),
  logistic = list(
    terms = data.frame(term = rownames(co), estimate = co[, 1], std.error = co[, 2], statistic = co[, 3]),
    deviance = model$deviance, null.deviance = model$null.deviance, AIC = AIC(model), n = nrow(d)))
cat(toJSON(out, auto_unbox = TRUE, digits = NA, na = "null", pretty = TRUE, dataframe = "rows"), "\n")
