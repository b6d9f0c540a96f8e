# Against a lab: results equal R's on the pooled patients.

same <- function(object, expected, digits = 6) {
  expect_equal(object, expected, tolerance = 10^-digits, ignore_attr = TRUE)
}

# The first block of R in docs/r.md, which a reader will try first.
first_lines <- function() {
  given <- Sys.getenv("KONSIL_DOC")
  file <- if (nzchar(given)) given else test_path("..", "..", "..", "..", "docs", "r.md")
  skip_if_not(file.exists(file), "docs/r.md is not beside the package")
  lines <- readLines(file)
  begin <- grep("^library\\(konsil\\)$", lines)[1]
  end <- begin + grep("^```$", lines[begin:length(lines)])[1] - 2
  lines[begin:end]
}

test_that("the lines of the documentation run as printed", {
  withr::local_dir(lab_place())
  withr::local_envvar(XDG_CONFIG_HOME = withr::local_tempdir())
  withr::local_pdf(withr::local_tempfile(fileext = ".pdf"))
  skip_if_not_installed("broom")
  lines <- first_lines()
  expect_length(lines, 8)
  scope <- new.env(parent = globalenv())
  warnings <- capture_warnings(utils::capture.output(suppressMessages(
    for (line in lines) eval(parse(text = line), scope)
  )))
  konsil_disconnect(scope$net)
  expect_match(warnings, "cox cannot have noise and is exact", all = FALSE)
  expect_true(any(grepl("konsil", readLines("ad.html", warn = FALSE))))
  expect_true(file.exists("ad-noise.html"))
  expect_named(scope$res, c("table1", "cox"))
  expect_match(inside(scope$res$table1)$origin$noise, "epsilon 0.4")
  expect_null(inside(scope$res$cox)$origin$noise)
})

test_that("Cox regression equals survival::coxph", {
  skip_if_not_installed("survival")
  formula <- Surv(months, died) ~ I(age / 10) + sex + apoe4 + I(hba1c / 10) + smoker + strata(centre)
  res <- konsil_run(fed_coxph(formula, lab_study()), breslow = fed_coxph(formula, lab_study(), ties = "breslow"))
  Surv <- survival::Surv
  strata <- survival::strata
  for (ties in c("efron", "breslow")) {
    environment(formula) <- environment()
    pool <- pooled()
    reference <- survival::coxph(formula, pool, ties = ties)
    mine <- res[[if (ties == "efron") "cox" else "breslow"]]
    same(coef(mine), coef(reference))
    expect_named(coef(mine), names(coef(reference)))
    same(mine |> tidy() |> getElement("std.error"), sqrt(diag(vcov(reference))))
    same(confint(mine), confint(reference))
    expect_identical(dimnames(confint(mine)), dimnames(confint(reference)))
    same(confint(mine, level = 0.9), confint(reference, level = 0.9))
    same(as.numeric(logLik(mine)), as.numeric(logLik(reference)))
    same(AIC(mine), AIC(reference))
    expect_equal(nobs(mine), reference$n)
    skip_if_not_installed("broom")
    theirs <- broom::tidy(reference, exponentiate = TRUE, conf.int = TRUE)
    ours <- broom::tidy(mine, exponentiate = TRUE, conf.int = TRUE)
    expect_named(ours, names(theirs))
    for (name in names(theirs)[-1]) same(ours[[name]], theirs[[name]])
    glance <- broom::glance(mine)
    for (name in c("n", "nevent", "statistic.log", "p.value.log", "logLik", "AIC", "BIC", "nobs")) {
      same(glance[[name]], broom::glance(reference)[[name]])
    }
  }
  table <- csv_of(res, "cox.tidy.csv")
  same(konsil_tables(res$cox)$tidy$estimate, table$estimate, 15)
  same(tidy(res$cox)$p.value, table$p.value, 15)
  expect_identical(code_of(vcov(res$cox)), "K0220")
})

