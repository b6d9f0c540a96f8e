#!/usr/bin/env bash
# bash packaging/tarball.sh PROGRAM [OUTDIR]: konsil-VERSION-x86_64-linux.tar.gz with the program,
# manual pages, completions, licence, bill of materials and units. The same program and commit give
# the same bytes.
source "$(dirname "${BASH_SOURCE[0]}")/parts.sh"
program="$(realpath "${1:?bash packaging/tarball.sh PROGRAM [OUTDIR]}")"
out="${2:-dist}"
mkdir -p "$out"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

name="konsil-$(version_of "$program")-x86_64-linux"
put_parts "$program" "$work/$name"
put_program "$program" "$work/$name/konsil"
install -m 644 "$repository"/{LICENSE,README.md,CHANGELOG.md,SECURITY.md} "$work/$name/"
install -D -m 644 -t "$work/$name/systemd" "$packaging"/systemd/*.service \
  "$packaging/deb/sysusers.conf" "$packaging/deb/tmpfiles.conf"
same_dates "$work"
tar --directory "$work" --create --sort=name --format=ustar --mtime="@$SOURCE_DATE_EPOCH" \
  --owner=0 --group=0 --numeric-owner "$name" | gzip -"${KONSIL_GZIP_LEVEL:-9}"n >"$out/$name.tar.gz"
(cd "$out" && sha256sum "$name.tar.gz")
