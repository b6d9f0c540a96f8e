#!/usr/bin/env bash
# Walks through the demo's pages in a headless browser; screenshots go to the folder that is named, or to
# target/pages. Needs Node.js; Chromium is installed where the package manager may. No part of the tests.
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
out="$(realpath -m "${1:-target/pages}")"
if ! command -v chromium >/dev/null 2>&1; then
  apt-get install -y --no-install-recommends chromium
fi
cargo build --workspace --all-targets --locked
work="$(mktemp -d)"
cp scripts/e2e/package.json scripts/e2e/walk.mjs "$work/"
(cd "$work" && npm install --no-audit --no-fund --silent)
target/debug/konsil demo --no-browser --listen 127.0.0.1:0 --out "$work/demo" --json >"$work/demo.json" &
demo=$!
trap 'kill "$demo" 2>/dev/null || true; rm -rf "$work"' EXIT
until grep -q demo-pages "$work/demo.json"; do
  kill -0 "$demo"
  sleep 0.2
done
(cd "$work" && node walk.mjs demo.json "$out")
