#!/usr/bin/env python3
"""A genome-wide scan by PLINK 2 on the pooled file and by Konsil over centres, by turns.

    python3 scripts/bench/gwas.py --people 6000 --variants 100000 --covariates 10 --centres 6 --runs 5
    python3 scripts/bench/gwas.py --set FOLDER --only plink        # a set that was made before

Needs plink2 with a good BLAS (Debian: libopenblas0-pthread) and numpy. Prints one line of JSON for each
run and a table of medians: wall and processor seconds of all processes, peak memory of all processes
together, bytes sent, the load of the machine, and Konsil over PLINK. How commands are called stands in
COMMANDS.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
KONSIL = ROOT / "target" / "debug" / "konsil"
TRAITS = {"linear": "ldl", "logistic": "ad", "sealed": "ldl", "sealed-logistic": "ad", "spa": "ad", "firth": "ad"}

# {konsil} {lab} {set} {out} {names} {test} {trait} {threads} are filled in; {test}.toml is STUDY.
COMMANDS = {
    "set up": [
        "{konsil} lab new {lab} --centres {names}",
        "{konsil} lab import {lab} --dict {set}/dictionary.csv --split-by centre {set}/clinical.csv",
        "{konsil} geno panel {set}/all.bim --out {out}/panel.tsv --build GRCh38",
        "{konsil} lab geno {lab} --panel {out}/panel.tsv --split-by {set}/links.csv:centre {set}/all.bed",
    ],
    "konsil": "{konsil} lab run {lab} {out}/{test}.toml --out {out}/konsil --json",
    "plink": "plink2 --bfile {set}/all --pheno {set}/pheno.txt --pheno-name {trait}"
             " --covar {set}/covar.txt --covar-variance-standardize --threads {threads}"
             " --glm hide-covar no-firth omit-ref cols=+a1freq --out {out}/plink",
}
STUDY = """[study]
id = "bench-{test}"
[[analysis]]
id = "gwas"
kind = "gwas"
panel = "panel.tsv"
formula = "{trait} ~ {covariates}"
{family}
"""
EVENT = 'family = "binomial"'
FAMILY = {
    "linear": "", "logistic": EVENT, "sealed": "sealed = true", "sealed-logistic": EVENT + "\nsealed = true",
    "spa": EVENT + '\ncorrect = "spa"', "firth": EVENT + '\ncorrect = "firth"',
}
TICK = os.sysconf("SC_CLK_TCK")
INTERVAL = 0.05


class Watch(threading.Thread):
    """Processor time and memory of a process, its descendants, and the daemons of a folder."""

    def __init__(self, root, folder):
        super().__init__(daemon=True)
        self.root, self.folder = root, str(folder).encode()
        self.seconds, self.begun, self.peak = {}, {}, 0
        self.ended = threading.Event()
        self.look()

    def run(self):
        while not self.ended.wait(INTERVAL):
            self.look()

    def look(self):
        parents, times = {}, {}
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                text = pathlib.Path("/proc", entry, "stat").read_text()
                line = pathlib.Path("/proc", entry, "cmdline").read_bytes()
            except OSError:
                continue
            fields = text.rsplit(")", 1)[1].split()
            pid = int(entry)
            parents[pid] = int(fields[1])
            times[pid] = ((int(fields[11]) + int(fields[12])) / TICK, line)
        mine = set()
        for pid, (_, line) in times.items():
            above, steps = pid, 0
            while above in parents and above != self.root and steps < 64:
                above, steps = parents[above], steps + 1
            if above == self.root or (self.folder in line and pid != os.getpid()):
                mine.add(pid)
        memory = 0
        for pid in mine:
            seconds = times[pid][0]
            # a daemon that ran before counts from now on
            own = above_root(pid, self.root, parents)
            self.begun.setdefault(pid, 0.0 if own else seconds)
            self.seconds[pid] = seconds - self.begun[pid]
            memory += proportional(pid)
        self.peak = max(self.peak, memory)


def above_root(pid, root, parents):
    steps = 0
    while pid in parents and pid != root and steps < 64:
        pid, steps = parents[pid], steps + 1
    return pid == root


def proportional(pid):
    """Memory of a process, shared pages by halves; bytes."""
    try:
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        return int(re.search(r"^Pss:\s+(\d+)", text, re.M).group(1)) * 1024
    except (OSError, AttributeError):
        return 0


def measured(command, folder):
    """Runs a command; its output, and what it took."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as wrong:
        begin = time.monotonic()
        process = subprocess.Popen(command.split(), stdout=said, stderr=wrong)
        watch = Watch(process.pid, folder)
        watch.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - begin
        watch.ended.set()
        watch.join()
        watch.look()
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        wrong.seek(0)
        out = said.read().decode(errors="replace")
        if process.returncode != 0:
            sys.exit(f"{command}\nended with {process.returncode}\n{wrong.read().decode()}{out}")
    # of descendants that were waited for the kernel knows every tick, of daemons the samples do
    waited = usage.ru_utime + usage.ru_stime
    return out, {
        "wall_seconds": round(wall, 3),
        "cpu_seconds": round(max(waited, sum(watch.seconds.values())), 3),
        "peak_bytes": max(watch.peak, usage.ru_maxrss * 1024),
        "load": round(load, 2),
    }