test_that("regressions equal glm and lm", {
  res <- konsil_run(
    fed_glm(died ~ age + sex + apoe4, lab_study()), fed_lm(hba1c ~ age + sex + apoe4, lab_study()),
    welch = fed_ttest(hba1c ~ sex, lab_study()), fed_summary(~ age, lab_study()), fed_cor(~ age + hba1c, lab_study())
  )
  expect_named(res, c("glm", "lm", "welch", "summary", "cor"))
  pool <- pooled()
  logistic <- stats::glm(died ~ age + sex + apoe4, stats::binomial, pool)
  same(coef(res$glm), coef(logistic))
  same(tidy(res$glm)$std.error, sqrt(diag(vcov(logistic))))
  same(as.numeric(logLik(res$glm)), as.numeric(logLik(logistic)))
  same(AIC(res$glm), AIC(logistic))
  linear <- stats::lm(hba1c ~ age + sex + apoe4, pool)
  same(coef(res$lm), coef(linear))
  same(confint(res$lm), confint(linear))
  same(confint(res$lm, level = 0.8), confint(linear, level = 0.8))
  same(confint(res$lm, "age"), confint(linear, "age"))
  expect_identical(attr(logLik(res$lm), "df"), attr(logLik(linear), "df"))
  same(stats::BIC(res$lm), stats::BIC(linear))
  same(tidy(res$welch)$p.value, stats::t.test(hba1c ~ sex, pool)$p.value)
  same(glance(res$welch)$parameter, stats::t.test(hba1c ~ sex, pool)$parameter)
  same(as.data.frame(res$summary)$sd, stats::sd(pool$age))
  expect_identical(code_of(coef(res$welch)), "K0220")
  expect_identical(code_of(logLik(res$welch)), "K0906")
  expect_identical(code_of(as.data.frame(res$lm, table = "x")), "K0906")
  expect_output(print(res), "$welch", fixed = TRUE)
  expect_output(print(res$lm), "apoe4TRUE")
  expect_output(print(summary(res$lm)), "r.squared")
  withr::local_pdf(withr::local_tempfile(fileext = ".pdf"))
  expect_silent(plot(res$glm))
  expect_silent(plot(res$lm))
  expect_identical(code_of(plot(res$welch)), "K0906")
  expect_match(konsil_svg(res$glm), "^<svg")
  expect_error(konsil_svg(res$glm, "x"), "forest", class = "konsil_error")
})

test_that("curves are drawn by survminer and equal the file", {
  res <- konsil_run(fed_km(Surv(months, died) ~ sex, lab_study()), fed_km(Surv(months, died) ~ 1, lab_study()))
  expect_named(res, c("km", "km_2"))
  table <- csv_of(res, "km.km.csv")
  for (name in c("time", "n.risk", "n.event", "surv", "std.err", "lower", "upper")) {
    same(res$km[[name]], table[[name]], 15)
  }
  expect_identical(as.character(res$km$strata), table$strata)
  expect_identical(levels(res$km$sex), c("f", "m"))
  expect_true(all(is.na(as.data.frame(res$km)$n.censor)))
  expect_named(tidy(res$km), c(
    "time", "n.risk", "n.event", "n.censor", "estimate", "std.error", "conf.high", "conf.low", "strata"
  ))
  expect_output(print(res$km), "Log-rank")
  withr::local_pdf(withr::local_tempfile(fileext = ".pdf"))
  expect_silent(plot(res$km))
  expect_silent(plot(res$km_2, conf.int = FALSE))
  skip_if_not_installed("survival")
  test <- survival::survdiff(survival::Surv(months, died) ~ sex, pooled())
  same(glance(res$km)$statistic, test$chisq)
  skip_if_not_installed("survminer")
  for (one in res) {
    figure <- survminer::ggsurvplot_df(one, conf.int = TRUE)
    print(figure)
    drawn <- figure$data[figure$data$time > 0, ]
    same(drawn$surv, one$surv, 15)
  }
})

test_that("a cohort has the patients that R's condition has", {
  study <- konsil_study(lab_net(), "some", where = (sex == "m" | age %in% 60:80) & !is.na(smoker) & hba1c < 55.5)
  res <- konsil_run(fed_lm(hba1c ~ age, study))
  pool <- patients()
  expect_equal(nobs(res$lm), sum((pool$sex == "m" | pool$age %in% 60:80) & !is.na(pool$smoker) & pool$hba1c < 55.5))
})

