# Figures in R's own graphics. The program's own figures: konsil_svg().

#' Figures
#'
#' Models as a forest, curves with their limits. All other kinds have figures of the program:
#' [konsil_svg()].
#'
#' @param x A result, such as `res$cox`.
#' @param exponentiate Whether ratios are shown, on a scale of logarithms; without it as the kind of
#'   model has it.
#' @param conf.int Whether curves have limits.
#' @param col Colours of the curves.
#' @param xlab,ylab,main Texts.
#' @param ... For `plot.default()`, or not used.
#' @return The result, invisibly.
#' @name konsil_plots
NULL

#' @rdname konsil_plots
#' @export
plot.konsil_model <- function(x, exponentiate = NULL, xlab = NULL, main = "", ...) {
  # the program gives ratios where a kind of model has them
  if (is.null(exponentiate)) exponentiate <- "exp.estimate" %in% names(table_named(x, "tidy"))
  table <- tidy(x, conf.int = TRUE, exponentiate = exponentiate)
  table <- table[table$term != "(Intercept)" & is.finite(table$estimate), ]
  if (nrow(table) == 0) konsil_stop("K0906", "`", inside(x)$id, "` has no terms to draw")
  if (is.null(xlab)) xlab <- if (!exponentiate) "estimate, 95 % limits" else ratio_name(inside(x)$kind)
  at <- rev(seq_len(nrow(table)))
  # no point stands for a limit that was not released
  low <- if (is.null(table$conf.low)) table$estimate else table$conf.low
  high <- if (is.null(table$conf.high)) table$estimate else table$conf.high
  none <- if (exponentiate) 1 else 0
  wide <- max(graphics::strwidth(table$term, "inches")) + 0.4
  before <- graphics::par(mai = pmax(graphics::par("mai"), c(0, min(wide, graphics::par("din")[1] / 2), 0, 0)))
  on.exit(graphics::par(before))
  graphics::plot.default(
    table$estimate, at, xlim = range(low, high, none, finite = TRUE), ylim = c(0.5, nrow(table) + 0.5), yaxt = "n",
    ylab = "", xlab = xlab, main = main, log = if (exponentiate) "x" else "", pch = 15, ...
  )
  graphics::abline(v = none, lty = 3)
  graphics::segments(low, at, high, at)
  graphics::axis(2, at, table$term, las = 1)
  invisible(x)
}

ratio_name <- function(kind) {
  name <- switch(kind, cox = "hazard ratio", firth = , ordinal = "odds ratio", "ratio: exp(estimate)")
  paste0(name, ", 95 % limits")
}

#' @rdname konsil_plots
#' @export
plot.konsil_km <- function(x, conf.int = TRUE, col = NULL, xlab = "time", ylab = "survival", main = "", ...) {
  curve <- table_named(x, "km")
  curve$strata <- factor(curve$strata, levels = unique(curve$strata))
  groups <- split(curve, curve$strata)
  if (is.null(col)) col <- grDevices::hcl.colors(max(2, length(groups)), "Dark 3")
  graphics::plot.default(
    NA, xlim = c(0, max(curve$time)), ylim = c(0, 1), xlab = xlab, ylab = ylab, main = main, ...
  )
  for (at in seq_along(groups)) {
    group <- groups[[at]]
    if (conf.int) graphics::polygon(stairs(group), border = NA, col = grDevices::adjustcolor(col[at], 0.2))
    graphics::lines(c(0, group$time), c(1, group$surv), type = "s", col = col[at], lwd = 2)
  }
  if (length(groups) > 1) {
    graphics::legend("bottomleft", names(groups), col = col[seq_along(groups)], lwd = 2, bty = "n")
  }
  invisible(x)
}

# The outline of the limits of a curve that goes in steps.
stairs <- function(group) {
  steps <- function(values) {
    times <- c(0, group$time)
    last <- length(values)
    list(x = c(times[1], rep(times[-1], each = 2)), y = c(rep(values[-last], each = 2), values[last]))
  }
  upper <- steps(c(1, group$upper))
  lower <- steps(c(1, group$lower))
  known <- is.finite(upper$y) & is.finite(lower$y)
  list(x = c(upper$x[known], rev(lower$x[known])), y = c(upper$y[known], rev(lower$y[known])))
}

#' @rdname konsil_plots
#' @export
plot.konsil_result <- function(x, ...) {
  it <- released(x)
  konsil_stop(
    "K0906", "R draws no figure of `", it$id, "` (", it$kind, "); konsil_svg(x) gives the program's, if it has one"
  )
}
