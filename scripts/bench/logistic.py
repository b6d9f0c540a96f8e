#!/usr/bin/env python3
"""Logistic or Cox regression, or survival curves, in a lab: makes centres with simulated patients,
runs it, prints times.

    python3 scripts/bench/logistic.py --centres 6 --rows 5000 --covariates 20 [--runs 5]
    python3 scripts/bench/logistic.py --cox 1000 --centres 6 --rows 1667 --covariates 10
    python3 scripts/bench/logistic.py --km 8192 --centres 6 --rows 10000

--rows is per centre, --cox and --km the number of grid times; --km compares two groups. For a line with latency see `konsil bench wan`.
"""

import argparse
import json
import math
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

KONSIL = pathlib.Path(__file__).resolve().parents[2] / "target" / "debug" / "konsil"


def make(folder, options):
    """One CSV with a centre column, its dictionary, the study."""
    centres, rows, covariates = options.centres, options.rows, options.covariates
    grid = options.cox or options.km
    source = random.Random(7)
    names = [f"x{j + 1}" for j in range(covariates)]
    truth = [0.5 * math.cos(j) for j in range(covariates)]
    with open(folder / "data.csv", "w") as out:
        out.write(",".join(["centre", "y", "time", "arm"] + names) + "\n")
        for centre in range(centres):
            for _ in range(rows):
                x = [round(max(-5.0, min(5.0, source.gauss(0.0, 1.0))), 4) for _ in names]
                eta = -1.0 + sum(b * v for b, v in zip(truth, x))
                y = int(source.random() < 1.0 / (1.0 + math.exp(-eta)))
                time = 0
                if grid:
                    # exponential times, half a year's censoring
                    death = source.expovariate(math.exp(0.5 * (eta + 1.0)) * 2.0 / grid)
                    end = source.uniform(0.2, 1.0) * (grid - 1)
                    time, y = int(min(death, end)), int(death <= end)
                arm = "ab"[x[0] > 0]
                out.write(f"c{centre:02d},{y},{time},{arm}," + ",".join(map(str, x)) + "\n")
    with open(folder / "dict.csv", "w") as out:
        out.write("name,label,type,unit,levels,min,max,decimals,missing,code,sensitivity,notes\n")
        out.write("y,,integer,,,0,1,,,,clinical,\n")
        out.write(f"time,,integer,,,0,{max(grid - 1, 1)},,,,clinical,\n")
        out.write("arm,,category,,a|b,,,,,,clinical,\n")
        for name in names:
            out.write(f"{name},,number,,,-5,5,4,,,clinical,\n")
    kind = "cox" if options.cox else "km" if options.km else "glm"
    right = "arm" if options.km else " + ".join(names)
    formula = ("Surv(time, y) ~ " if grid else "y ~ ") + right
    (folder / "study.toml").write_text(
        f'[study]\nid = "bench"\n[[analysis]]\nid = "model"\nkind = "{kind}"\nformula = "{formula}"\n'
        + (f'ties = "{options.ties}"\n' if options.cox else "")
    )


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--centres", type=int, default=6)
    options.add_argument("--rows", type=int, default=5000)
    options.add_argument("--covariates", type=int, default=20)
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--cox", type=int, default=0, metavar="TIMES")
    options.add_argument("--km", type=int, default=0, metavar="TIMES")
    options.add_argument("--ties", default="breslow", choices=["breslow", "efron"])
    options = options.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        make(folder, options)
        names = ",".join(f"c{at:02d}" for at in range(options.centres))
        lab = str(folder / "lab")
        quiet = {"check": True, "stderr": subprocess.DEVNULL}
        subprocess.run([KONSIL, "lab", "new", lab, "--centres", names], **quiet)
        begin = time.monotonic()
        subprocess.run(
            [KONSIL, "lab", "import", lab, "--dict", folder / "dict.csv", "--split-by", "centre",
             folder / "data.csv"], **quiet)
        imported = time.monotonic() - begin
        wall, secure = [], []
        for _ in range(options.runs):
            begin = time.monotonic()
            done = subprocess.run(
                [KONSIL, "lab", "run", lab, folder / "study.toml", "--out", folder / "out", "--json"],
                check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            wall.append(time.monotonic() - begin)
            result = json.loads(done.stdout.splitlines()[-1])
            secure.append(result["secure_seconds"])
        json.dump(
            {
                "schema": "konsil.bench.regression.v1", "times": options.cox or options.km, "centres": options.centres,
                "rows": options.rows * options.centres, "covariates": options.covariates,
                "import_seconds": round(imported, 2),
                "wall_seconds": round(statistics.median(wall), 3),
                "secure_seconds": round(statistics.median(secure), 3),
                "rounds": result["analyses"][0]["rounds"], "sent_bytes": result["sent_bytes"],
                "planned_bytes": result["planned_bytes"], "load": os.getloadavg()[0],
            }, sys.stdout)
        print()


if __name__ == "__main__":
    main()
