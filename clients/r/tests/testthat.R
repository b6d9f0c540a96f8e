library(testthat)
library(konsil)
test_check("konsil")
