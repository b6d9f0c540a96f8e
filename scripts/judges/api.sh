#!/usr/bin/env bash
# Judges from outside of the interfaces for programs: schemathesis on the OpenAPI documents of both servers,
# promtool on the metrics, rocrate-validator on a bundle. They need Python's packages and, for promtool,
# Debian's package prometheus; what is missing is said.
#   bash scripts/judges/api.sh PROGRAM [EXAMPLES]
set -euo pipefail
program=$(realpath "${1:?name the program: bash scripts/judges/api.sh target/debug/konsil}")
examples=${2:-30}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
ids=()
end() {
  for id in "${ids[@]}"; do kill "$id" 2>/dev/null || true; done
  "$program" lab down "$work/lab" 2>/dev/null || true
  rm -rf "$work"
}
trap end EXIT

python=${KONSIL_JUDGES:-$here/../../target/judges}
if [ ! -x "$python/bin/schemathesis" ]; then
  if ! { python3 -m venv "$python" &&
    "$python/bin/pip" -q install --disable-pip-version-check 'schemathesis==4.*' 'roc-validator==0.13.*' 'rocrate==0.13.0'; }; then
    echo "interfaces: skipped, since the judges' packages for Python cannot be installed"
    exit 0
  fi
fi
if ! command -v promtool >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends prometheus; } >/dev/null 2>&1 || true
fi

"$program" lab new "$work/lab" --example >/dev/null 2>&1
"$program" lab up "$work/lab" >/dev/null 2>&1
centre=$(ls "$work/lab/centres" | head -n 1)
folder=$work/lab/centres/$centre
install -m 600 /dev/null "$work/password"
echo 'a password for judges' >"$work/password"
"$program" node account add judge --role admin --role steward --password-file "$work/password" -C "$folder" 2>/dev/null

serve() { # name, words: starts a server and waits until it says where it is
  local name=$1
  shift
  "$program" "$@" --listen 127.0.0.1:0 --json >"$work/$name.json" 2>"$work/$name.log" &
  ids+=($!)
  for _ in $(seq 100); do grep -q url "$work/$name.json" && return; sleep 0.1; done
  cat "$work/$name.log" >&2
  return 1
}
serve ui ui --network "$work/lab/network.toml" --folder "$work/studies" --no-browser
serve pages node pages -C "$folder"
ui=$(head -n 1 "$work/studies/ui.token")
token=$(tail -n 1 "$work/studies/ui.token")
pages=$(sed -E 's/.*"url":"(http:\/\/[^\/"]*).*/\1/' "$work/pages.json")

# a finished job, so that ids, files and bundles exist
cat >"$work/study.json" <<'JSON'
{"study": "[study]\nid = \"judged\"\npurpose = \"research\"\n[[analysis]]\nid = \"t1\"\nkind = \"table1\"\nvariables = [\"age\", \"sex\"]\n"}
JSON
job=$(curl -sf -X POST "$ui/api/v1/jobs" -H "Authorization: Bearer $token" -d @"$work/study.json" |
  sed -E 's/.*"id":"([0-9a-f]{8})".*/\1/')
for _ in $(seq 100); do
  curl -sf "$ui/api/v1/jobs/$job" -H "Authorization: Bearer $token" | grep -q '"released"' && break
  sleep 0.2
done
curl -s -c "$work/jar" -o /dev/null "$pages/login"
curl -sf -b "$work/jar" -c "$work/jar" -o /dev/null --data-urlencode name=judge \
  --data-urlencode "password=a password for judges" "$pages/login"
cookie=$(awk '/konsil/ {print $6 "=" $7}' "$work/jar" | tail -n 1)

failed=0
# a study is a text in a language of its own: what fits the schema may still be no study (400, 422)
common=(--max-examples "$examples" --checks all --exclude-checks positive_data_acceptance --no-color
  --suppress-health-check all --request-timeout 60)
"$python/bin/schemathesis" run "$ui/api/openapi.json" -H "Authorization: Bearer $token" \
  --exclude-path '/api/v1/jobs/{id}/events' "${common[@]}" >"$work/ui.txt" 2>&1 || failed=1
if [ "$failed" = 1 ]; then cat "$work/ui.txt"; else tail -n 12 "$work/ui.txt"; fi
"$python/bin/schemathesis" run "$pages/api/openapi.json" -H "Cookie: $cookie" "${common[@]}" \
  >"$work/pages.txt" 2>&1 || failed=1
if [ "$failed" = 1 ]; then cat "$work/pages.txt"; else tail -n 12 "$work/pages.txt"; fi

if command -v promtool >/dev/null; then
  curl -sf "$pages/metrics" -H "Authorization: Bearer $(cat "$folder/metrics.token")" >"$work/metrics"
  promtool check metrics <"$work/metrics" && echo "promtool: $(grep -vc '^#' "$work/metrics") samples, no complaint" || failed=1
else
  echo "metrics: skipped, since promtool is missing (Debian's package prometheus)"
fi
"$python/bin/python" "$here/crate.py" "$work/studies/jobs/$job" || failed=1
exit "$failed"
