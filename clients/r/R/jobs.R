# Plans and jobs: asking the centres, waiting, ending.

POLL_SECONDS_LEAST <- 0.1
POLL_SECONDS_MOST <- 2
PAGES_MOST <- 1000

#' The plan
#'
#' What will be revealed, value by value, what leaves the centres, and under which rules. Nothing has
#' been computed then, and no patient was looked at.
#'
#' @param ... Analyses of one study, or one list of them.
#' @param epsilon Loss of privacy that noise limits, for the whole study; exact results without it. Only
#'   `summary` and `table1` can have noise. Other analyses of the call are then a study of their own, with
#'   exact results under the centres' disclosure rules, and a warning says so.
#' @param delta,mechanism With noise: how likely the loss is larger, and `"gaussian"` or `"laplace"`.
#' @return A plan, of class `konsil_plan`: a list of the program's plans, named `exact` and `noise`.
#' @examples
#' \dontrun{
#' konsil_plan(t1, cox)
#' }
#' @export
konsil_plan <- function(..., epsilon = NULL, delta = NULL, mechanism = NULL) {
  analyses <- named_analyses(list(...))
  net <- analyses[[1]]$study$net
  parts <- parts_of(analyses, list(epsilon = epsilon, delta = delta, mechanism = mechanism))
  plans <- lapply(parts, function(body) call_api(net, "/api/v1/plans", as_json(body)))
  structure(plans, class = "konsil_plan")
}

#' @export
print.konsil_plan <- function(x, ...) {
  for (plan in x) print_plan(plan)
  cat("Nothing has been computed yet.\n")
  invisible(x)
}

print_plan <- function(plan) {
  cat("Plan of study ", plan$study, " over ", length(plan$centres), " centres, ", sep = "")
  cat("at most ", plan$rows_at_most, " patients\n", sep = "")
  for (analysis in plan$analyses) {
    cat("  ", analysis$id, " (", analysis$kind, ") reveals\n", sep = "")
    for (line in analysis$reveals) wrapped(line, "    - ", "      ")
    numbers <- 0
    for (line in analysis$ledger) if (line$to == "researcher") numbers <- numbers + line$numbers
    cat("    at most ", numbers, " numbers to you\n", sep = "")
  }
  sent <- unlist(plan$sent_bytes_by_centre)
  leaves <- paste0(unlist(plan$centres), " ", bytes(sent), collapse = ", ")
  wrapped(paste0("leaves the centres, as shares: ", leaves), "  ", "    ")
  cat("  patients in the clear: ", plan$clear_patient_bytes, " B; rounds: ", plan$rounds, "\n", sep = "")
  wrapped(paste("rules:", plan$rules), "  ", "    ")
  wrapped(paste("noise:", if (is.null(plan$noise)) "none, results are exact" else plan$noise), "  ", "    ")
  wrapped(plan$guarantee, "  ", "    ")
}

wrapped <- function(text, first, later) {
  cat(strwrap(text, initial = first, prefix = later, width = getOption("width")), sep = "\n")
}

bytes <- function(count) {
  unit <- ifelse(count < 1e3, 1, ifelse(count < 1e6, 1e3, ifelse(count < 1e9, 1e6, 1e9)))
  name <- c("1" = "B", "1000" = "kB", "1e+06" = "MB", "1e+09" = "GB")[as.character(unit)]
  paste(round(count / unit, ifelse(unit == 1, 0, 1)), name)
}

