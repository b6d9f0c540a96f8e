#!/usr/bin/env bash
# Makes the files beside this one: genotypes from a seed, as PLINK 1 files, as plink2 (2.00a3.5) exports
# them to other formats, and plink2's own counts. Tests read the files; only this script needs plink2.
set -eu
cd "$(dirname "${BASH_SOURCE[0]}")"
python3 - <<'PYTHON'
import random
numbers = random.Random(20261127)
people = [(f"P{at:02}", numbers.choice([1, 2])) for at in range(61)]
with open("small.fam", "w") as fam:
    for name, sex in people:
        fam.write(f"0\t{name}\t0\t0\t{sex}\t-9\n")
variants = []
for chromosome in ["1", "2", "22", "X", "MT"]:
    position = 3_000_000 if chromosome == "X" else 1_000
    for at in range(20 if chromosome == "MT" else 60):
        position += numbers.randint(1, 100)
        alternative, reference = numbers.sample("ACGT", 2)
        if at % 11 == 5:
            reference += "GT"
        variants.append((chromosome, position, f"v{chromosome}_{at}", alternative, reference))
with open("small.bim", "w") as bim, open("small.bed", "wb") as bed:
    bed.write(bytes([0x6C, 0x1B, 1]))
    for chromosome, position, name, alternative, reference in variants:
        bim.write(f"{chromosome}\t{name}\t0\t{position}\t{alternative}\t{reference}\n")
        frequency, missing = numbers.random() ** 2, numbers.random() * 0.08
        codes = []
        for _, sex in people:
            copies = sum(numbers.random() < frequency for _ in range(2))
            if chromosome == "MT" or (chromosome == "X" and sex == 1):
                copies = 2 * (numbers.random() < frequency)
            codes.append(1 if numbers.random() < missing else [3, 2, 0][copies])
        codes += [0] * (-len(codes) % 4)
        for at in range(0, len(codes), 4):
            bed.write(bytes([sum(code << 2 * i for i, code in enumerate(codes[at : at + 4]))]))
PYTHON
python3 - <<'PYTHON'
import random
numbers = random.Random(11)
with open("dose.vcf", "w") as vcf:
    vcf.write("##fileformat=VCFv4.2\n##contig=<ID=1>\n")
    vcf.write('##FORMAT=<ID=DS,Number=A,Type=Float,Description="Dose">\n')
    people = "\t".join(f"P{at:02}" for at in range(50))
    vcf.write(f"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t{people}\n")
    for at in range(40):
        doses = []
        for _ in range(50):
            dose = numbers.choice([0, 1, 2]) + numbers.choice([0, 0.05, -0.06, 0.08, 0.13, -0.2, 0.5])
            doses.append("." if numbers.random() < 0.05 else f"{min(max(dose, 0), 2):g}")
        line = "\t".join(doses)
        vcf.write(f"1\t{at + 1}\td{at}\tA\tG\t.\t.\t.\tDS\t{line}\n")
PYTHON
plink2 --vcf dose.vcf dosage=DS --hard-call-threshold 0.1 --geno-counts --out dose --silent
plink2 --vcf dose.vcf dosage=DS --export bgen-1.2 bits=8 ref-first --out dose8 --silent
plink2 --vcf dose.vcf dosage=DS --export bgen-1.3 bits=16 --out dose16 --silent
plink() { plink2 --bfile small --allow-no-sex --silent "$@"; }
plink --export vcf-4.2 bgz --out small
plink --export bcf-4.2 --out small
plink --export bgen-1.2 bits=8 --out small8
plink --export bgen-1.2 bits=16 ref-first --out small16
plink --export bgen-1.3 bits=8 ref-first --out small-zstd
plink --freq counts cols=+pos --out small
plink --missing variant-only --out small
rm -f ./*.log dose*.sample small16.sample small-zstd.sample
mv small8.sample small.sample
