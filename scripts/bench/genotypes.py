#!/usr/bin/env python3
"""Made-up genotypes with traits, in PLINK's format: for benchmarks and tests (needs numpy).

    python3 scripts/bench/genotypes.py OUT --people 6000 --variants 100000 --covariates 10 --centres 6
    python3 scripts/bench/genotypes.py OUT --people 2000 --variants 20000 --ld

Writes into the folder OUT:
    all.bed all.bim all.fam        everybody; ALT is A1 of the .bim
    cNN.bed cNN.bim cNN.fam        each centre's people alone (--split)
    clinical.csv dictionary.csv    id, centre, covariates c1.., the traits: ldl (a number) and ad (0/1)
    pheno.txt covar.txt            the same for PLINK
    links.csv                      which patient each person is, and of which centre
    panel.tsv                      the variants, as a network's list has them
    causal.csv                     which variants act, and how much

Variants are independent with frequencies from 0.01 to 0.5; with --ld they come in blocks of few
haplotypes, which recombine at the blocks' ends. Memory does not grow with the number of variants.
"""

import argparse
import pathlib

import numpy as np

# Lengths of the chromosomes 1 to 22 in megabases, for positions that look real.
LENGTHS = [249, 242, 198, 190, 182, 171, 159, 145, 138, 134, 135,
           133, 114, 107, 102, 90, 83, 80, 59, 64, 47, 51]
BASES = np.array(list("ACGT"))
# .bed codes of 0, 1, 2 copies of ALT (which is A1), and of a missing genotype.
BED = np.array([3, 2, 0, 1], dtype=np.uint8)
MISSING = 3
LD_VARIANTS = 25
LD_HAPLOTYPES = 6
LD_KEPT = 0.75
LD_MUTATED = 0.004
LD_SPACING = 3000


def arguments():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("out", type=pathlib.Path)
    options.add_argument("--people", type=int, default=6000)
    options.add_argument("--variants", type=int, default=100_000)
    options.add_argument("--covariates", type=int, default=10)
    options.add_argument("--centres", type=int, default=6)
    options.add_argument("--causal", type=int, default=20, help="variants that act on each trait")
    options.add_argument("--heritability", type=float, default=0.1, help="share of ldl's variance from genes")
    options.add_argument("--missing", type=float, default=0.01)
    options.add_argument("--chromosomes", type=int, default=22)
    options.add_argument("--ld", action="store_true", help="neighbouring variants are correlated")
    options.add_argument("--split", action="store_true", help="also a file set for each centre")
    options.add_argument("--seed", type=int, default=7)
    return options.parse_args()


