# Results: tables of a job's result.json, one object for each analysis.

results_of <- function(job, records) {
  found <- list()
  for (at in seq_along(records)) found <- c(found, part_results(job, records[[at]], names(job$ids)[at]))
  found <- found[intersect(job$names, names(found))]
  reasons <- Filter(function(it) inherits(it, "konsil_withheld"), found)
  if (length(reasons) == length(found)) {
    first <- reasons[[1]]$withheld
    konsil_stop(first$code, first$text)
  }
  if (length(reasons) > 0) {
    konsil_warn("without a result: ", paste0(names(reasons), " (", vapply(reasons, reason, ""), ")", collapse = "; "))
  }
  structure(found, class = "konsil_results", job = job)
}

reason <- function(x) paste(x$withheld$code, first_line(x$withheld$text))

first_line <- function(text) strsplit(paste0(text, "\n"), "\n", fixed = TRUE)[[1]][1]

# The analyses of one study. A study that ended without results has a reason in place of each.
part_results <- function(job, record, part) {
  origin <- list(
    net = job$net, job = record$id, study = record$study, noise = record$plan$noise, files = unlist(record$files)
  )
  if (!"result.json" %in% origin$files) {
    why <- list(code = ended_code(record), text = ended_text(record))
    analyses <- lapply(record$plan$analyses, function(it) {
      list(id = it$id, kind = it$kind, tables = list(), notes = list(), withheld = why)
    })
  } else {
    text <- rawToChar(call_file(job$net, record$id, "result.json"))
    Encoding(text) <- "UTF-8"
    analyses <- jsonlite::fromJSON(text, simplifyVector = FALSE)$analyses
  }
  results <- lapply(analyses, new_result, origin)
  names(results) <- vapply(analyses, `[[`, "", "id")
  results
}

ended_code <- function(record) {
  if (nzchar(record$code)) return(record$code)
  if (record$state == "cancelled") "K0610" else "K0401"
}

ended_text <- function(record) {
  if (nzchar(record$text)) return(record$text)
  if (record$state == "cancelled") return("the job was cancelled before it ran")
  paste0("the study `", record$study, "` ended as ", record$state)
}

new_result <- function(analysis, origin) {
  tables <- lapply(analysis$tables, frame_of)
  names(tables) <- vapply(analysis$tables, `[[`, "", "name")
  result <- list(
    id = analysis$id, kind = analysis$kind, tables = tables, notes = as.character(unlist(analysis$notes)),
    scans = analysis$scans, withheld = analysis$withheld, origin = origin
  )
  if (!is.null(analysis$withheld)) return(structure(result, class = c("konsil_withheld", "konsil_result")))
  if (analysis$kind == "km") return(new_km(result))
  has_terms <- all(c("term", "estimate", "std.error") %in% names(tables$tidy))
  structure(result, class = c(paste0("konsil_", analysis$kind), if (has_terms) "konsil_model", "konsil_result"))
}

# A table of columns and rows; what was not released is NA.
frame_of <- function(table) {
  column <- function(at) {
    cells <- lapply(table$rows, function(row) if (is.null(row[[at]])) NA else row[[at]])
    if (length(cells) == 0) logical() else unlist(cells)
  }
  frame <- lapply(seq_along(table$columns), column)
  names(frame) <- unlist(table$columns)
  as.data.frame(frame, optional = TRUE, stringsAsFactors = FALSE)
}

# Curves as survminer::surv_summary() gives them, with the result beside them as an attribute.
new_km <- function(result) {
  curve <- result$tables$km
  curve$n.censor[is.na(curve$n.censor)] <- 0
  curve$n.risk.rounded <- NULL
  curve$strata <- factor(curve$strata, levels = result$tables$tidy$strata)
  grouped <- grepl("=", levels(curve$strata), fixed = TRUE)
  if (length(grouped) > 0 && all(grouped)) {
    variable <- sub("=.*$", "", levels(curve$strata)[1])
    curve[[variable]] <- factor(sub("^[^=]*=", "", curve$strata), sub("^[^=]*=", "", levels(curve$strata)))
  }
  structure(
    curve,
    class = c("konsil_km", "konsil_result", "surv_summary", "data.frame"), table = result$tables$tidy, konsil = result
  )
}

# What is behind a result, whatever its form.
inside <- function(x) if (inherits(x, "konsil_km")) attr(x, "konsil") else unclass(x)

