#!/usr/bin/env bash
# Builds, checks, installs and tests the R package against a lab: bash clients/r/check.sh PROGRAM
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
packages=(curl generics jsonlite broom cli ggplot2 survival survminer testthat withr)

program="${1:-${KONSIL_PROGRAM:-}}"
if [ -z "$program" ] || [ ! -x "$program" ] || [ -d "$program" ]; then
  echo "usage: bash clients/r/check.sh PROGRAM, the built program konsil; \`$program\` is none" >&2
  exit 2
fi
program="$(cd "$(dirname "$program")" && pwd)/$(basename "$program")"
library="${KONSIL_RLIB:-$root/target/r}"

missing() {
  command -v R >/dev/null 2>&1 || { echo "r-base-core"; return; }
  local wanted
  wanted="$(printf '"%s",' "${packages[@]}")"
  Rscript --vanilla -e "for (name in c(${wanted%,}))
    if (!requireNamespace(name, quietly = TRUE)) cat('r-cran-', name, '\n', sep = '')" 2>/dev/null
}

lacks="$(missing)"
if [ -n "$lacks" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "installing with apt-get what is missing: ${lacks//$'\n'/ }"
  export DEBIAN_FRONTEND=noninteractive
  wanted=(r-base-core "${packages[@]/#/r-cran-}")
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${wanted[@]}"; } >/dev/null 2>&1 || true
  lacks="$(missing)"
fi
if [ -n "$lacks" ]; then
  echo "R package: skipped, since it cannot be checked without ${lacks//$'\n'/ } (apt-get install, as root)"
  exit 0
fi

work="$(mktemp -d)"
# the tests end what they start; if they were stopped halfway, their labs still run
finish() {
  local running
  while IFS= read -r running; do
    "$program" lab down "$(dirname "$running")" >/dev/null 2>&1 || true
  done < <(find "$work" -name running.toml 2>/dev/null)
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM
export TMPDIR="$work"
mkdir -p "$library"
library="$(cd "$library" && pwd)"

cd "$work"
R CMD build --no-build-vignettes "$here" >build.log 2>&1 || { cat build.log; exit 1; }
# the tests need a lab: they follow by themselves
R CMD check --no-manual --no-tests konsil_*.tar.gz >check.log 2>&1 || { cat check.log; exit 1; }
if grep -qE '^Status:.*(ERROR|WARNING)' check.log; then cat check.log; exit 1; fi
grep '^Status:' check.log | sed 's/^/R CMD check: /'
R CMD INSTALL --library="$library" konsil_*.tar.gz >install.log 2>&1 || { cat install.log; exit 1; }
echo "installed into $library"

cp -r "$here/tests" "$work/tests"
cd "$work/tests"
export R_LIBS="$library${R_LIBS:+:$R_LIBS}" KONSIL_PROGRAM="$program" KONSIL_DOC="$root/docs/r.md"
Rscript --vanilla -e 'testthat::test_dir("testthat", package = "konsil", load_package = "installed",
  reporter = "summary", stop_on_failure = TRUE)'
echo "R package: ok"
