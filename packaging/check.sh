#!/usr/bin/env bash
# bash packaging/check.sh PROGRAM [--all]: checks the packaging with a program that is built, without
# Docker and without systemd as the first process, in under a minute. Says what it skips, and why.
# --all: lintian too, which takes most of another minute.
source "$(dirname "${BASH_SOURCE[0]}")/parts.sh"
program="$(realpath "${1:?bash packaging/check.sh PROGRAM}")"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
chmod 711 "$work"
failed=0
ok() { echo "✓ $*"; }
skip() { echo "- skipped: $*"; }
wrong() {
  echo "✗ $*"
  failed=1
}
has() { command -v "$1" >/dev/null; }
# Quick instead of small: the bytes are compared, not counted.
export KONSIL_XZ_LEVEL=0 KONSIL_GZIP_LEVEL=1
# Once, not in each of the four packages.
put_program "$program" "$work/konsil"
program="$work/konsil"

# The second time with what a person's own settings could change.
for package in deb tarball; do
  bash "$packaging/$package.sh" "$program" "$work/one" >/dev/null &
  first=$!
  (umask 077 && TZ=Asia/Tokyo LC_ALL=C.UTF-8 bash "$packaging/$package.sh" "$program" "$work/two" >/dev/null)
  wait "$first"
done
for file in "$work"/one/*; do
  name="$(basename "$file")"
  if cmp --silent "$file" "$work/two/$name"; then
    ok "$name twice the same, $(stat -c %s "$file") bytes"
  else
    wrong "$name differs between two builds"
  fi
done
deb="$(echo "$work"/one/*.deb)"

lint=
if [ "${2:-}" != --all ]; then
  skip "lintian (--all)"
elif has lintian; then
  # beside the rest
  lintian --allow-root --tag-display-limit 0 "$deb" >"$work/lintian" 2>&1 &
  lint=$!
else
  skip "lintian is not installed"
fi

# A scratch root.
root="$work/root"
dpkg-deb --extract "$deb" "$root"
dpkg-deb --control "$deb" "$work/control"
for script in postinst prerm postrm; do sh -n "$work/control/$script" || wrong "$script"; done
(cd "$root" && md5sum --check --quiet "$work/control/md5sums") && ok "unpacked, sums as listed" || wrong md5sums
konsil="$root/usr/bin/konsil"
if [ "$("$konsil" --version)" = "konsil $(dpkg-deb --field "$deb" Version)" ] && cmp --silent "$konsil" "$program"; then
  ok "the installed program runs: $("$konsil" --version)"
else
  wrong "the installed program"
fi
# Installed, removed and purged by dpkg itself on a copy of this system that is thrown away.
mkdir "$work/layer"
if [ "$(id -u)" = 0 ] && unshare --mount bash -c 'mount -t tmpfs none "$1"' . "$work/layer" 2>/dev/null; then
  ended=0
  bash "$packaging/deb/install-try.sh" "$deb" "$work/layer" >"$work/dpkg" 2>&1 || ended=$?
  case "$ended" in
  0) ok "installed, removed, purged; the centre's folder stays" ;;
  77) skip "dpkg's install: no overlay file system here" ;;
  *) cat "$work/dpkg" && wrong "dpkg's install" ;;
  esac
else
  skip "dpkg's install (root, mounts)"
fi
if [ "$(id -u)" = 0 ] && has systemd-sysusers; then
  mkdir -p "$root/etc"
  systemd-sysusers --root="$root" konsil.conf 2>/dev/null && systemd-tmpfiles --root="$root" --create konsil.conf 2>/dev/null
  if [ "$(stat -c %a "$root/var/lib/konsil")" = 700 ] && grep '^konsil:' "$root/etc/passwd" | grep nologin >/dev/null; then
    ok "accounts without a shell, folders for their owners only"
  else
    wrong "accounts and folders"
  fi
  user="$(awk -F: '$1 == "konsil" { print $3 ":" $4 }' "$root/etc/passwd")"
  if setpriv --reuid "${user%:*}" --regid "${user#*:}" --clear-groups \
    "$konsil" --quiet node init --name north "$root/var/lib/konsil" >/dev/null; then
    ok "a centre's folder is made by its user"
  else
    wrong "konsil node init in the folder of the package"
  fi
else
  skip "accounts and folders (root, systemd-sysusers)"
fi

share="$root/usr/share"
bash -n "$share/bash-completion/completions/konsil" &&
  bash -c 'source "$1" && complete -p konsil >/dev/null' . "$share/bash-completion/completions/konsil" &&
  ok "completion of bash" || wrong "completion of bash"
if has zsh; then
  zsh -n "$share/zsh/vendor-completions/_konsil" && ok "completion of zsh" || wrong "completion of zsh"
else
  skip "completion of zsh: zsh is not installed"
fi
if has fish; then
  fish --no-execute "$share/fish/vendor_completions.d/konsil.fish" && ok "completion of fish" || wrong "completion of fish"
else
  skip "completion of fish: fish is not installed"
fi
if has groff; then
  count="$(find "$share/man/man1" -name '*.gz' | wc -l)"
  gzip -dc "$share"/man/man1/*.gz | groff -man -Tutf8 -ww -z 2>"$work/groff"
  if [ -s "$work/groff" ]; then
    sort "$work/groff" | uniq -c | sort -rn | head -n 5
    wrong "manual pages"
  else
    ok "$count manual pages without a warning"
  fi
else
  skip "manual pages: groff is not installed"
fi
if has python3; then
  python3 -c '
import json, sys
bill = json.load(open(sys.argv[1]))
assert bill["bomFormat"] == "CycloneDX" and bill["components"]
print("✓ sbom.json:", len(bill["components"]), "libraries, CycloneDX", bill["specVersion"])' "$share/doc/konsil/sbom.json" || wrong sbom.json
fi

if has systemd-analyze; then
  # The program must be where a unit says: it is in the scratch root.
  mkdir "$work/units"
  for unit in node pages dealer; do
    sed "s|/usr/bin/konsil|$konsil|" "$packaging/systemd/konsil-$unit.service" >"$work/units/konsil-$unit.service"
    score="$(systemd-analyze security --offline=true "$packaging/systemd/konsil-$unit.service" 2>/dev/null |
      sed -n 's/.*service: \([0-9.]*\).*/\1/p')"
    if systemd-analyze verify --man=no "$work/units/konsil-$unit.service" 2>"$work/verify" &&
      [ ! -s "$work/verify" ] && [ "${score%.*}" -lt 2 ]; then
      ok "konsil-$unit.service: exposure $score of 10"
    else
      cat "$work/verify"
      wrong "konsil-$unit.service: exposure $score of 10"
    fi
  done
