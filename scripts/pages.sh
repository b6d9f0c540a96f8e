#!/usr/bin/env bash
# Walks through the demo's pages in a headless browser; screenshots go to the folder that is named, or to
# target/pages. Needs Node.js; Chromium is installed where the package manager may.
#   bash scripts/pages.sh [FOLDER] [PROGRAM]      KONSIL_SLOW=1: times are shown, not judged
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
source scripts/judges/browser.sh
out="$(realpath -m "${1:-target/pages}")"
program="${2:-}"
if [ -z "$program" ]; then
  cargo build --workspace --all-targets --locked
  program=target/debug/konsil
fi
work="$(mktemp -d)"
demo=
end() {
  if [ -n "$demo" ]; then kill "$demo" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap end EXIT
cp scripts/e2e/package.json scripts/e2e/walk.mjs "$work/"
browser "pages in a browser" "$work"
"$program" demo --no-browser --listen 127.0.0.1:0 --out "$work/demo" --json >"$work/demo.json" 2>"$work/demo.log" &
demo=$!
until grep -q demo-pages "$work/demo.json"; do
  kill -0 "$demo" || { cat "$work/demo.log" >&2; exit 1; }
  sleep 0.2
done
(cd "$work" && node walk.mjs demo.json "$out")
