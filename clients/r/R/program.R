# The program `konsil ui` as a process of its own, which ends with R.

START_SECONDS_MOST <- 30
END_SECONDS_MOST <- 5

# Where the program is: KONSIL_PROGRAM, or `konsil` on the PATH.
program <- function() {
  given <- Sys.getenv("KONSIL_PROGRAM")
  found <- if (nzchar(given)) given else unname(Sys.which("konsil"))
  if (!nzchar(found)) {
    konsil_stop(
      "K0802", "the program `konsil` is not on the PATH; install it, or name it: ",
      "Sys.setenv(KONSIL_PROGRAM = \"/path/to/konsil\")"
    )
  }
  if (dir.exists(found) || file.access(found, 1) != 0) {
    konsil_stop("K0802", "KONSIL_PROGRAM names `", found, "`, which is no program that can be run")
  }
  normalizePath(found)
}

# Lines of a shell that starts the program and ends it when R is gone, also by a crash: what adds up
# results shall not stay behind.
start_script <- function(command, place) {
  at <- function(name) shQuote(file.path(place, name))
  c(
    paste(command, "</dev/null >", at("out"), "2>", at("err"), "& p=$!"),
    paste0("echo $p >", at("pid.part"), "; mv ", at("pid.part"), " ", at("pid")),
    paste0(
      "(while kill -0 ", Sys.getpid(), " 2>/dev/null && kill -0 $p 2>/dev/null; do sleep 1; done; ",
      "kill $p 2>/dev/null) &"
    ),
    "wait $p",
    paste0("echo over >", at("over"))
  )
}

# Starts `konsil ui` and waits until it says where it is.
start_program <- function(file, folder) {
  program <- program()
  place <- tempfile("konsil-")
  dir.create(place, mode = "0700")
  words <- c(
    program, "ui", "--network", file, "--folder", folder, "--no-browser", "--listen", "127.0.0.1:0", "--json"
  )
  script <- file.path(place, "start.sh")
  writeLines(start_script(paste(shQuote(words), collapse = " "), place), script)
  # a session of its own: Ctrl-C in R's terminal shall end what R does, not the program
  apart <- nzchar(Sys.which("setsid"))
  command <- if (apart) "setsid" else "sh"
  system2(command, c(if (apart) "sh", shQuote(script)), wait = FALSE, stdout = FALSE, stderr = FALSE)
  url <- await_url(place)
  pid <- as.integer(readLines(file.path(place, "pid"), 1))
  # both have the token
  unlink(file.path(place, c("out", "err")))
  list(url = url, pid = pid, place = place)
}

await_url <- function(place) {
  read <- function(name) {
    path <- file.path(place, name)
    if (file.exists(path)) readLines(path, warn = FALSE) else character()
  }
  end <- Sys.time() + START_SECONDS_MOST
  repeat {
    line <- grep("^\\{.*\\}$", read("out"), value = TRUE)
    if (length(line) > 0) return(jsonlite::fromJSON(line[1])$url)
    over <- file.exists(file.path(place, "over"))
    if (over || Sys.time() > end) break
    Sys.sleep(0.05)
  }
  said <- paste(read("err"), collapse = "\n")
  if (file.exists(file.path(place, "pid"))) end_process(as.integer(read("pid")))
  code <- regmatches(said, regexpr("K[0-9]{4}", said))
  why <- if (nzchar(said)) said else "it says nothing"
  konsil_stop(if (length(code) == 1) code else "K0802", "`konsil ui` does not start: ", why)
}

is_running <- function(pid) isTRUE(tools::pskill(pid, 0L))

end_process <- function(pid) {
  tools::pskill(pid, tools::SIGTERM)
  end <- Sys.time() + END_SECONDS_MOST
  while (is_running(pid) && Sys.time() < end) Sys.sleep(0.02)
  if (is_running(pid)) tools::pskill(pid, tools::SIGKILL)
}
