# Conditions must say to the centres what they say in R, or be refused by name.

variables <- c("dx_ad", "age", "sex", "hba1c", "Stage.1", "smoker", "apoe4")

test_that("expressions become conditions", {
  oldest <- 90
  stages <- c("I", "it's")
  is <- function(where, expected) {
    expression <- substitute(where)
    expect_identical(translate(expression, parent.frame(), variables), expected)
  }
  is(dx_ad & age >= 50, "dx_ad and age >= 50")
  is(dx_ad & age >= 50 & !smoker, "dx_ad and age >= 50 and (not smoker)")
  is((dx_ad | smoker) & age < 90, "(dx_ad or smoker) and age < 90")
  is(dx_ad | smoker & apoe4, "dx_ad or (smoker and apoe4)")
  is(!(age > 50 & dx_ad), "not (age > 50 and dx_ad)")
  is(sex == "f", "sex = 'f'")
  is(sex != "f", "sex <> 'f'")
  is(sex %in% c("f", "m"), "sex in ('f', 'm')")
  is(!sex %in% stages, "sex not in ('I', 'it''s')")
  is(age %in% 50:52, "age in (50, 51, 52)")
  is(is.na(hba1c), "hba1c is null")
  is(!is.na(hba1c) & !(is.na(smoker)), "hba1c is not null and (smoker is not null)")
  is(age <= oldest - 10, "age <= 80")
  is(age / 10 + 1 > -2.5, "((age / 10) + 1) > (-2.5)")
  is(abs(hba1c - 40) < 0.1, "(abs(hba1c - 40)) < 0.1")
  is(pmin(age, hba1c, 3) > 1e-7, "(least(age, hba1c, 3)) > 1e-07")
  is(between(age, 50, 60) & dx_ad, "(age between 50 and 60) and dx_ad")
  is(Stage.1 == "I", "\"Stage.1\" = 'I'")
  is(dx_ad == TRUE, "dx_ad = true")
  is(dx_ad, "dx_ad")
  is("age > 5", "age > 5")
  is(NULL, "")
})

test_that("a text may have a name", {
  adults <- "age >= 18"
  expect_identical(konsil_where(adults, variables), "age >= 18")
})

test_that("numbers stay the same numbers", {
  for (value in c(0.1, 1 / 3, 6.45, 1e-9, 123456789, 2^60)) expect_identical(as.numeric(number(value)), value)
})

test_that("what cannot be said is named", {
  refused <- function(where, code, says) {
    expression <- substitute(where)
    error <- expect_error(translate(expression, environment(), variables), class = "konsil_error")
    expect_identical(error$code, code)
    expect_match(error$text, says, fixed = TRUE)
  }
  refused(age > mean(age), "K0305", "`mean`")
  refused(grepl("f", sex), "K0305", "`grepl`")
  refused(dx_ad && smoker, "K0305", "write &")
  refused(agee >= 50, "K0303", "did you mean `age`?")
  refused(age == NA, "K0305", "is.na()")
  refused(age == c(1, 2), "K0306", "several stand behind %in%")
  refused(is.na(age + 1), "K0306", "age + 1")
  refused(age %in% hba1c, "K0305", "hba1c")
  refused(age %in% c(), "K0306", "no values")
  refused(age > as.Date("2020-01-01"), "K0306", "as.Date")
  refused(age > stop("no"), "K0305", "stop")
  refused(age^2 > 4, "K0305", "`^`")
  refused(c("age > 1", "age < 2"), "K0306", "not one value")
})
