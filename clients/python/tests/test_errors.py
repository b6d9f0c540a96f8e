"""What goes wrong, and what is said of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

from .lab import COX, WHERE, LabTest, folder, konsil, lab, program


class Mistakes(LabTest):
    def test_a_typo_in_formula_cohort_kind_or_option(self) -> None:
        study = self.study()
        for call, code, said in (
            (lambda: study.plan(study.cox("Surv(months, died) ~ aeg")), "K0203", "did you mean `age`"),
            (lambda: self.net.study("x", where="agee > 3").plan(study.summary("age")), "K0303", "did you mean `age`"),
            (lambda: study.analysis("coxx", COX), "", "did you mean `cox`"),
            (lambda: study.analysis("cox", COX, tiez="efron"), "", "did you mean `ties`"),
            (lambda: study.plan(study.glm("died ~ age", family="binomal")), "K0220", "binomial"),
            (lambda: self.net.study("no name!").plan(study.summary("age")), "K0704", "letters"),
            (lambda: self.net.study("x", release={"treshold": 3}), "", "did you mean `threshold`"),
            (lambda: self.net.study("x", centres=["mars"]).plan(study.summary("age")), "K0704", "mars"),
            (lambda: study.run(), "", "no analysis"),
            (lambda: study.run("cox"), "", "is no analysis"),
            (lambda: study.plan(study.summary("age"), epsilon=-1), "", "between 0"),
            (lambda: study.plan(study.summary("age"), epsilon=11), "K0704", "between 0"),
        ):
            with self.assertRaisesRegex(self.k.StudyError, said) as caught:
                call()
            self.assertEqual(caught.exception.code, code)
            if code:
                self.assertIn(f"konsil explain {code}", str(caught.exception))
        with self.assertRaisesRegex(AttributeError, "did you mean `cox`"):
            study.coxx(COX)

    def test_what_is_not_there(self) -> None:
        for call in (
            lambda: self.net.job("00000000"),
            lambda: self.net.job("../x"),
            lambda: self.net.dictionary.variable("agee"),
            lambda: self.k.connect(folder() / "nowhere"),
        ):
            with self.assertRaises(self.k.Missing):
                call()

    def test_a_withheld_result_says_so_where_it_is_read(self) -> None:
        small = self.net.study("few", where="age > 88 and months > 40")
        age = small.summary("age")
        res = small.run(age)
        self.assertEqual((res.job.state, res[age].withheld.code), ("withheld", "K0501"))
        for read in (lambda: res[age].tidy(), lambda: res[age].params, lambda: res[age].plot()):
            with self.assertRaises(self.k.Withheld) as caught:
                read()
            self.assertIn("K0501 `summary`", str(caught.exception))
        self.assertIn("was withheld", repr(res))

    def test_a_wrong_token(self) -> None:
        with self.assertRaisesRegex(self.k.NotSignedIn, "ui.token") as caught:
            self.k.connect(url=self.net._service.address, token="0" * 64)
        self.assertEqual((caught.exception.code, caught.exception.status), ("K0905", 401))
        with self.assertRaisesRegex(self.k.StudyError, "token"):
            self.k.connect(url=self.net._service.address)

    def test_no_program(self) -> None:
        with self.assertRaisesRegex(self.k.ProgramError, "KONSIL_PROGRAM"):
            self.k.connect(lab(), folder=folder() / "other", program="konsil-that-is-not-there")
        with self.assertRaisesRegex(self.k.ProgramError, "did not start"):
            self.k.connect(lab(), folder=folder() / "other", program=shutil.which("false"))


class Programs(LabTest):
    def test_a_running_one_is_used_and_another_network_is_not(self) -> None:
        again = self.k.connect(lab() / "network.toml")
        self.assertEqual(again._service.address, self.net._service.address)
        again.close()
        self.assertEqual(len(self.net.centres), 3)
        other = folder() / "another"
        konsil("lab", "new", str(other), "--centres", "a,b,c")
        with self.assertRaisesRegex(self.k.StudyError, "another network"):
            self.k.connect(other, folder=self.net.folder)

    def test_an_address_and_token(self) -> None:
        address, token = (self.net.folder / "ui.token").read_text().split()
        with self.k.connect(url=f"{address}/enter?token={token}") as net:
            self.assertEqual(len(net.centres), 3)

    def test_it_ends_with_the_network_and_with_python(self) -> None:
        place = folder() / "ends"
        with self.k.connect(lab(), folder=place) as net:
            process = net._child._process
        self.assertIsNotNone(process.poll())
        with self.assertRaisesRegex(self.k.Unreachable, "connect again"):
            net.jobs()
        lines = (
            f"import konsil\nn = konsil.connect({str(lab())!r}, folder={str(place)!r})\nprint(n._child._process.pid)"
        )
        where = {**os.environ, "PYTHONPATH": str(Path(self.k.__file__).parents[1])}
        said = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, env=where, check=True)
        with self.assertRaises(ProcessLookupError):
            os.kill(int(said.stdout), 0)

    def test_a_network_that_is_gone(self) -> None:
        gone = folder() / "gone"
        konsil("lab", "new", str(gone), "--centres", "a,b,c")
        with self.k.connect(gone, program=program()) as net:
            study = net.study("x")
            with self.assertRaises(self.k.KonsilError) as caught:
                study.plan(study.summary("age"))
            self.assertTrue(caught.exception.text)
            self.assertIn("network gone", repr(net))


class Waiting(unittest.TestCase):
    """A lab whose stewards decide by hand."""

    def setUp(self) -> None:
        program()
        import konsil as k

        os.environ["KONSIL_NO_PROGRESS"] = "1"
        self.k = k
        self.net = k.connect(lab("by-hand", by_hand=True))
        self.addCleanup(lambda: self.net.close())
        # a name of its own: the same question gets the same answer of a steward
        study = self.net.study(self.id().rsplit(".", 1)[1][:60], where=WHERE)
        self.job = study.start(study.summary("age"))

    def test_it_waits_is_found_again_and_cancelled(self) -> None:
        with self.assertRaisesRegex(TimeoutError, "goes on"):
            self.job.wait(timeout=1.5)
        self.assertEqual(self.job.refresh().state, "waiting")
        self.net.close()
        self.net = self.k.connect(lab("by-hand"))
        job = self.net.job(self.job.id)
        self.assertFalse(job.is_over)
        self.assertEqual(job.cancel().state, "cancelled")
        with self.assertRaisesRegex(self.k.Cancelled, "was cancelled"):
            job.wait()
        self.assertIsInstance(job.error, self.k.Cancelled)

    def test_a_steward_declines(self) -> None:
        for record in self.job.events(timeout=20):
            if all(it["request"] for it in record["centres"]):
                break
        number = str(record["centres"][0]["request"])
        place = lab("by-hand") / "centres" / record["centres"][0]["name"]
        konsil(
            "request",
            "decline",
            number,
            "-C",
            str(place),
            "--key",
            str(place / "steward.key"),
            "--note",
            "no ethics vote",
        )
        with self.assertRaisesRegex(self.k.Refused, "no ethics vote"):
            self.job.wait(timeout=30)


if __name__ == "__main__":
    unittest.main()