else
  skip "units: systemd-analyze is not installed"
fi

compose="$packaging/compose/compose.yaml"
if docker compose version >/dev/null 2>&1; then
  KONSIL_LAB=/lab docker compose -f "$compose" config --quiet && ok "compose.yaml by docker compose" || wrong compose.yaml
elif python3 -c 'import yaml' 2>/dev/null; then
  python3 - "$compose" <<'PYTHON' || wrong compose.yaml
import sys, yaml
lab = yaml.safe_load(open(sys.argv[1]))
for name, it in lab["services"].items():
    assert it["read_only"] and it["cap_drop"] == ["ALL"], name
    assert it["security_opt"] == ["no-new-privileges:true"] and it["init"], name
    assert set(it["networks"]) <= set(lab["networks"]), name
    assert len(it["volumes"]) == 1, name
assert all(it["internal"] for it in lab["networks"].values())
print("✓ compose.yaml, as YAML:", ", ".join(lab["services"]))
PYTHON
  skip "compose.yaml by docker compose: not installed"
else
  skip "compose.yaml: neither docker compose nor python3-yaml"
fi
skip "the image is not built: no container engine is asked for"

if has nginx; then
  # The example with a certificate of its own, on a port of loopback.
  openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=konsil.hospital.example \
    -keyout "$work/tls.key" -out "$work/tls.pem" 2>/dev/null
  {
    echo "pid $work/nginx.pid; error_log stderr; events {} http { access_log off;"
    sed -e "s|/etc/ssl/certs/.*;|$work/tls.pem;|" -e "s|/etc/ssl/private/.*;|$work/tls.key;|" \
      -e 's|listen 443|listen 127.0.0.1:7443|' "$packaging/deb/examples/nginx.conf"
    echo "}"
  } >"$work/nginx.conf"
  nginx -t -q -c "$work/nginx.conf" && ok "the proxy's example is read by nginx" || wrong nginx.conf
else
  skip "the proxy's example: nginx is not installed"
fi

for script in "$packaging"/*.sh "$packaging"/compose/*.sh "$repository/scripts/release.sh"; do
  bash -n "$script" || wrong "$script"
done
if bash "$packaging/compose/try.sh" "$program" >"$work/try" 2>&1; then
  grep '^skipped' "$work/try" | sed 's/^/- /' || true
  ok "$(tail -n 1 "$work/try"), under the units' system call rules where not skipped"
else
  cat "$work/try"
  wrong "a study in the lab of compose.yaml, without containers"
fi
if [ -n "$lint" ]; then
  if wait "$lint"; then
    ok "lintian: no error, $(grep -c '^W:' "$work/lintian" || true) warnings"
  else
    wrong lintian
  fi
  cat "$work/lintian"
fi
exit "$failed"
