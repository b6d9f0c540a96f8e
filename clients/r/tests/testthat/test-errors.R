# Errors say what happened, where, and what to do.

test_that("without a program the error says where it is looked for", {
  withr::local_envvar(KONSIL_PROGRAM = NA, PATH = withr::local_tempdir())
  error <- expect_error(program(), class = "konsil_error")
  expect_match(conditionMessage(error), "KONSIL_PROGRAM", fixed = TRUE)
  expect_match(conditionMessage(error), "konsil explain K0802", fixed = TRUE)
  withr::local_envvar(KONSIL_PROGRAM = "/no/such/konsil")
  expect_error(program(), "/no/such/konsil", class = "konsil_error")
})

test_that("networks that are not there are named, with a near one", {
  home <- withr::local_tempdir()
  dir.create(file.path(home, "konsil", "networks"), recursive = TRUE)
  file.create(file.path(home, "konsil", "networks", "hmsp.toml"))
  withr::local_envvar(XDG_CONFIG_HOME = home)
  withr::local_dir(withr::local_tempdir())
  expect_error(konsil_connect("hmps"), "did you mean `hmsp`", class = "konsil_error")
  expect_match(network_file("hmsp"), "networks/hmsp.toml$")
  expect_match(own_folder(network_file("hmsp")), "konsil/studies/hmsp$")
  expect_identical(code_of(konsil_connect()), "K0801")
})

test_that("tokens go to this computer alone", {
  for (url in c("http://example.org:7070", "https://127.0.0.1:7070", "http://127.0.0.1.example.org", "x")) {
    expect_identical(code_of(konsil_connect(url = url, token = "abc")), "K0903")
  }
  expect_identical(code_of(konsil_connect(url = "http://127.0.0.1:1")), "K0905")
  expect_identical(code_of(konsil_connect(url = "http://127.0.0.1:1", token = "abc")), "K0901")
  parts <- split_url("http://127.0.0.1:7070/enter?token=0af3")
  expect_identical(parts, list(url = "http://127.0.0.1:7070", token = "0af3"))
})

test_that("a wrong token is refused", {
  net <- lab_net()
  error <- expect_error(konsil_connect(url = net$url, token = strrep("0", 64)), class = "konsil_error")
  expect_identical(error$code, "K0905")
  expect_silent(konsil_connect(url = net$url, token = net$token))
})

test_that("a network that cannot be used says why, and leaves no program behind", {
  skip_without_program()
  file <- withr::local_tempfile(fileext = ".toml")
  writeLines("this is no network", file)
  folder <- withr::local_tempdir()
  error <- expect_error(konsil_connect(file, folder = folder), class = "konsil_error")
  expect_match(error$text, basename(file), fixed = TRUE)
  token <- read_token(folder)
  if (!is.null(token)) expect_false(answers(new_network(token[1], token[2])))
})

test_that("mistakes of formulas, cohorts and options are named", {
  study <- lab_study()
  error <- expect_error(konsil_plan(fed_coxph(Surv(months, died) ~ agee, study)), class = "konsil_error")
  expect_identical(error$code, "K0203")
  expect_match(error$text, "did you mean `age`?", fixed = TRUE)
  expect_identical(code_of(konsil_run(fed_glm(died ~ poly(age, 2), study))), "K0206")
  expect_error(fed_coxph(Surv(months, died) ~ age, study, points_most = 3), class = "konsil_error")
  expect_error(
    fed_km(Surv(months, died) ~ sex, study, conf_typ = "log"), "did you mean `conf_type`", class = "konsil_error"
  )
  expect_error(fed_analysis("coxx", died ~ age, study), "did you mean `cox`", class = "konsil_error")
  net <- lab_net()
  expect_identical(code_of(konsil_study(net, "a study")), "K0704")
  expect_identical(code_of(konsil_study(net, "s", where = agee > 5)), "K0303")
  text <- konsil_study(net, "s", where = "age = 'x'")
  expect_identical(code_of(konsil_plan(fed_lm(hba1c ~ age, text))), "K0306")
  expect_identical(code_of(konsil_run()), "K0220")
  expect_identical(code_of(konsil_run(study)), "K0220")
  expect_identical(code_of(konsil_run(fed_lm(hba1c ~ age, study), fed_lm(hba1c ~ age, text))), "K0220")
  expect_identical(code_of(fed_lm(hba1c ~ age, net)), "K0220")
  expect_identical(code_of(fed_lm(hba1c ~ age)), "K0220")
  expect_identical(code_of(konsil_job(net, "00000000")), "K0906")
})

test_that("an ended connection says so", {
  net <- new_network("http://127.0.0.1:1", "abc")
  konsil_disconnect(net)
  expect_error(konsil_jobs(net), "konsil_connect()", fixed = TRUE, class = "konsil_error")
})
