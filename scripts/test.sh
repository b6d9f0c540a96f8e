#!/usr/bin/env bash
# Formatting, lints and all tests. Uses cargo-nextest where it is installed, cargo test elsewhere.
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
