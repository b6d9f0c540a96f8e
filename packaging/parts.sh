# shellcheck shell=bash
# Sourced by deb.sh and tarball.sh: what both are made from, and how both come out the same twice.
set -euo pipefail
# Other languages sort differently, another umask gives other modes: both would be other bytes.
export LC_ALL=C TZ=UTC
umask 022
packaging="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
repository="$(dirname "$packaging")"

# The date of everything: the last commit's, so that who builds the same commit gets the same bytes.
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
  if ! SOURCE_DATE_EPOCH="$(git -C "$repository" log -1 --format=%ct 2>/dev/null)"; then
    echo "no commit to take the date from: set SOURCE_DATE_EPOCH" >&2
    exit 1
  fi
fi
export SOURCE_DATE_EPOCH

# A program built for debugging is stripped; one that is stripped stays, byte for byte, what the
# release's SHA-256 is of.
put_program() { # PROGRAM TO
  install -m 755 "$1" "$2"
  # not `grep -q`: it ends readelf early, which pipefail takes for a failure now and then
  if readelf --section-headers --wide "$2" | grep ' \.symtab ' >/dev/null; then
    strip --strip-unneeded "$2"
  fi
}

version_of() { # PROGRAM
  local words
  words="$("$1" --version)"
  echo "${words##* }"
}

# man/, completions/ and sbom.json, as the program itself writes them.
put_parts() { # PROGRAM FOLDER
  local program="$1" folder="$2" now
  mkdir -p "$folder/man" "$folder/completions"
  "$program" --quiet man "$folder/man"
  "$program" completion bash >"$folder/completions/konsil.bash"
  "$program" completion zsh >"$folder/completions/_konsil"
  "$program" completion fish >"$folder/completions/konsil.fish"
  # The bill of materials is written with a centre's dossier: an empty centre gives the same.
  "$program" --quiet node init --name sbom "$folder/centre" >/dev/null
  "$program" --quiet dossier -C "$folder/centre" --out "$folder/dossier" >/dev/null
  now="$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)"
  sed -E "s/\"timestamp\": \"[^\"]*\"/\"timestamp\": \"$now\"/" \
    "$folder/dossier/sbom.json" >"$folder/sbom.json"
  rm -r "$folder/centre" "$folder/dossier"
}

same_dates() { # FOLDER
  find "$1" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
}
