#!/usr/bin/env bash
# The release build: the same commit and compiler give the same program, byte for byte, whatever the
# folder, user and machine are called. Prints its SHA-256 and makes the packages in dist/.
# --twice builds a second time in another folder and compares.
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
export LC_ALL=C TZ=UTC
umask 022
twice=
case "${1:-}" in
'') ;;
--twice) twice=yes ;;
*) echo "bash scripts/release.sh [--twice]" >&2 && exit 2 ;;
esac

# What is not committed is in no release: who builds the commit would get another program.
if [ -n "$(git status --porcelain --untracked-files=no)" ]; then
  echo "! changes that are not committed are built too: this is no release" >&2
fi
SOURCE_DATE_EPOCH="$(git log -1 --format=%ct)"
# Incremental builds cut the crates by what was built before. setup.sh leaves what is set: here not.
export SOURCE_DATE_EPOCH CARGO_INCREMENTAL=0
# Flags from the outside would be in the program.
unset RUSTFLAGS CARGO_BUILD_RUSTFLAGS CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS CARGO_BUILD_TARGET \
  CFLAGS CXXFLAGS CPPFLAGS

build() { # SOURCE TARGET: the program is TARGET/release/konsil
  local source="$1" target="$2" cargo_home sysroot
  cargo_home="$(realpath "${CARGO_HOME:-$HOME/.cargo}")"
  sysroot="$(cd "$source" && rustc --print sysroot)"
  # Names of folders are in messages of panics and, of C, in assertions: each is replaced. The last
  # prefix that fits counts, so that the target folder within the repository comes after it.
  # CARGO_ENCODED_RUSTFLAGS takes folders with blanks, its parts end with the byte 31.
  local flags=(
    "--remap-path-prefix=$cargo_home=/cargo"
    "--remap-path-prefix=$sysroot/lib/rustlib/src/rust=/rust"
    "--remap-path-prefix=$source=/konsil"
    "--remap-path-prefix=$target=/target"
  )
  local c_flags="-ffile-prefix-map=$cargo_home=/cargo -ffile-prefix-map=$source=/konsil -ffile-prefix-map=$target=/target"
  (
    cd "$source" || exit 1
    CARGO_ENCODED_RUSTFLAGS="$(IFS=$'\x1f' && echo -n "${flags[*]}")"
    export CARGO_ENCODED_RUSTFLAGS CFLAGS="$c_flags" CXXFLAGS="$c_flags"
    cargo build --release --locked --package konsil-cli --bin konsil --target-dir "$target"
  )
  # All symbols: a name that is left would be of no use without the build's folder.
  strip --strip-all "$target/release/konsil"
}

root="$PWD"
build "$root" "$root/target/release-repro"
program="$root/target/release-repro/release/konsil"
# A folder's name that is left would be another one elsewhere.
if grep --quiet --text --fixed-strings -e "$root/" -e "$HOME/" "$program"; then
  echo "! a folder of this machine is in the program:" >&2
  strings -a "$program" | grep --fixed-strings -e "$root/" -e "$HOME/" | sort -u | head -n 5 >&2 || true
fi

if [ -n "$twice" ]; then
  again="$(mktemp -d)"
  trap 'rm -rf "$again"' EXIT
  # The files of the commit with what is changed here, in a folder with another name and length.
  mkdir -p "$again/another/source"
  git ls-files -z | tar --create --null --files-from=- | tar --extract --directory "$again/another/source"
  build "$again/another/source" "$again/another/build"
  if ! cmp "$program" "$again/another/build/release/konsil"; then
    sha256sum "$program" "$again/another/build/release/konsil" >&2
    echo "✗ two builds differ" >&2
    exit 1
  fi
  echo "✓ two builds in two folders are the same"
fi

(cd "$(dirname "$program")" && sha256sum konsil)
mkdir -p dist
bash packaging/deb.sh "$program" dist
bash packaging/tarball.sh "$program" dist
cp "$program" dist/konsil
# The list that is published, and signed, with the files.
(cd dist && sha256sum konsil konsil_*_amd64.deb konsil-*-x86_64-linux.tar.gz >SHA256SUMS)
rustc --version
