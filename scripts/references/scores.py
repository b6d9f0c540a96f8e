#!/usr/bin/env python3
"""What plink2 --score says of small made-up genotypes.

    python3 scripts/references/scores.py > crates/geno/tests/vectors/scores.csv

Columns: person; SCORE1_AVG with missing genotypes at the frequencies of these people; the same at given
frequencies. The genotypes and weights are those of the tests of crates/geno/src/score.rs.
"""

import math
import pathlib
import subprocess
import tempfile

PEOPLE, VARIANTS = 70, 40


def genotype(variant, person):
    at = (variant * 7919 + person * 10473 + variant * person * 31) % 23
    return 0 if at < 9 else 1 if at < 16 else 2 if at < 21 else 3


def scores(folder, *options):
    subprocess.run(
        ["plink2", "--bfile", folder / "all", "--score", folder / "score.txt", "1", "2", "3", *options,
         "--out", folder / "out"], check=True, stdout=subprocess.DEVNULL)
    lines = (folder / "out.sscore").read_text().splitlines()
    at = lines[0].split("\t").index("SCORE1_AVG")
    return [line.split("\t")[at] for line in lines[1:]]


def main():
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        # ALT is A1 of the .bim: two copies are 0, one is 2, none is 3, missing is 1
        code = [3, 2, 0, 1]
        bed = bytearray([0x6C, 0x1B, 0x01])
        for variant in range(VARIANTS):
            row = [code[genotype(variant, person)] for person in range(PEOPLE)] + [0] * (-PEOPLE % 4)
            bed += bytes(sum(row[at + k] << 2 * k for k in range(4)) for at in range(0, len(row), 4))
        (folder / "all.bed").write_bytes(bed)
        (folder / "all.fam").write_text("".join(f"0 p{at} 0 0 0 -9\n" for at in range(PEOPLE)))
        (folder / "all.bim").write_text(
            "".join(f"1\tv{at}\t0\t{at + 1}\tG\tA\n" for at in range(VARIANTS)))
        weights = [
            f"v{at} {'G' if at % 3 else 'A'} {math.sin(at * 0.7) / 4!r}\n" for at in range(VARIANTS)]
        (folder / "score.txt").write_text("".join(weights))
        rows = []
        for at in range(VARIANTS):
            # the frequency is the weighted allele's, the file's is ALT's
            frequency = 0.1 + at / 100
            frequency = frequency if at % 3 else 1 - frequency
            rows.append(f"1\tv{at}\tA\tG\t{frequency!r}\t140\n")
        (folder / "given.afreq").write_text("#CHROM\tID\tREF\tALT\tALT_FREQS\tOBS_CT\n" + "".join(rows))
        own = scores(folder)
        given = scores(folder, "--read-freq", folder / "given.afreq")
        print("person,own,given")
        for at, both in enumerate(zip(own, given)):
            print(f"p{at},{both[0]},{both[1]}")


if __name__ == "__main__":
    main()