def blas():
    """The BLAS that plink2 is run with."""
    program = pathlib.Path(shutil.which("plink2") or sys.exit("plink2 is not installed")).resolve()
    # Debian's is a script that chooses among programs beside it
    for candidate in [program, *sorted(program.parent.glob("plink2-*"))]:
        listed = subprocess.run(["ldd", candidate], capture_output=True, text=True).stdout
        found = re.search(r"libblas\S* => (\S+)", listed)
        if found:
            return os.path.realpath(found.group(1))
    return "a BLAS of its own"


def sent_bytes(text):
    try:
        return json.loads(text.strip().splitlines()[-1]).get("sent_bytes")
    except (ValueError, IndexError, AttributeError):
        return None


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--people", type=int, default=6000)
    options.add_argument("--variants", type=int, default=100_000)
    options.add_argument("--covariates", type=int, default=10)
    options.add_argument("--centres", type=int, default=6)
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--threads", type=int, default=os.cpu_count())
    options.add_argument("--set", type=pathlib.Path, help="a folder that genotypes.py has made")
    options.add_argument("--only", choices=["plink", "konsil"])
    options.add_argument("--tests", default="linear,logistic")
    options.add_argument("--keep", type=pathlib.Path, help="work in this folder and keep it")
    options = options.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = options.keep or pathlib.Path(place)
        folder.mkdir(parents=True, exist_ok=True)
        bench(options, folder.resolve())


def bench(options, folder):
    made = (options.set or folder / "set").resolve()
    if not (made / "all.bed").exists():
        subprocess.run(
            [sys.executable, ROOT / "scripts/bench/genotypes.py", made, "--people", str(options.people),
             "--variants", str(options.variants), "--covariates", str(options.covariates),
             "--centres", str(options.centres)], check=True, stdout=sys.stderr)
    header = (made / "covar.txt").open().readline().split()[1:]
    centres = sorted({line.split(",")[1] for line in (made / "clinical.csv").open()} - {"centre"})
    words = {
        "konsil": KONSIL, "lab": folder / "lab", "set": made, "out": folder, "names": ",".join(centres),
        "threads": options.threads,
    }
    for test, trait in TRAITS.items():
        study = STUDY.format(test=test, trait=trait, covariates=" + ".join(header) or "1", family=FAMILY[test])
        (folder / f"{test}.toml").write_text(study)
    programs = [options.only] if options.only else ["plink", "konsil"]
    if "konsil" in programs and not (folder / "lab").exists():
        for command in COMMANDS["set up"]:
            _, took = measured(command.format(**words), folder / "lab")
            print(json.dumps({"set_up": command.split()[1:3], **took}), flush=True)
    runs = {}
    for _ in range(options.runs):
        for test in options.tests.split(","):
            for program in programs:
                if program == "plink" and test not in ("linear", "logistic"):
                    continue
                words["test"], words["trait"] = test, TRAITS[test]
                said, took = measured(COMMANDS[program].format(**words), folder / "lab")
                took["sent_bytes"] = sent_bytes(said) if program == "konsil" else None
                runs.setdefault((test, program), []).append(took)
                print(json.dumps({"test": test, "program": program, **took}), flush=True)
    table(runs, options, made)


def table(runs, options, made):
    median = lambda took, what: statistics.median(it[what] for it in took)
    people = sum(1 for _ in open(made / "all.fam"))
    print(f"\n{people} people, {os.path.getsize(made / 'all.bed') // -(-people // 4)} variants, "
          f"{options.runs} runs, medians; plink2 with {blas()}, {options.threads} threads")
    print(f"{'test':<10}{'program':<9}{'wall s':>9}{'CPU s':>9}{'peak MB':>9}{'sent MB':>10}{'load':>6}")
    for (test, program), took in runs.items():
        sent = [it["sent_bytes"] for it in took if it["sent_bytes"] is not None]
        sent = f"{statistics.median(sent) / 1e6:.1f}" if sent else "-"
        print(f"{test:<10}{program:<9}{median(took, 'wall_seconds'):>9.2f}{median(took, 'cpu_seconds'):>9.2f}"
              f"{median(took, 'peak_bytes') / 1e6:>9.0f}{sent:>10}{median(took, 'load'):>6.2f}")
    for test in sorted({test for test, _ in runs}):
        both = [runs.get((test, program)) for program in ("plink", "konsil")]
        if all(both):
            ratio = lambda what: median(both[1], what) / max(median(both[0], what), 1e-9)
            print(f"{test:<10}konsil / plink2: wall {ratio('wall_seconds'):.2f}, CPU "
                  f"{ratio('cpu_seconds'):.2f}, memory {ratio('peak_bytes'):.2f}")


if __name__ == "__main__":
    main()
