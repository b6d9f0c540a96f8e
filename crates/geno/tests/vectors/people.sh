#!/usr/bin/env bash
# What plink2 (2.00a3.5) and plink1.9 say of the people of small.bed: heterozygosity, sex by X, kinship.
set -eu
cd "$(dirname "${BASH_SOURCE[0]}")"
plink2 --bfile small --allow-no-sex --silent --het small-sample --make-king-table --out small
plink2 --bfile small --allow-no-sex --silent --missing sample-only --not-chr Y --out small
plink1.9 --bfile small --allow-no-sex --silent --check-sex --out small
awk 'NR == 1 || $8 > 0.03' small.kin0 >small.kin
rm -f small.kin0 ./*.log ./*.hh ./*.nosex
