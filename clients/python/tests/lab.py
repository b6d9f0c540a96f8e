"""A lab of made-up patients: processes of centres and a dealer on this computer, ended with the tests."""

from __future__ import annotations

import atexit
import csv
import functools
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

PAGE = Path(__file__).resolve().parents[3] / "docs" / "python.md"
CENTRES = ("berlin", "bonn", "ulm")
WHERE = "dx_ad and age >= 50"
COX = "Surv(months, died) ~ I(age/10) + sex + apoe4 + I(hba1c/10) + smoker + strata(centre)"
TABLE1 = "apoe4 ~ age + sex + hba1c + smoker"
_PATIENTS = 660
_DICTIONARY = """name,label,type,unit,levels,min,max,decimals,missing,code,sensitivity,notes
id,,category,,,,,,,,identifier,
region,,category,,berlin|bonn|ulm,,,,,,clinical,
dx_ad,Alzheimer's disease,boolean,,,,,,,,clinical,
age,Age,number,a,,40,100,1,,,quasi,
sex,Sex,category,,f|m,,,,,,quasi,
hba1c,HbA1c,number,mmol/mol,,20,95,1,,,clinical,
smoker,Smoker,category,,never|ever,,,,,,clinical,
apoe4,APOE e4 carrier,boolean,,,,,,,,clinical,
months,Months until death or loss,number,mo,,0,63,1,,,clinical,
died,Died,boolean,,,,,,,,clinical,
"""
_lab: "dict[str, Path]" = {}


def program() -> str:
    """The program to test with; without one, its tests are skipped."""
    found = shutil.which(os.environ.get("KONSIL_PROGRAM", "konsil"))
    if found is None:
        raise unittest.SkipTest("there is no program konsil: KONSIL_PROGRAM names it")
    os.environ["KONSIL_PROGRAM"] = found
    return found


def konsil(*words: str, cwd: "Path | None" = None) -> str:
    """A command of the program; its standard output."""
    done = subprocess.run([program(), *words], cwd=cwd, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise AssertionError(f"konsil {' '.join(words)}: {done.stderr}")
    return done.stdout


@functools.cache
def folder() -> Path:
    """The tests' folder, removed at the end."""
    place = Path(tempfile.mkdtemp(prefix="konsil-python-"))
    atexit.register(_end, place)
    # ended from outside, the lab ends too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    return place


def _end(place: Path) -> None:
    for lab in _lab.values():
        subprocess.run([program(), "lab", "down", str(lab), "-q"], timeout=60, check=False)
    shutil.rmtree(place, ignore_errors=True)


def _patients(path: Path) -> None:
    # a fixed seed: numbers are compared with those of the command, and withheld ones are known
    draw = random.Random(7)
    with open(path, "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow("id region dx_ad age sex hba1c smoker apoe4 months died".split())
        for at in range(_PATIENTS):
            age = round(min(89.0, max(45.0, draw.gauss(68, 9))), 1)
            apoe4, smoker = draw.random() < 0.4, draw.random() < 0.4
            hba1c = round(min(90.0, max(25.0, draw.gauss(42, 8))), 1)
            risk = 0.02 * math.exp(0.04 * (age - 68) + 0.4 * apoe4 + 0.2 * smoker)
            time, end = draw.expovariate(risk), draw.uniform(6, 60)
            row = [f"p{at}", CENTRES[at % 3], str(draw.random() < 0.85).lower(), age, draw.choice("fm"), hba1c]
            row += ["ever" if smoker else "never", str(apoe4).lower(), round(max(0.1, min(time, end)), 1)]
            out.writerow([*row, str(time <= end).lower()])


def lab(name: str = "hmsp", by_hand: bool = False) -> Path:
    """A lab that runs, made once."""
    if name not in _lab:
        place, data, words = folder() / name, folder() / "patients.csv", folder() / "hmsp.csv"
        if not data.exists():
            _patients(data)
            words.write_text(_DICTIONARY, encoding="utf-8")
        konsil("lab", "new", str(place), "--centres", ",".join(CENTRES), *(["--by-hand"] if by_hand else []))
        konsil("lab", "import", str(place), "--dict", str(words), "--split-by", "region", str(data))
        _lab[name] = place
        konsil("lab", "up", str(place))
    return _lab[name]


class LabTest(unittest.TestCase):
    """A test with a connected network."""

    @classmethod
    def setUpClass(cls) -> None:
        program()
        import konsil

        os.environ["KONSIL_NO_PROGRESS"] = "1"
        cls.k = konsil
        cls.net = konsil.connect(lab())
        cls.addClassCleanup(cls.net.close)

    def study(self, name: str = "study", **more: object) -> "object":
        """A study of the cohort that all tests share: others would differ from it by too few patients."""
        return self.net.study(name, where=WHERE, **more)
