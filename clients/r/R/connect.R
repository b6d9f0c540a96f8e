# Connections to a network, by way of `konsil ui` on this computer.

#' Connect to a network
#'
#' Speaks to a running `konsil ui`, or starts one and ends it with [konsil_disconnect()] or with R.
#' Results are added up in that process, so it always runs on this computer.
#'
#' @param network A network file, a lab's folder, or a name: the file
#'   `$XDG_CONFIG_HOME/konsil/networks/NAME.toml`, or a folder or file of the current directory.
#' @param folder Folder of studies and results. Without it a running `konsil ui` is looked for in
#'   `konsil-studies`; what is started here keeps its results beside the network file.
#' @param url,token Address and token of a running `konsil ui`, two lines of `ui.token` in its folder;
#'   the address that it prints when it starts has both.
#' @return A connection, of class `konsil_network`.
#' @examples
#' \dontrun{
#' net <- konsil_connect("hmsp")
#' konsil_dictionary(net)
#' konsil_disconnect(net)
#' }
#' @export
konsil_connect <- function(network = NULL, folder = NULL, url = NULL, token = NULL) {
  if (!is.null(url)) return(connect_url(url, token))
  if (!is.character(network) || length(network) != 1 || is.na(network)) {
    konsil_stop("K0801", "konsil_connect() needs a network: a file, a lab's folder or a name")
  }
  file <- network_file(network)
  for (place in if (is.null(folder)) c("konsil-studies", own_folder(file)) else folder) {
    running <- read_token(place)
    if (is.null(running)) next
    net <- new_network(running[1], running[2], folder = normalizePath(place), file = file)
    if (answers(net)) return(check_network(check_same(net, file)))
  }
  if (is.null(folder)) folder <- own_folder(file)
  started <- start_program(file, folder)
  parts <- split_url(started$url)
  net <- new_network(parts$url, parts$token, folder = normalizePath(folder), file = file)
  net$pid <- started$pid
  net$place <- started$place
  net$owner <- Sys.getpid()
  check_network(net)
}

# A network file that cannot be read is found now. Centres that are away may come back, and earlier results
# are there without them.
check_network <- function(net) {
  tryCatch(call_api(net, "/api/v1/centres"), konsil_error = function(error) {
    if (startsWith(error$code, "K04")) {
      konsil_warn("the centres are not reached: ", error$text, if (is_lab(net$file)) {
        paste("\n  Does the lab run?  konsil lab up", dirname(net$file))
      })
    } else {
      konsil_disconnect(net)
      konsil_stop(error$code, net$file, ": ", error$text)
    }
  })
  net
}

is_lab <- function(file) dir.exists(file.path(dirname(file), "centres"))

#' @rdname konsil_connect
#' @param net A connection.
#' @export
konsil_disconnect <- function(net) {
  if (!isTRUE(net$closed)) end_network(net)
  invisible(net)
}

end_network <- function(net) {
  net$closed <- TRUE
  # a fork of R, as of parallel::mclapply(), shall not end its parent's program
  if (is.null(net$pid) || !identical(net$owner, Sys.getpid())) return(invisible())
  end_process(net$pid)
  unlink(net$place, recursive = TRUE)
}

new_network <- function(url, token, folder = NULL, file = NULL) {
  net <- new.env(parent = emptyenv())
  net$url <- url
  net$token <- token
  net$folder <- folder
  net$file <- file
  net$closed <- FALSE
  class(net) <- "konsil_network"
  reg.finalizer(net, end_network, onexit = TRUE)
  net
}

connect_url <- function(url, token) {
  parts <- split_url(url)
  if (is.null(token)) token <- parts$token
  if (is.null(token)) {
    konsil_stop("K0905", "the token is missing: it is the second line of ui.token in the folder of `konsil ui`")
  }
  net <- new_network(parts$url, token)
  call_api(net, "/api/v1/analyses")
  net
}

# `http://127.0.0.1:7070/enter?token=…` as address and token. Elsewhere than on this computer the token
# and the results would travel in the clear.
split_url <- function(url) {
  pattern <- "^(http://(127\\.[0-9.]+|localhost|\\[::1\\])(:[0-9]+)?)(/.*)?$"
  if (!is.character(url) || length(url) != 1 || !grepl(pattern, url)) {
    konsil_stop(
      "K0903", "`", format(url)[1], "` is no address of this computer; ",
      "`konsil ui` listens on http://127.0.0.1:PORT only"
    )
  }
  token <- if (grepl("token=", url)) sub("^.*token=([0-9a-f]+).*$", "\\1", url)
  list(url = sub(pattern, "\\1", url), token = token)
}

