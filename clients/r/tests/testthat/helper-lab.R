# A lab on this computer: three centres with simulated patients, for all tests that need a network.

made <- new.env()

has_program <- function() nzchar(Sys.getenv("KONSIL_PROGRAM"))

skip_without_program <- function() {
  skip_if_not(has_program(), "KONSIL_PROGRAM does not name the program konsil: no lab")
}

konsil_command <- function(...) {
  words <- shQuote(c(...))
  said <- suppressWarnings(system2(Sys.getenv("KONSIL_PROGRAM"), words, stdout = TRUE, stderr = TRUE))
  if (!is.null(attr(said, "status"))) stop(paste(said, collapse = "\n"))
  invisible(said)
}

patients <- function(count = 660) {
  set.seed(20)
  centre <- sample(c("aachen", "bonn", "cologne"), count, TRUE)
  age <- round(pmin(pmax(stats::rnorm(count, 70, 8), 41), 94))
  sex <- sample(c("f", "m"), count, TRUE)
  hba1c <- round(pmin(pmax(stats::rnorm(count, 42, 7), 25), 79), 1)
  smoker <- stats::rbinom(count, 1, 0.3)
  apoe4 <- stats::rbinom(count, 1, 0.35)
  dx_ad <- stats::rbinom(count, 1, 0.95)
  risk <- 0.4 * (age - 70) / 10 + 0.3 * (sex == "m") + 0.5 * apoe4 + 0.2 * (hba1c - 42) / 10 + 0.3 * smoker
  dies <- stats::rexp(count, 0.018 * exp(risk + c(aachen = 0, bonn = 0.3, cologne = -0.2)[centre]))
  leaves <- stats::runif(count, 10, 60)
  frame <- data.frame(
    centre, dx_ad, age, sex, hba1c, smoker, apoe4,
    months = pmax(1, ceiling(pmin(dies, leaves))), died = as.integer(dies <= leaves)
  )
  frame$smoker[sample(count, 12)] <- NA
  frame
}

# The pooled patients of the cohort that the tests use.
pooled <- function() {
  frame <- patients()
  for (name in c("dx_ad", "smoker", "apoe4")) frame[[name]] <- as.logical(frame[[name]])
  frame[frame$dx_ad & frame$age >= 50, ]
}

make_lab <- function(name, ...) {
  place <- file.path(made$place, name)
  konsil_command("lab", "new", place, "--centres", "aachen,bonn,cologne", ...)
  konsil_command(
    "lab", "import", place, "--dict", normalizePath(made$dictionary), "--split-by", "centre",
    file.path(made$place, "patients.csv")
  )
  konsil_command("lab", "up", place)
  made$labs <- c(made$labs, place)
  place
}

# The folder that has the lab `hmsp`, made once for all tests.
lab_place <- function() {
  skip_without_program()
  if (!is.null(made$place)) return(made$place)
  made$place <- normalizePath(withr::local_tempdir("konsil-lab-", .local_envir = teardown_env()))
  made$dictionary <- test_path("hmsp.csv")
  withr::defer(stop_labs(), teardown_env())
  utils::write.csv(patients(), file.path(made$place, "patients.csv"), row.names = FALSE, na = "", quote = FALSE)
  make_lab("hmsp")
  made$place
}

stop_labs <- function() {
  if (!is.null(made$net)) konsil_disconnect(made$net)
  for (lab in made$labs) konsil_command("lab", "down", lab)
}

# One connection for all tests.
lab_net <- function() {
  place <- lab_place()
  if (is.null(made$net)) made$net <- konsil_connect(file.path(place, "hmsp"))
  made$net
}

lab_study <- function(...) {
  konsil_study(lab_net(), "ad-survival", purpose = "dementia-research", where = dx_ad & age >= 50, ...)
}

# A file of a job, as the CSV that it is.
csv_of <- function(results, name) {
  file <- withr::local_tempfile()
  konsil_file(results, name, file)
  utils::read.csv(file, check.names = FALSE)
}

# The code of the error that an expression ends with.
code_of <- function(expression) tryCatch({
  force(expression)
  "none"
}, konsil_error = function(error) error$code)
