# Calls of the interface for programs. It is on this computer alone, so no proxy is asked.

PLAN_SECONDS_MOST <- 600
CONNECT_SECONDS_MOST <- 5

call_api <- function(net, path, body = NULL, key = NULL, method = NULL) {
  alive(net)
  answer <- fetch(net, path, body, key, method)
  text <- rawToChar(answer$content)
  Encoding(text) <- "UTF-8"
  if (answer$status_code >= 400) problem(answer$status_code, text, path)
  jsonlite::fromJSON(text, simplifyVector = FALSE)
}

# A file of a job, as bytes.
call_file <- function(net, job, name) {
  alive(net)
  path <- paste0("/api/v1/jobs/", curl::curl_escape(job), "/files/", curl::curl_escape(name))
  answer <- fetch(net, path)
  if (answer$status_code >= 400) problem(answer$status_code, rawToChar(answer$content), path)
  answer$content
}

fetch <- function(net, path, body = NULL, key = NULL, method = NULL) {
  handle <- curl::new_handle(
    noproxy = "*", followlocation = FALSE, connecttimeout = CONNECT_SECONDS_MOST,
    timeout = PLAN_SECONDS_MOST
  )
  headers <- c(Authorization = paste("Bearer", net$token))
  if (!is.null(key)) headers <- c(headers, "Idempotency-Key" = key)
  if (!is.null(body)) {
    headers <- c(headers, "Content-Type" = "application/json")
    curl::handle_setopt(handle, post = TRUE, postfields = body)
  }
  if (!is.null(method)) curl::handle_setopt(handle, customrequest = method)
  curl::handle_setheaders(handle, .list = as.list(headers))
  tryCatch(
    curl::curl_fetch_memory(paste0(net$url, path), handle),
    error = function(error) {
      konsil_stop(
        "K0901", "nobody answers at ", net$url, ": ", conditionMessage(error),
        "; start `konsil ui`, or connect again with konsil_connect()"
      )
    }
  )
}

problem <- function(status, text, path) {
  record <- tryCatch(jsonlite::fromJSON(text), error = function(error) NULL)
  if (is.list(record) && is.character(record$code)) konsil_stop(record$code, record$detail)
  konsil_stop("K0904", "the program answers ", status, " to ", path)
}

# The call is made only of what is there: a study is a record of a few lists.
as_json <- function(value) {
  as.character(jsonlite::toJSON(value, auto_unbox = TRUE, digits = NA, null = "null"))
}

alive <- function(net) {
  if (!inherits(net, "konsil_network")) {
    konsil_stop("K0220", "`net` is what konsil_connect() gives, not an object of class ", class(net)[1])
  }
  if (isTRUE(net$closed)) {
    konsil_stop("K0901", "this connection was ended by konsil_disconnect(); connect again with konsil_connect()")
  }
}
