#!/usr/bin/env bash
# bash packaging/compose/try.sh PROGRAM: the lab of prepare.sh without containers, on loopback: starts
# three centres and the dealer, sends a study, approves it at each centre, runs it, asks a centre's
# pages, stops. Where it may, each process runs as on a centre's machine: under the system call rules of
# its unit, without any capability, as a user that is not root, on a file system that it can only
# read but for its own folder.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
program="$(realpath "${1:?bash packaging/compose/try.sh PROGRAM}")"
lab="$(mktemp -d)/lab"
processes=()
finish() {
  for process in "${processes[@]}"; do kill "$process" 2>/dev/null || true; done
  wait
  rm -rf "$(dirname "$lab")"
}
trap finish EXIT
bash "$here/prepare.sh" "$program" "$lab" --loopback

skipped=()
python=/usr/bin/python3
filter=yes
$python -c 'import seccomp' 2>/dev/null && command -v systemd-analyze >/dev/null || filter=
[ -n "$filter" ] || skipped+=("system call rules (python3-seccomp, systemd-analyze)")
jail=
if [ "$(id -u)" = 0 ] && unshare --mount true 2>/dev/null && command -v setpriv >/dev/null; then
  jail=yes
  chmod 711 "$(dirname "$lab")" "$lab" "$lab/centres"
  chown -R 10001:10001 "$lab"/{centres,dealer,researcher,stewards}
else
  skipped+=("read-only file system, other user (root, unshare, setpriv)")
fi

# The daemon's folder is the only place that it may write.
as_daemon() { # UNIT FOLDER COMMAND...
  local unit="$1" folder="$2"
  shift 2
  local command=("$@")
  if [ -n "$filter" ]; then
    command=("$python" "$here/../sandbox.py" "$here/../systemd/$unit.service" -- "${command[@]}")
  fi
  if [ -n "$jail" ]; then
    # shellcheck disable=SC2016 # for the shell within
    exec unshare --mount bash -c '
      mount --make-rprivate / && mount --bind "$1" "$1" &&
        findmnt --noheadings --raw --output TARGET | while read -r place; do
          [ "$place" = "$1" ] || mount -o remount,bind,ro "$place" 2>/dev/null || true
        done
      shift
      exec setpriv --reuid 10001 --regid 10001 --clear-groups --no-new-privs --bounding-set=-all "$@"
    ' jail "$folder" "${command[@]}"
  fi
  exec "${command[@]}"
}
as_steward() { # as runuser -u konsil -- on a centre's machine
  if [ -n "$jail" ]; then setpriv --reuid 10001 --regid 10001 --clear-groups "$@"; else "$@"; fi
}

# What systemd would listen to: the daemon says READY=1.
hear() { # SOCKET FILE
  exec $python -c '
import os, socket, sys
heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
heard.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o777)
open(sys.argv[2], "w").close()
while True:
    open(sys.argv[2], "ab").write(heard.recv(4096) + b"\n")' "$1" "$2"
}

begin() { # NAME UNIT FOLDER COMMAND...
  local name="$1" unit="$2" folder="$3"
  shift 3
  hear "$lab/$name.notify" "$lab/$name.heard" &
  processes+=($!)
  while [ ! -e "$lab/$name.heard" ]; do sleep 0.05; done
  (NOTIFY_SOCKET="$lab/$name.notify" as_daemon "$unit" "$folder" "$@") \
    >"$lab/$name.out" 2>"$lab/$name.log" </dev/null &
  processes+=($!)
  for _ in $(seq 400); do
    grep -q '^READY=1' "$lab/$name.heard" && return
    # a program from before it told systemd says so on standard output or standard error only
    if grep -qs '^ready\|http://' "$lab/$name.out" "$lab/$name.log"; then
      sleep 0.3
      grep -q '^READY=1' "$lab/$name.heard" || late+=("$name")
      return
    fi
    sleep 0.05
  done
  cat "$lab/$name.log" >&2
  return 1
}

late=()
begin dealer konsil-dealer "$lab/dealer" "$program" dealer serve -C "$lab/dealer"
for centre in north south west; do
  begin "$centre" konsil-node "$lab/centres/$centre" "$program" node serve -C "$lab/centres/$centre"
done
for centre in north south west; do
  as_steward "$program" --quiet node doctor -C "$lab/centres/$centre"
done

cd "$lab/researcher"
as_steward "$program" run study.toml --network network.toml --out results --wait 120 >"$lab/run.out" 2>"$lab/run.log" &
run=$!
processes+=("$run")
for centre in north south west; do
  for _ in $(seq 200); do
    as_steward "$program" --quiet request approve 1 -C "$lab/centres/$centre" --key "$lab/stewards/$centre.key" \
      --yes >"$lab/approve.log" 2>&1 && continue 2
    sleep 0.1
  done
  cat "$lab/approve.log" >&2
  exit 1
done
if ! wait "$run"; then
  cat "$lab/run.log" >&2
  exit 1
fi
test -s results/report.html && test -s results/model.tidy.csv
cat results/model.tidy.csv

as_steward bash -c 'umask 077; echo only-for-this-trial >"$1/password"' . "$lab/stewards"
as_steward "$program" --quiet node account add eva --role admin --password-file "$lab/stewards/password" \
  -C "$lab/centres/north" >/dev/null
begin pages konsil-pages "$lab/centres/north" "$program" node pages -C "$lab/centres/north" \
  --listen 127.0.0.1:7409 --behind-tls --host konsil.hospital.example
curl --silent --fail --show-error --output /dev/null --header 'Host: konsil.hospital.example' http://127.0.0.1:7409/healthz
as_steward "$program" --quiet audit verify -C "$lab/centres/north"

for it in "${skipped[@]}"; do echo "skipped: $it"; done
for it in "${late[@]}"; do echo "skipped: READY=1 of $it, which this program does not say"; done
echo "the study ran over three centres and a dealer"