#' Run analyses
#'
#' `konsil_run()` asks all centres, waits for their approval and for the results. `konsil_start()` only
#' asks, and `konsil_wait()` waits: an approval by a person may take days. A job that waits outlives R; it
#' goes on when `konsil ui` runs again in the same folder. What runs when the program ends has ended.
#'
#' @inheritParams konsil_plan
#' @param job A job of `konsil_start()` or `konsil_job()`.
#' @param timeout Seconds after which waiting ends with an error; the job goes on.
#' @return `konsil_run()` and `konsil_wait()`: results, a list of class `konsil_results` with an element for
#'   each analysis, named by the call, by its `id`, or by its kind (`res$cox`), with `_2` and so on where
#'   a name would stand twice. `konsil_start()`: a job, of class `konsil_job`.
#' @details An analysis that disclosure control has withheld is an element too, which says why; its
#'   tables are an error. Where nothing was released at all, the call is an error. Progress is shown
#'   where R is interactive; `options(konsil.progress = FALSE)` stops that.
#' @examples
#' \dontrun{
#' res <- konsil_run(t1, cox, epsilon = 0.4)
#' job <- konsil_start(cox)
#' res <- konsil_wait(job)
#' }
#' @export
konsil_run <- function(..., epsilon = NULL, delta = NULL, mechanism = NULL, timeout = Inf) {
  job <- konsil_start(..., epsilon = epsilon, delta = delta, mechanism = mechanism)
  konsil_wait(job, timeout = timeout)
}

#' @rdname konsil_run
#' @export
konsil_start <- function(..., epsilon = NULL, delta = NULL, mechanism = NULL) {
  analyses <- named_analyses(list(...))
  net <- analyses[[1]]$study$net
  noise <- list(epsilon = epsilon, delta = delta, mechanism = mechanism)
  parts <- parts_of(analyses, noise)
  if (length(parts) == 2) {
    exact <- vapply(parts$exact$study$analysis, `[[`, "", "id")
    konsil_warn(
      "epsilon = ", format(epsilon), " is for ", paste(setdiff(names(analyses), exact), collapse = ", "), " only: ",
      paste(exact, collapse = ", "), " cannot have noise and is exact, in a study of its own under the centres' ",
      "disclosure rules"
    )
    # what one part may not ask, the other shall not have asked
    lapply(parts, function(body) call_api(net, "/api/v1/plans", as_json(body)))
  }
  # asked twice after a lost answer, it is the same job
  key <- paste0(basename(tempfile("r-")), "-", format(as.numeric(Sys.time()), digits = 15))
  ids <- vapply(names(parts), function(part) {
    call_api(net, "/api/v1/jobs", as_json(parts[[part]]), key = paste0(key, part))$id
  }, "")
  new_job(net, ids, names(analyses), epsilon)
}

new_job <- function(net, ids, names, epsilon = NULL) {
  structure(list(net = net, ids = ids, names = names, epsilon = epsilon), class = "konsil_job")
}

job_records <- function(job) {
  if (!inherits(job, "konsil_job")) {
    konsil_stop("K0220", "`job` is what konsil_start() or konsil_job() gives, not an object of class ", class(job)[1])
  }
  lapply(job$ids, function(id) call_api(job$net, paste0("/api/v1/jobs/", id)))
}

is_over <- function(record) !record$state %in% c("waiting", "running")

#' @rdname konsil_run
#' @export
konsil_wait <- function(job, timeout = Inf) {
  shown <- progress_begin()
  on.exit(progress_end(shown))
  end <- Sys.time() + timeout
  pause <- POLL_SECONDS_LEAST
  repeat {
    records <- tryCatch(job_records(job), interrupt = function(it) goes_on(job))
    shown <- progress_show(shown, records)
    if (all(vapply(records, is_over, NA))) break
    if (Sys.time() > end) {
      # nobody has approved yet, or the time that was given is short
      waits <- any(vapply(records, `[[`, "", "state") == "waiting")
      konsil_stop(
        if (waits) "K0610" else "K0801", "the job ", paste(job$ids, collapse = " and "), " is not over after ",
        timeout, " seconds: ", state_words(records), "; it goes on: konsil_wait(job)"
      )
    }
    tryCatch(Sys.sleep(pause), interrupt = function(it) goes_on(job))
    pause <- min(pause * 1.2, POLL_SECONDS_MOST)
  }
  results_of(job, records)
}

goes_on <- function(job) {
  ids <- paste0("\"", job$ids, "\"", collapse = ", ")
  if (length(job$ids) > 1) ids <- paste0("c(", ids, ")")
  konsil_stop("K0801", "you no longer wait, but the job goes on: konsil_wait(konsil_job(net, ", ids, "))")
}

