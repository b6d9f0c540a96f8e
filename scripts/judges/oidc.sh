#!/usr/bin/env bash
# Signing in by a real OpenID Connect server, the package oidc-provider, in a headless browser. Needs Node.js
# and Chromium.
#   bash scripts/judges/oidc.sh PROGRAM
set -euo pipefail
program=$(realpath "${1:?name the program: bash scripts/judges/oidc.sh target/debug/konsil}")
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
ids=()
end() {
  for id in "${ids[@]}"; do kill "$id" 2>/dev/null || true; done
  rm -rf "$work"
}
trap end EXIT
cp "$here/package.json" "$here/oidc.mjs" "$work"
source "$here/browser.sh"
browser "signing in by OpenID Connect" "$work"

free() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
server=$(free)
port=$(free)
pages=http://127.0.0.1:$port
"$program" lab new "$work/lab" --example >/dev/null 2>&1
folder=$work/lab/centres/$(ls "$work/lab/centres" | head -n 1)
cat >"$folder/oidc.toml" <<TOML
issuer = "http://127.0.0.1:$server"
client_id = "konsil"
client_secret_file = "oidc.secret"
redirect = "$pages/oidc/back"
TOML
install -m 600 /dev/null "$folder/oidc.secret"
install -m 600 /dev/null "$work/password"
echo "for this test only" >"$folder/oidc.secret"
echo "decisions need this one" >"$work/password"
"$program" node account add eva --role steward --oidc eva@clinic.example --password-file "$work/password" -C "$folder"
"$program" node account add jon --role admin --oidc jon@clinic.example --no-password -C "$folder"
(cd "$work" && exec node oidc.mjs serve "$server" "$pages/oidc/back") >"$work/server.log" 2>&1 &
ids+=($!)
"$program" node pages -C "$folder" --listen "127.0.0.1:$port" >"$work/pages.log" 2>&1 &
ids+=($!)
for _ in $(seq 100); do
  grep -q ready "$work/server.log" && curl -sf -o /dev/null "$pages/login" && break
  sleep 0.1
done
(cd "$work" && node oidc.mjs walk "$pages")
"$program" audit log -C "$folder" 2>/dev/null | grep -c sign-in | sed 's/$/ sign-ins and refusals in the log/'