read_token <- function(folder) {
  path <- file.path(folder, "ui.token")
  if (!file.exists(path)) return(NULL)
  lines <- tryCatch(readLines(path, warn = FALSE), error = function(error) character())
  if (length(lines) >= 2) lines[1:2]
}

# Whether the program that wrote the token still runs; a dead one's token stays behind.
answers <- function(net) {
  tryCatch({
    call_api(net, "/api/v1/analyses")
    TRUE
  }, konsil_error = function(error) FALSE)
}

# A running program may be of another network than the one that is asked for.
check_same <- function(net, file) {
  lines <- readLines(file, warn = FALSE)
  there <- tryCatch(
    vapply(call_api(net, "/api/v1/centres"), `[[`, "", "centre"),
    konsil_error = function(error) NULL
  )
  missing <- Filter(function(name) !any(grepl(paste0("\"", name, "\""), lines, fixed = TRUE)), there)
  if (length(missing) == 0) return(net)
  konsil_stop(
    "K0701", "the `konsil ui` that runs in ", net$folder, " is of another network (it has the centre ",
    missing[[1]], "); name another folder: konsil_connect(.., folder = \"my-studies\")"
  )
}

config_home <- function() {
  home <- Sys.getenv("XDG_CONFIG_HOME")
  if (nzchar(home)) home else path.expand("~/.config")
}

# The network file that a name, a folder or a path means.
network_file <- function(network) {
  named <- file.path(config_home(), "konsil", "networks", paste0(network, ".toml"))
  places <- c(named, file.path(network, "network.toml"), network, paste0(network, ".toml"))
  found <- places[file.exists(places) & !dir.exists(places)]
  if (length(found) > 0) return(normalizePath(found[1]))
  others <- sub("\\.toml$", "", list.files(dirname(named), "\\.toml$"))
  konsil_stop(
    "K0701", "there is no network `", network, "`: no file ", named, ", no ", places[2], ", no file of that name in ",
    getwd(), near(network, others)
  )
}

# Where the program keeps studies that is started for a network.
own_folder <- function(file) {
  if (dirname(file) == normalizePath(file.path(config_home(), "konsil", "networks"), mustWork = FALSE)) {
    home <- Sys.getenv("XDG_DATA_HOME")
    if (!nzchar(home)) home <- path.expand("~/.local/share")
    return(file.path(home, "konsil", "studies", sub("\\.toml$", "", basename(file))))
  }
  file.path(dirname(file), "konsil-studies")
}

#' What a network has
#'
#' Its centres as they say of themselves, the variables that all centres share, and the kinds of
#' analysis that the program knows.
#'
#' @param net A connection of [konsil_connect()].
#' @return A data frame.
#' @export
konsil_centres <- function(net) records(call_api(net, "/api/v1/centres"))

#' @rdname konsil_centres
#' @export
konsil_dictionary <- function(net) {
  if (is.null(net$dictionary)) {
    answer <- call_api(net, "/api/v1/dictionary")
    frame <- records(answer$variables)
    attr(frame, "title") <- answer$title
    net$dictionary <- frame
  }
  net$dictionary
}

#' @rdname konsil_centres
#' @export
konsil_analyses <- function(net) {
  if (is.null(net$analyses)) net$analyses <- records(call_api(net, "/api/v1/analyses"))
  net$analyses
}

# A list of records as a data frame; what has several values becomes a column of lists.
records <- function(list) {
  if (length(list) == 0) return(data.frame())
  column <- function(name) {
    values <- lapply(list, `[[`, name)
    if (any(vapply(values, is.list, NA))) return(I(lapply(values, function(it) as.character(unlist(it)))))
    unlist(lapply(values, function(it) if (is.null(it)) NA else it))
  }
  names <- names(list[[1]])
  frame <- lapply(names, column)
  names(frame) <- names
  data.frame(frame, stringsAsFactors = FALSE, check.names = FALSE)
}

#' @export
print.konsil_network <- function(x, ...) {
  cat("Konsil network", if (!is.null(x$file)) x$file, "\n")
  if (isTRUE(x$closed)) {
    cat("  ended by konsil_disconnect()\n")
    return(invisible(x))
  }
  cat("  by konsil ui at ", x$url, if (!is.null(x$pid)) ", started here", "\n", sep = "")
  if (!is.null(x$folder)) cat("  studies and results in ", x$folder, "\n", sep = "")
  tryCatch({
    dictionary <- konsil_dictionary(x)
    cat("  centres: ", paste(konsil_centres(x)$centre, collapse = ", "), "\n", sep = "")
    cat("  dictionary ", attr(dictionary, "title"), ", ", nrow(dictionary), " variables\n", sep = "")
  }, konsil_error = function(error) cat("  centres are not reached:", error$text, "\n"))
  invisible(x)
}
