#!/usr/bin/env bash
# bash packaging/deb.sh PROGRAM [OUTDIR]: konsil_VERSION_amd64.deb from a program that is built.
# The same program and commit give the same bytes. Needs dpkg-deb, binutils and gzip.
# KONSIL_XZ_LEVEL (6) makes it faster for tries; a release has the default.
source "$(dirname "${BASH_SOURCE[0]}")/parts.sh"
program="$(realpath "${1:?bash packaging/deb.sh PROGRAM [OUTDIR]}")"
out="${2:-dist}"
mkdir -p "$out"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

if ! readelf --file-header "$program" | grep 'Machine:.*X86-64' >/dev/null; then
  echo "$program is no program for x86-64" >&2
  exit 1
fi
version="$(version_of "$program")"
put_parts "$program" "$work/parts"
root="$work/root"
mkdir -p "$root"/usr/{bin,lib/systemd/system,lib/sysusers.d,lib/tmpfiles.d} "$root"/etc/default \
  "$root"/usr/share/{bash-completion/completions,zsh/vendor-completions,fish/vendor_completions.d} \
  "$root"/usr/share/{man/man1,doc/konsil/examples,lintian/overrides} "$root/DEBIAN"

put_program "$program" "$root/usr/bin/konsil"
install -m 644 "$packaging"/systemd/*.service "$root/usr/lib/systemd/system/"
install -m 644 "$packaging/deb/sysusers.conf" "$root/usr/lib/sysusers.d/konsil.conf"
install -m 644 "$packaging/deb/tmpfiles.conf" "$root/usr/lib/tmpfiles.d/konsil.conf"
install -m 644 "$packaging/deb/default" "$root/etc/default/konsil"
install -m 644 "$packaging/deb/lintian-overrides" "$root/usr/share/lintian/overrides/konsil"

install -m 644 "$work"/parts/man/*.1 "$root/usr/share/man/man1/"
find "$root/usr/share/man/man1" -name '*.1' -exec gzip -9n {} +
install -m 644 "$work/parts/completions/konsil.bash" "$root/usr/share/bash-completion/completions/konsil"
install -m 644 "$work/parts/completions/_konsil" "$root/usr/share/zsh/vendor-completions/_konsil"
install -m 644 "$work/parts/completions/konsil.fish" "$root/usr/share/fish/vendor_completions.d/konsil.fish"

# Who maintains the package is told by who releases it.
maintainer="${KONSIL_MAINTAINER:-Konsil maintainers <maintainers@konsil.example>}"
doc="$root/usr/share/doc/konsil"
install -m 644 "$packaging/deb/README.Debian" "$doc/README.Debian"
install -m 644 "$packaging/deb/copyright" "$doc/copyright"
install -m 644 "$repository/LICENSE" "$doc/LICENSE"
install -m 644 "$work/parts/sbom.json" "$doc/sbom.json"
install -m 644 "$repository/SECURITY.md" "$repository/docs/install.md" "$repository/docs/at-rest.md" "$doc/"
install -m 644 "$packaging"/deb/examples/* "$doc/examples/"
gzip -9nc "$repository/CHANGELOG.md" >"$doc/NEWS.md.gz"
{
  echo "konsil ($version) unstable; urgency=medium"
  echo
  echo "  * What is new stands in NEWS.md.gz."
  echo
  echo " -- $maintainer  $(date -R -u -d "@$SOURCE_DATE_EPOCH")"
} | gzip -9n >"$doc/changelog.gz"

# The C library must be as new as the newest of its symbols that the program calls. libm is part of
# the same package; anything but these libraries would be a package that nobody has thought of.
libraries="$(objdump -p "$root/usr/bin/konsil" | awk '$1 == "NEEDED" { print $2 }' | sort)"
for library in $libraries; do
  case "$library" in
  libc.so.6 | libm.so.6 | libgcc_s.so.1 | ld-linux-x86-64.so.2) ;;
  *) echo "$library: no package is known for it" >&2 && exit 1 ;;
  esac
done
newest() { objdump -T "$root/usr/bin/konsil" | grep -o "$1"'_[0-9.]*' | sort -Vu | tail -n 1 | sed 's/.*_//'; }
depends="libc6 (>= $(newest GLIBC))"
case "$libraries" in *libgcc_s*) depends="$depends, libgcc-s1 (>= $(newest GCC))" ;; esac
# They make the account and the folders; no daemon of systemd is needed for the commands alone.
depends="$depends, systemd | systemd-standalone-sysusers, systemd | systemd-standalone-tmpfiles"

size="$(find "$root" -path "$root/DEBIAN" -prune -o -type f -printf '%s\n' | awk '{ kib += int(($1 + 1023) / 1024) } END { print kib }')"
sed -e "s#@VERSION@#$version#" -e "s#@DEPENDS@#$depends#" -e "s#@SIZE@#$size#" \
  -e "s#@MAINTAINER@#$maintainer#" "$packaging/deb/control" >"$root/DEBIAN/control"
echo /etc/default/konsil >"$root/DEBIAN/conffiles"
install -m 755 "$packaging"/deb/{postinst,prerm,postrm} "$root/DEBIAN/"
(cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"

same_dates "$root"
# xz cuts what it compresses by the number of its threads: one, so that every machine cuts alike.
dpkg-deb --root-owner-group --threads-max=1 -Zxz -z"${KONSIL_XZ_LEVEL:-6}" \
  --build "$root" "$out/konsil_${version}_amd64.deb" >/dev/null
(cd "$out" && sha256sum "konsil_${version}_amd64.deb")
