# Sourced by the other scripts: what a fresh machine needs besides Rust.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export CARGO_INCREMENTAL="${CARGO_INCREMENTAL:-0}"
if ! command -v cargo >/dev/null; then
  echo "Rust is missing: install rustup, then run this again" >&2
  exit 1
fi
if ! command -v cc >/dev/null; then
  echo "a C compiler is missing: apt-get install gcc" >&2
  exit 1
fi