#' Tables and files of a result
#'
#' All tables of an analysis, with the names and numbers of its CSV files; figures as the program draws
#' them; other files of a job, and its report.
#'
#' @param x A result such as `res$cox`; for `konsil_files()`, `konsil_file()` and `konsil_report()` also
#'   all results of [konsil_run()].
#' @return `konsil_tables()`: a list of data frames. `konsil_svg()`: the text of an SVG figure, or the file's
#'   name, invisibly. `konsil_files()`: names of files. `konsil_file()` and `konsil_report()`: names of
#'   the files that were written, invisibly.
#' @examples
#' \dontrun{
#' konsil_tables(res$cox)$glance
#' konsil_svg(res$cox, file = "forest.svg")
#' konsil_report(res, "ad.html")
#' }
#' @export
konsil_tables <- function(x) released(x)$tables

# The inside of a result that was released.
released <- function(x) {
  if (!inherits(x, "konsil_result")) {
    konsil_stop("K0220", "this is for one result such as res$cox, not for an object of class ", class(x)[1])
  }
  it <- inside(x)
  if (is.null(it$withheld)) return(it)
  konsil_stop(it$withheld$code, "`", it$id, "` has no result: ", it$withheld$text)
}

table_named <- function(x, name) {
  it <- released(x)
  if (!is.null(it$tables[[name]])) return(it$tables[[name]])
  has <- if (length(it$tables) > 0) paste("it has", paste(names(it$tables), collapse = ", ")) else "it has no tables"
  konsil_stop("K0906", "`", it$id, "` (", it$kind, ") has no table `", name, "`; ", has)
}

#' @rdname konsil_tables
#' @param figure Name of the figure, where an analysis has several.
#' @param file Where to write it.
#' @export
konsil_svg <- function(x, figure = NULL, file = NULL) {
  it <- released(x)
  start <- paste0(it$id, ".")
  names <- Filter(function(name) startsWith(name, start) && endsWith(name, ".svg"), it$origin$files)
  figures <- substring(sub("\\.svg$", "", names), nchar(start) + 1)
  if (is.null(figure)) figure <- figures[1]
  if (!figure %in% figures || is.na(figure)) {
    has <- if (length(figures) > 0) paste("it has", paste(figures, collapse = ", ")) else "it has none"
    wanted <- if (!is.na(figure)) paste0(" `", figure, "`")
    konsil_stop("K0906", "`", it$id, "` (", it$kind, ") has no figure", wanted, "; ", has)
  }
  content <- call_file(it$origin$net, it$origin$job, paste0(start, figure, ".svg"))
  if (!is.null(file)) return(invisible(write_bytes(content, file)))
  text <- rawToChar(content)
  Encoding(text) <- "UTF-8"
  text
}

write_bytes <- function(content, file) {
  tryCatch(
    suppressWarnings(writeBin(content, file)),
    error = function(error) konsil_stop("K0701", "`", file, "` cannot be written: ", conditionMessage(error))
  )
  file
}

# Origins of what may be one result or all of them, each job once.
origins <- function(x) {
  if (inherits(x, "konsil_results")) {
    all <- lapply(unclass(x), function(it) inside(it)$origin)
    return(all[!duplicated(vapply(all, `[[`, "", "job"))])
  }
  if (inherits(x, "konsil_result")) return(list(inside(x)$origin))
  konsil_stop("K0220", "this is for results of konsil_run(), not for an object of class ", class(x)[1])
}

#' @rdname konsil_tables
#' @export
konsil_files <- function(x) unlist(lapply(unname(origins(x)), `[[`, "files"))

#' @rdname konsil_tables
#' @param name Name of a file of `konsil_files()`.
#' @export
konsil_file <- function(x, name, file = name) {
  for (origin in origins(x)) {
    if (name %in% origin$files) return(invisible(write_bytes(call_file(origin$net, origin$job, name), file)))
  }
  konsil_stop("K0906", "there is no file `", name, "`", near(name, konsil_files(x)))
}

#' @rdname konsil_tables
#' @details `konsil_report()` writes the report, one page that needs no other file. Where a call with
#'   `epsilon` has made two studies, the one with noise is a second file: `ad.html` and `ad-noise.html`.
#' @export
konsil_report <- function(x, file = "report.html") {
  places <- Filter(function(it) "report.html" %in% it$files, origins(x))
  if (length(places) == 0) konsil_stop("K0906", "there is no report: nothing was released")
  noise <- !vapply(places, function(it) is.null(it$noise), NA)
  files <- rep(file, length(places))
  if (any(noise) && !all(noise)) files[noise] <- sub("(\\.[^.]*)?$", "-noise\\1", file)
  for (at in seq_along(places)) {
    write_bytes(call_file(places[[at]]$net, places[[at]]$job, "report.html"), files[at])
  }
  files <- unname(files[order(noise)])
  message("wrote ", paste(files, collapse = " and "))
  invisible(files)
}
