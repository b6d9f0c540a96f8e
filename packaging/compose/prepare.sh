#!/usr/bin/env bash
# bash packaging/compose/prepare.sh PROGRAM LAB [--loopback]
# Makes the folders of three centres, a dealer, a researcher and the network's administrator under
# LAB, by the same commands that real members use, each on its own computer. Patients are made up.
# --loopback: addresses of this computer, to try it without containers.
set -euo pipefail
umask 077
program="$(realpath "${1:?bash packaging/compose/prepare.sh PROGRAM LAB [--loopback]}")"
lab="${2:?bash packaging/compose/prepare.sh PROGRAM LAB [--loopback]}"
loopback="${3:-}"
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
centres=(north south west)
if [ -e "$lab" ]; then
  echo "$lab is there already" >&2
  exit 1
fi
mkdir -p "$lab"/{admin,centres,patients,stewards}
lab="$(realpath "$lab")"
konsil() { "$program" --quiet "$@"; }

# In compose each service has its own address, and its name is its host's name.
port=7400
place() { # NAME: sets listen, address
  if [ "$loopback" = --loopback ]; then
    port=$((port + 1))
    listen="127.0.0.1:$port" address="127.0.0.1:$port"
  else
    listen="0.0.0.0:7400" address="$1:7400"
  fi
}

# Simulated: nobody. The generator is written out so that every awk makes the same patients.
patients() { # SEED COUNT
  awk -v seed="$1" -v count="$2" '
    function uniform() { state = (state * 16807) % 2147483647; return state / 2147483647 }
    function normal(  i, sum) { for (i = 0; i < 12; i++) sum += uniform(); return sum - 6 }
    BEGIN {
      state = seed * 7919 + 17
      for (i = 0; i < 20; i++) uniform()
      print "id,age,sex,sbp,diabetes,died"
      for (i = 1; i <= count; i++) {
        age = int(62 + 11 * normal() + 0.5); if (age < 18) age = 18; if (age > 100) age = 100
        sex = uniform() < 0.45 ? "F" : "M"
        diabetes = uniform() < 0.28
        sbp = int(128 + 0.35 * (age - 62) + 6 * diabetes + 14 * normal() + 0.5)
        risk = -2.2 + 0.05 * (age - 62) + 0.012 * (sbp - 128) + 0.5 * diabetes
        died = uniform() < 1 / (1 + exp(-risk))
        printf "%d-%05d,%d,%s,%d,%s,%s\n", seed, i, age, sex, sbp, diabetes ? "yes" : "no", died ? "yes" : "no"
      }
    }'
}

# The words of a key are compared by phone between people; here one person plays all of them.
join() { # KIND NAME FOLDER ROLE
  konsil network invite "$2" --role "$4" --dir "$lab/admin" >/dev/null
  konsil "$1" join "$lab/admin/$2-invite.json" -C "$3" ${address:+--address "$address"} >/dev/null
  konsil network add "$3/join.json" --dir "$lab/admin" --yes >/dev/null
}

konsil network new trial --dir "$lab/admin" >/dev/null
seed=0
for centre in "${centres[@]}"; do
  seed=$((seed + 1))
  folder="$lab/centres/$centre"
  place "$centre"
  konsil node init --name "$centre" --listen "$listen" "$folder" >/dev/null
  join node "$centre" "$folder" centre
  # The steward's key is the steward's: it does not lie in the folder that the container sees.
  konsil steward init --name "$centre-steward" --key "$lab/stewards/$centre.key" -C "$folder" >/dev/null
  patients "$seed" $((300 + 40 * seed)) >"$lab/patients/$centre.csv"
  konsil data import "$lab/patients/$centre.csv" --as patients --dict "$here/trial.csv" -C "$folder" >/dev/null
done
place dealer
konsil dealer init --name dealer --listen "$listen" "$lab/dealer" >/dev/null
join dealer dealer "$lab/dealer" dealer
address="" # nobody connects to a researcher
konsil researcher init --name researcher "$lab/researcher" >/dev/null
join researcher researcher "$lab/researcher" researcher

# Everybody takes the list over in which all members stand.
for centre in "${centres[@]}"; do
  konsil node accept "$lab/admin/network.json" -C "$lab/centres/$centre" --yes >/dev/null
done
konsil dealer accept "$lab/admin/network.json" -C "$lab/dealer" --yes >/dev/null
konsil researcher accept "$lab/admin/network.json" -C "$lab/researcher" --yes >/dev/null
cp "$here/study.toml" "$lab/researcher/study.toml"

# The containers run as a user without a name; whoever cannot give folders away runs them as himself.
if [ "$(id -u)" = 0 ] && [ "$loopback" != --loopback ]; then
  chown -R 10001:10001 "$lab"/{centres,dealer,researcher,stewards}
  user=10001:10001
else
  user="$(id -u):$(id -g)"
fi
printf 'KONSIL_LAB=%s\nKONSIL_USER=%s\n' "$lab" "$user" >"$lab/compose.env"
echo "$lab: centres ${centres[*]}, dealer, researcher"
