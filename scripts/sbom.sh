#!/usr/bin/env bash
# Writes crates/cli/sbom.csv: every crate that the konsil command is built from, with its licence;
# with --print, shows it instead. Procedural macros are in it, since they write code of the command;
# tests and build scripts are not. Nothing is fetched. A test of crates/tidy says when it is stale.
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
list="$(
  echo "name,version,licence"
  cargo tree --locked --offline --package konsil-cli --edges normal \
    --target x86_64-unknown-linux-gnu --prefix none --format '{p}|{l}' |
    sed -E 's/ \(\*\)$//; s/^([^ ]+) v([^ |]+)[^|]*\|/\1,\2,/; s|/| OR |g' | LC_ALL=C sort -u
)"
if [ "${1:-}" = --print ]; then echo "$list"; else echo "$list" >crates/cli/sbom.csv; fi
