# Formulas reach the program as they are written.

test_that("long formulas stay whole", {
  terms <- paste0("variable_with_a_long_name_", 1:60)
  formula <- stats::as.formula(paste("y ~", paste(terms, collapse = " + ")))
  expect_identical(written(formula), paste("y ~", paste(terms, collapse = " + ")))
})

test_that("terms stay as they are", {
  formula <- Surv(months, died) ~ I(age / 10) + relevel(sex, ref = "m") +
    ns(hba1c, knots = c(35.5, 45)) + strata(centre)
  expect_identical(
    written(formula),
    "Surv(months, died) ~ I(age/10) + relevel(sex, ref = \"m\") + ns(hba1c, knots = c(35.5, 45)) + strata(centre)"
  )
})

test_that("variables may stand instead of a formula", {
  expect_identical(model_of(~ age + hba1c, "cor"), list(variables = list("age", "hba1c")))
  expect_identical(model_of(c("age", "hba1c"), "cor"), list(variables = list("age", "hba1c")))
  expect_identical(model_of("y ~ x", "lm"), list(formula = "y ~ x"))
  expect_identical(code_of(model_of(~ log(age), "cor")), "K0204")
  expect_identical(code_of(model_of(3, "cor")), "K0201")
})

test_that("names that stand twice get numbers", {
  expect_identical(numbered(c("glm", "cox", "glm", "glm")), c("glm", "cox", "glm_2", "glm_3"))
})

test_that("families are R's", {
  expect_identical(family_words(binomial(), NULL), list(family = "binomial", link = NULL))
  expect_identical(family_words(poisson, NULL), list(family = "poisson", link = NULL))
  expect_identical(family_words(Gamma("log"), NULL), list(family = "gamma", link = "log"))
  expect_identical(family_words("Gamma", NULL), list(family = "gamma", link = "inverse"))
  expect_identical(family_words("negative_binomial", NULL)$family, "negative_binomial")
})