def positions(source, options):
    """Chromosome and position of each variant, in order; close together where they are correlated."""
    variants = options.variants
    lengths = np.array(LENGTHS[:options.chromosomes], dtype=float)
    ends = np.floor(np.cumsum(lengths) / lengths.sum() * variants).astype(int)
    begin = 0
    for number, end in enumerate(ends, 1):
        count = end - begin
        # inside the chromosome in builds 37 and 38
        span = int(lengths[number - 1] * 1_000_000) - 2_000_000
        if options.ld:
            span = min(span, count * LD_SPACING)
        place = np.sort(source.choice(span // 10, size=count, replace=False)) * 10 + 10_000
        yield from ((number, int(it)) for it in place)
        begin = end


class Independent:
    """Genotypes in Hardy-Weinberg proportions, one variant at a time."""

    def __init__(self, source, people):
        self.source, self.people = source, people

    def block(self, frequencies):
        rows = np.empty((len(frequencies), self.people), dtype=np.uint8)
        for row, f in zip(rows, frequencies):
            bits = self.source.integers(0, 65536, size=self.people, dtype=np.uint16)
            two = min(int(round(f * f * 65536)), 65535)
            one = min(int(round((f * f + 2 * f * (1 - f)) * 65536)), 65535)
            np.add(bits < two, bits < one, out=row, dtype=np.uint8)
        return rows


class Blocks:
    """Genotypes from a pool of few haplotypes in each block; a person's next haplotype is mostly the
    one with the same number, else another: a recombination."""

    def __init__(self, source, people):
        self.source, self.people = source, people
        self.held = source.integers(0, LD_HAPLOTYPES, size=(2, people))

    def block(self, frequencies):
        rows = np.zeros((len(frequencies), self.people), dtype=np.uint8)
        for at in range(0, len(frequencies), LD_VARIANTS):
            part = frequencies[at:at + LD_VARIANTS]
            weights = self.source.dirichlet(np.full(LD_HAPLOTYPES, 1.5))
            moved = self.source.random((2, self.people)) > LD_KEPT
            drawn = self.source.choice(LD_HAPLOTYPES, size=(2, self.people), p=weights)
            self.held = np.where(moved, drawn, self.held)
            for row, f in zip(rows[at:], part):
                carriers = self.source.permutation(LD_HAPLOTYPES)
                many = np.searchsorted(np.cumsum(weights[carriers]), f) + 1
                alleles = np.zeros(LD_HAPLOTYPES, dtype=np.uint8)
                alleles[carriers[:min(many, LD_HAPLOTYPES - 1)]] = 1
                both = alleles[self.held] ^ (self.source.random((2, self.people)) < LD_MUTATED)
                row[:] = both.sum(axis=0)
        return rows


def packed(rows):
    """PLINK's two bits for each person, four people in a byte."""
    codes = BED[rows]
    short = -codes.shape[1] % 4
    if short:
        codes = np.pad(codes, ((0, 0), (0, short)))
    codes = codes.reshape(codes.shape[0], -1, 4)
    return codes[:, :, 0] | codes[:, :, 1] << 2 | codes[:, :, 2] << 4 | codes[:, :, 3] << 6


def write_fam(path, names):
    path.write_text("".join(f"0 {name} 0 0 0 -9\n" for name in names))


def genotypes(options, source, files, names):
    """Writes all variants; returns what the genes add to each trait, and the variants that act."""
    people, variants = options.people, options.variants
    made = (Blocks if options.ld else Independent)(source, people)
    act = {"ldl": {}, "ad": {}}
    for trait, chosen in act.items():
        for at in np.sort(source.choice(variants, size=min(options.causal, variants), replace=False)):
            chosen[int(at)] = float(source.choice([-1, 1]) * source.uniform(0.5, 1.5))
    genes = {trait: np.zeros(people) for trait in act}
    places = positions(source, options)
    rows_at_once = max(LD_VARIANTS, min(4000, 64_000_000 // people) // LD_VARIANTS * LD_VARIANTS)
    causal = []
    panel = open(options.out / "panel.tsv", "w")
    panel.write("#CHROM\tPOS\tID\tREF\tALT\n")
    for _, bed, bim in files:
        bed.write(bytes([0x6C, 0x1B, 0x01]))
    for first in range(0, variants, rows_at_once):
        count = min(rows_at_once, variants - first)
        frequencies = source.uniform(0.01, 0.5, size=count)
        rows = made.block(frequencies)
        for trait, chosen in act.items():
            for at in (it for it in chosen if first <= it < first + count):
                row = rows[at - first].astype(float)
                scale = max(row.std(), 1e-9)
                genes[trait] += chosen[at] * (row - row.mean()) / scale
                causal.append((trait, at, chosen[at] / scale))
        holes = source.random(size=(count, people), dtype=np.float32) < options.missing
        rows[holes] = MISSING
        lines, listed = [], []
        for at in range(count):
            chromosome, place = next(places)
            reference, alternative = source.choice(BASES, size=2, replace=False)
            name = f"rs{first + at + 1}"
            lines.append(f"{chromosome}\t{name}\t0\t{place}\t{alternative}\t{reference}\n")
            listed.append(f"{chromosome}\t{place}\t{name}\t{reference}\t{alternative}\n")
        panel.write("".join(listed))
        for who, bed, bim in files:
            bed.write(packed(rows if who is None else rows[:, who]).tobytes())
            bim.write("".join(lines))
    panel.close()
    return genes, causal


def main():
    options = arguments()
    out = options.out
    out.mkdir(parents=True, exist_ok=True)
    source = np.random.Generator(np.random.PCG64(options.seed))
    people, covariates = options.people, options.covariates
    names = [f"p{at:07d}" for at in range(people)]
    centre = np.arange(people) * options.centres // people
    sets = [("all", None)]
    if options.split:
        sets += [(f"c{at:02d}", np.flatnonzero(centre == at)) for at in range(options.centres)]
    files = [(who, open(out / f"{name}.bed", "wb"), open(out / f"{name}.bim", "w")) for name, who in sets]
    for name, who in sets:
        write_fam(out / f"{name}.fam", names if who is None else [names[at] for at in who])
    genes, causal = genotypes(options, source, files, names)
    for _, bed, bim in files:
        bed.close()
        bim.close()

    x = np.clip(source.standard_normal((people, covariates)), -5, 5).round(4)
    fixed = x @ np.array([0.4 * np.cos(j) for j in range(covariates)])
    share = options.heritability
    unit = {trait: it / max(it.std(), 1e-9) for trait, it in genes.items()}
    noise = source.standard_normal(people)
    ldl = fixed + np.sqrt(share) * unit["ldl"] + np.sqrt(1 - share) * noise
    ldl = np.clip(ldl, -12, 12).round(5)
    risk = 1 / (1 + np.exp(-(-0.7 + 0.5 * fixed + 0.6 * unit["ad"])))
    ad = (source.random(people) < risk).astype(int)

    columns = [f"c{j + 1}" for j in range(covariates)]
    with open(out / "clinical.csv", "w") as file:
        file.write(",".join(["id", "centre", *columns, "ldl", "ad"]) + "\n")
        for at, name in enumerate(names):
            cells = ",".join(f"{it:.4f}" for it in x[at])
            comma = "," if covariates else ""
            file.write(f"{name},c{centre[at]:02d},{cells}{comma}{ldl[at]:.5f},{ad[at]}\n")
    with open(out / "dictionary.csv", "w") as file:
        file.write("name,label,type,unit,levels,min,max,decimals,missing,code,sensitivity,notes\n")
        file.write("id,,category,,,,,,,,identifier,\n")
        for name in columns:
            file.write(f"{name},,number,,,-5,5,4,,,clinical,\n")
        file.write("ldl,,number,,,-12,12,5,,,clinical,\nad,,integer,,,0,1,,,,clinical,\n")
    with open(out / "links.csv", "w") as file:
        file.write("sample,patient,centre\n")
        file.writelines(f"{name},{name},c{centre[at]:02d}\n" for at, name in enumerate(names))
    with open(out / "pheno.txt", "w") as file:
        file.write("#IID ldl ad\n")
        file.writelines(f"{name} {ldl[at]:.5f} {ad[at] + 1}\n" for at, name in enumerate(names))
    if covariates:
        with open(out / "covar.txt", "w") as file:
            file.write(" ".join(["#IID", *columns]) + "\n")
            for at, name in enumerate(names):
                file.write(name + " " + " ".join(f"{it:.4f}" for it in x[at]) + "\n")
    spread = {trait: max(it.std(), 1e-9) for trait, it in genes.items()}
    part = {"ldl": np.sqrt(share), "ad": 0.6}
    with open(out / "causal.csv", "w") as file:
        file.write("trait,id,beta\n")
        for trait, at, beta in causal:
            file.write(f"{trait},rs{at + 1},{beta / spread[trait] * part[trait]:.6f}\n")
    print(f"{people} people, {options.variants} variants, {int(ad.sum())} with ad, in {out}")


if __name__ == "__main__":
    main()