test_that("noise is for descriptions, and is said", {
  study <- lab_study()
  expect_error(
    konsil_run(fed_coxph(Surv(months, died) ~ age, study), epsilon = 0.4), "leave `epsilon` out", class = "konsil_error"
  )
  plan <- konsil_plan(fed_table1(sex ~ age, study), fed_lm(hba1c ~ age, study), epsilon = 0.4)
  expect_named(plan, c("noise", "exact"))
  expect_output(print(plan), "epsilon 0.4")
  expect_identical(code_of(konsil_plan(fed_table1(sex ~ age, study), epsilon = 100)), "K0704")
  expect_output(print(konsil_run(fed_table1(sex ~ age, study))$table1), "sex=f")
})

test_that("what was not released is not taken for a result", {
  study <- lab_study()
  # a column that picks out a few patients ends the whole study
  expect_match(code_of(konsil_run(fed_glm(died ~ I(age > 88) + sex, study))), "^K050")
  twice <- fed_lm(hba1c ~ age + I(2 * age), study)
  expect_warning(res <- konsil_run(twice, fed_summary(~ age, study)), "without a result: lm", class = "konsil_warning")
  expect_output(print(res), "no result: K0218")
  expect_output(print(res$lm), "no result: K0218")
  for (code in list(code_of(tidy(res$lm)), code_of(coef(res$lm)), code_of(plot(res$lm)), code_of(summary(res$lm)))) {
    expect_identical(code, "K0218")
  }
  expect_equal(tidy(res$summary)$variable, "age")
})

test_that("jobs of stewards wait, are found again, and can be ended", {
  lab_place()
  lab <- make_lab("hand", "--by-hand")
  net <- konsil_connect(lab)
  withr::defer(konsil_disconnect(net))
  study <- konsil_study(net, "by-hand", where = age >= 50)
  job <- konsil_start(fed_lm(hba1c ~ age, study))
  expect_error(konsil_wait(job, timeout = 0.5), "it goes on", class = "konsil_error")
  expect_output(print(job), "waits for")
  expect_identical(konsil_jobs(net)$state, "waiting")
  again <- konsil_job(net, konsil_jobs(net)$id)
  konsil_cancel(again)
  expect_identical(konsil_jobs(net)$state, "cancelled")
  expect_error(konsil_wait(again), "cancelled", class = "konsil_error")
  # the second is approved after R has gone and come back
  job <- konsil_start(fed_lm(hba1c ~ age, study), crude = fed_lm(hba1c ~ 1, study))
  expect_error(konsil_wait(job, timeout = 0.5), "it goes on", class = "konsil_error")
  requests <- job_records(job)[[1]]$centres
  konsil_disconnect(net)
  for (centre in requests) {
    place <- file.path(lab, "centres", centre$name)
    number <- format(centre$request)
    konsil_command("request", "approve", number, "-C", place, "--key", file.path(place, "steward.key"), "--yes")
  }
  net <- konsil_connect(lab)
  res <- konsil_wait(konsil_job(net, unname(job$ids)))
  expect_named(res, c("lm", "crude"))
})

test_that("a running program is used, and one that was started ends", {
  net <- lab_net()
  second <- konsil_connect(net$file, folder = net$folder)
  expect_identical(second$url, net$url)
  expect_null(second$pid)
  konsil_disconnect(second)
  own <- konsil_connect(net$file, folder = withr::local_tempdir())
  expect_true(is_running(own$pid))
  konsil_disconnect(own)
  expect_false(is_running(own$pid))
  expect_identical(code_of(konsil_jobs(own)), "K0901")
})

test_that("progress is said where it is wanted", {
  withr::local_options(konsil.progress = TRUE)
  expect_no_error(suppressMessages(konsil_run(fed_lm(hba1c ~ age, lab_study()))))
  withr::local_options(konsil.progress = FALSE)
  expect_silent(konsil_run(fed_lm(hba1c ~ age, lab_study())))
})
