#!/usr/bin/env bash
# Fuzzes the readers of genotype files, each for so many seconds (60 unless said), and then, if asked
# for with `all`, those of frames, patients and questions, which take long to build.
#
#   scripts/fuzz.sh [SECONDS] [all]
#
# Needs a nightly toolchain and cargo-fuzz. Ends with an error at the first finding, whose input is then
# in fuzz/geno/artifacts or fuzz/artifacts.
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
seconds="${1:-60}"
vectors=crates/geno/tests/vectors

fuzz() { # FOLDER TARGET [options of the build]
  local folder="$1" target="$2"
  shift 2
  mkdir -p "$folder/corpus/$target"
  echo "== $target, $seconds s"
  cargo +nightly fuzz run --fuzz-dir "$folder" "$@" "$target" \
    "$folder/corpus/$target" "$folder/seeds/$target" -- \
    -max_total_time="$seconds" -max_len=8192 -len_control=0 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 2>&1 |
    grep --extended-regexp 'INITED|DONE|stat::number_of|new_units|SUMMARY|ERROR|panicked|^error|Test unit'
}

# files of other programs, which the tests read, are seeds too
for target in bgen vcf bcf; do
  mkdir -p "fuzz/geno/corpus/$target"
done
cp "$vectors"/*.bgen fuzz/geno/corpus/bgen/
cp "$vectors"/dose.vcf "$vectors"/small.vcf.gz fuzz/geno/corpus/vcf/
cp "$vectors"/small.bcf fuzz/geno/corpus/bcf/
for target in plink bgen vcf bcf; do
  fuzz fuzz/geno "$target"
done
if [ "${2:-}" = all ]; then
  mkdir -p fuzz/seeds/frames
  fuzz fuzz frames --no-default-features
  fuzz fuzz import
  fuzz fuzz questions
fi
