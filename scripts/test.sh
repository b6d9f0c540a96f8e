#!/usr/bin/env bash
# Formatting, lints and all tests; then the packages for Python and R, and the pages in a browser. Uses
# cargo-nextest where it is installed, cargo test elsewhere. As root it installs from Debian what R and the
# browser need; what cannot be installed is skipped, and said. KONSIL_OUTSIDE=no leaves all of that out.
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
if cargo fmt --version >/dev/null 2>&1; then cargo fmt --all --check; fi
if cargo clippy --version >/dev/null 2>&1; then
  cargo clippy --workspace --all-targets --locked -- -D warnings
fi
if cargo nextest --version >/dev/null 2>&1; then
  cargo nextest run --workspace --all-targets --locked --no-fail-fast
else
  cargo test --workspace --all-targets --locked --no-fail-fast
fi
if [ "${KONSIL_OUTSIDE:-yes}" = no ]; then
  echo "skipped, as KONSIL_OUTSIDE=no says: packages for Python and R, pages in a browser"
  exit 0
fi
program=$PWD/target/debug/konsil
bash clients/python/check.sh "$program"
bash clients/r/check.sh "$program"
# times are judged on a quiet computer only
KONSIL_SLOW=1 bash scripts/pages.sh target/pages "$program"
bash scripts/judges/oidc.sh "$program"
bash scripts/judges/api.sh "$program"