#' Jobs
#'
#' Those of the folder of studies, also of earlier sessions and of the researcher's pages.
#'
#' @param net A connection of [konsil_connect()].
#' @param id Ids of a job; two where one call has asked for two studies.
#' @param job A job.
#' @return `konsil_jobs()`: a data frame, the newest first. `konsil_job()`: a job for [konsil_wait()].
#'   `konsil_cancel()`: the job, invisibly; a job that runs can no longer be ended.
#' @export
konsil_jobs <- function(net) {
  jobs <- list()
  after <- NULL
  for (page in seq_len(PAGES_MOST)) {
    path <- paste0("/api/v1/jobs", if (!is.null(after)) paste0("?after=", after))
    answer <- call_api(net, path)
    jobs <- c(jobs, answer$jobs)
    after <- answer$`next`
    if (is.null(after)) break
  }
  text <- function(name) vapply(jobs, function(it) as.character(it[[name]]), "")
  data.frame(
    id = text("id"), study = text("study"), title = text("title"), state = text("state"), created = text("created"),
    code = text("code"), stringsAsFactors = FALSE
  )
}

#' @rdname konsil_jobs
#' @export
konsil_job <- function(net, id) {
  job <- new_job(net, stats::setNames(id, names(id)), NULL)
  records <- job_records(job)
  names <- lapply(records, function(record) vapply(record$plan$analyses, `[[`, "", "id"))
  has_noise <- vapply(records, function(record) !is.null(record$plan$noise), NA)
  names(job$ids) <- ifelse(has_noise, "noise", "exact")
  job$names <- unlist(names)
  job
}

#' @rdname konsil_jobs
#' @export
konsil_cancel <- function(job) {
  for (record in job_records(job)) {
    if (is_over(record)) next
    call_api(job$net, paste0("/api/v1/jobs/", record$id, "/cancel"), method = "POST", body = "{}")
  }
  invisible(job)
}

#' @export
print.konsil_job <- function(x, ...) {
  cat("Konsil job", paste(x$ids, collapse = " and "), "\n")
  tryCatch(cat("  ", state_words(job_records(x)), "\n", sep = ""), konsil_error = function(error) NULL)
  invisible(x)
}

# Where a job stands, in a line.
state_words <- function(records) {
  paste(vapply(records, function(record) {
    waits <- Filter(function(it) !it$approval %in% c("approved", ""), record$centres)
    who <- vapply(waits, function(it) paste0(it$name, " (", trimws(paste(it$approval, it$note)), ")"), "")
    words <- switch(record$state,
      waiting = if (length(who) > 0) paste("waits for", paste(who, collapse = ", ")) else "waits for the centres",
      running = paste0("centres compute, ", round(share_done(record)), " %"), record$state
    )
    paste0(record$study, " ", words)
  }, ""), collapse = "; ")
}

share_done <- function(record) {
  analyses <- max(1, length(record$plan$analyses))
  done <- vapply(record$centres, function(it) (100 * it$done + it$percent) / analyses, 0)
  if (is_over(record)) 100 else min(mean(done), 100)
}

wants_progress <- function() isTRUE(getOption("konsil.progress", interactive()))

progress_begin <- function() {
  shown <- list(words = "", bar = NULL)
  if (wants_progress() && requireNamespace("cli", quietly = TRUE)) {
    # the bar belongs to konsil_wait(), which ends it
    shown$bar <- cli::cli_progress_bar(
      total = 100, format = "{cli::pb_bar} {cli::pb_percent} {cli::pb_status}", auto_terminate = FALSE,
      .auto_close = FALSE
    )
  }
  shown
}

progress_show <- function(shown, records) {
  if (!wants_progress()) return(shown)
  words <- state_words(records)
  if (!is.null(shown$bar)) {
    share <- mean(vapply(records, share_done, 0))
    cli::cli_progress_update(set = share, status = words, id = shown$bar)
  } else if (words != shown$words) {
    message(words)
  }
  shown$words <- words
  shown
}

progress_end <- function(shown) {
  if (!is.null(shown$bar)) cli::cli_progress_done(id = shown$bar)
}
