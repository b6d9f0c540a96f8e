"""Studies of a lab: the page's lines, numbers, names, jobs."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import re
import unittest
import warnings
from pathlib import Path
from unittest import mock

from .lab import COX, PAGE, TABLE1, WHERE, LabTest, folder, konsil, lab

_STUDY = f"""[study]
id = "by-command"
[cohort]
where = "{WHERE}"
[[analysis]]
id = "table1"
kind = "table1"
formula = "{TABLE1}"
[[analysis]]
id = "cox"
kind = "cox"
formula = "{COX}"
"""


def eight_lines() -> str:
    """The first block of Python on the page."""
    found = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found.group(1)


class Page(LabTest):
    def test_the_eight_lines_run_as_they_are_written(self) -> None:
        lines = eight_lines()
        self.assertEqual(len(lines.strip().split("\n")), 8)
        try:
            import polars  # noqa: F401
        except ImportError:
            # all but the frame; the skipped test of frames says that polars is missing
            lines = lines.replace(".to_polars()", "")
        lab()
        before = os.getcwd()
        os.chdir(folder())
        self.addCleanup(os.chdir, before)
        scope: "dict[str, object]" = {}
        said = io.StringIO()
        with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(said):
            warnings.simplefilter("always")
            exec(lines, scope)  # the page is what is tested
        self.assertIn(self.k.ExactWarning, [it.category for it in caught])
        for word in ("Will be revealed", "Leaves the centres", "Time", "Budget"):
            self.assertIn(word, said.getvalue())
        report = Path("ad.html").read_text(encoding="utf-8")
        self.assertEqual(len(re.findall("<main", report)), 1)
        self.assertIn("ad-survival-noise", report)
        names = re.findall(r'\bid="([^"]+)"', report)
        self.assertEqual(len(names), len(set(names)))
        scope["net"].close()  # type: ignore[attr-defined]


class Studies(LabTest):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.made = study = cls.net.study("numbers", where=WHERE)
        cls.t1, cls.cox = study.table1(TABLE1), study.cox(COX)
        cls.km = study.km("Surv(months, died) ~ apoe4", id="curves")
        cls.others = [
            study.glm("died ~ age", family="binomial"),
            study.lm("hba1c ~ age"),
            study.wilcox("hba1c ~ apoe4"),
        ]
        cls.res = study.run(cls.t1, cls.cox, cls.km, *cls.others)

    def test_numbers_are_those_of_the_command(self) -> None:
        place = folder() / "by-command"
        file = folder() / "study.toml"
        file.write_text(_STUDY, encoding="utf-8")
        konsil("run", str(file), "--network", str(lab() / "network.toml"), "--out", str(place))
        compared = 0
        for analysis, name in ((self.t1, "ard"), (self.cox, "tidy"), (self.cox, "glance")):
            table = self.res[analysis].table(name)
            with open(place / f"{analysis.id}.{name}.csv", newline="", encoding="utf-8") as lines:
                head, *rows = list(csv.reader(lines))
            self.assertEqual(tuple(head), table.file_columns)
            for row, texts in zip(table.rows, rows):
                for cell, text in zip(row, texts):
                    if isinstance(cell, (int, float)) and not isinstance(cell, bool):
                        self.assertAlmostEqual(cell, float(text), places=9)
                        compared += 1
                    elif cell is None:
                        self.assertEqual(text, "")
            self.assertEqual(len(table), len(rows))
        self.assertGreater(compared, 80)

    def test_names_of_statsmodels_and_lifelines(self) -> None:
        cox = self.res[self.cox]
        self.assertIsInstance(cox, self.k.Cox)
        self.assertEqual(list(cox.params), ["I(age/10)", "sexm", "apoe4TRUE", "I(hba1c/10)", "smokerever"])
        self.assertEqual(cox.tidy(exponentiate=True)["estimate"], list(cox.hazard_ratios_.values()))
        self.assertNotIn("exp_estimate", cox.tidy())
        self.assertEqual(cox.bse["sexm"], cox.standard_errors_["sexm"])
        near = cox.conf_int(alpha=0.0500000001)
        for known, made in zip(cox.confidence_intervals_["conf_low"], near["conf_low"]):
            self.assertAlmostEqual(known, made, places=6)
        self.assertTrue(cox.nobs > cox.event_observed > 0)
        self.assertEqual((cox.log_likelihood_, cox.summary()), (cox.glance()["logLik"][0], cox.summary))
        for name, wanted in (
            ("concordance_index_", "concordance=True"),
            ("baseline_cumulative_hazard_", "baseline=True"),
        ):
            with self.assertRaisesRegex(self.k.Missing, wanted):
                getattr(cox, name)
        km = self.res["curves"]
        self.assertEqual(set(km.survival_function_["strata"]), set(km.median_survival_time_))
        self.assertTrue(0 <= km.pvalue <= 1)
        glm, lm, wilcox = (self.res[it] for it in self.others)
        self.assertTrue(glm.aic > 0 and glm.pvalues["age"] is not None and wilcox.pvalue is not None)
        with self.assertRaisesRegex(self.k.StudyError, "Student"):
            lm.conf_int(0.1)
        self.assertFalse(hasattr(wilcox, "params"))

    def test_figures_files_and_report(self) -> None:
        for analysis, name in ((self.cox, "cox.forest.svg"), (self.km, "curves.km.svg")):
            figure = self.res[analysis].plot()
            self.assertEqual(figure.name, name)
            self.assertTrue(figure._repr_svg_().startswith("<svg"))
        with self.assertRaisesRegex(self.k.Missing, "no figure"):
            self.res[self.t1].plot()
        place = self.res.save(folder() / "saved")
        self.assertEqual(sorted(it.name for it in place.iterdir()), sorted(self.res.files))
        self.assertEqual(self.res.report(folder() / "a.html").read_bytes(), self.res.file("report.html"))

    def test_what_was_planned_was_sent(self) -> None:
        record = self.res.job.records[0]
        self.assertEqual(record["plan"]["sent_bytes"], record["sent_bytes"])

    def test_everything_shows_itself(self) -> None:
        plan = self.made.plan(self.cox)
        self.assertTrue(any(it["analysis"] == "cox" for it in plan.revealed))
        for it in (self.res, self.res.job, plan, self.net, self.net.dictionary, self.net.analyses, self.res[self.t1]):
            self.assertTrue(repr(it) and it._repr_html_().startswith("<"), type(it))
        self.assertIn("age, median (q1, q3)", repr(self.res))
        self.assertEqual(self.net.dictionary.variable("sex").levels, ("f", "m"))
        self.assertEqual(self.net.centres["centre"], ["berlin", "bonn", "ulm"])

    def test_a_job_is_found_again(self) -> None:
        again = self.net.job(self.res.job.id).result()
        self.assertEqual(again["cox"].tidy(), self.res[self.cox].tidy())
        self.assertIn(self.res.job.id, [it.id for it in self.net.jobs()])

    def test_the_same_question_is_the_same_analysis(self) -> None:
        study = self.study()
        first, second = study.summary("age"), study.summary("age + hba1c")
        self.assertIs(first, study.summary("age"))
        self.assertEqual((first.id, second.id), ("summary", "summary-2"))
        self.assertEqual(second.request["variables"], ["age", "hba1c"])

    def test_every_kind_is_a_method_and_generated(self) -> None:
        import generate

        kinds = self.net._kinds
        own = Path(generate.__file__).with_name("konsil") / "_kinds.py"
        self.assertEqual(own.read_text(encoding="utf-8"), generate.module(kinds), "run generate.py again")
        self.assertEqual([it["kind"] for it in kinds if it["kind"] not in vars(self.k.Study.__mro__[1])], [])

    def test_a_newer_programs_kinds_are_methods_too(self) -> None:
        self.made._known["newkind"] = {"kind": "newkind", "options": ["depth"]}
        self.addCleanup(self.made._known.pop, "newkind")
        self.assertEqual(
            self.made.newkind("a ~ b", depth=2).request, {"kind": "newkind", "formula": "a ~ b", "depth": 2}
        )

    def test_a_terminal_shows_how_far_it_is(self) -> None:
        terminal = io.StringIO()
        terminal.isatty = lambda: True  # type: ignore[method-assign]
        with mock.patch.dict(os.environ, {"TERM": "xterm"}), mock.patch("sys.stderr", terminal):
            os.environ.pop("KONSIL_NO_PROGRESS", None)
            self.made.run(self.t1)
        os.environ["KONSIL_NO_PROGRESS"] = "1"
        self.assertIn("released", terminal.getvalue())
        self.assertTrue(terminal.getvalue().endswith("\n"))


class Noise(LabTest):
    def test_all_in_one_study_where_all_take_noise(self) -> None:
        study = self.study("noise")
        table = study.table1(TABLE1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            res = study.run(table, epsilon=5)
        self.assertEqual(len(res.job.records), 1)
        self.assertIn("epsilon 5", study.plan(table, epsilon=5).parts[0]["noise"])
        self.assertIsNotNone(res[table].tidy())

    def test_a_model_alone_is_refused(self) -> None:
        study = self.study("noise")
        with self.assertRaisesRegex(self.k.StudyError, "cannot have noise") as caught:
            study.run(study.cox(COX), epsilon=0.4)
        self.assertEqual(caught.exception.code, "K0220")

    def test_which_kinds_take_noise_is_what_the_program_says(self) -> None:
        study = self.study("noise")
        made = {"summary": study.summary("age"), "table1": study.table1(TABLE1), "histogram": study.histogram("age")}
        made.update(cox=study.cox(COX), wilcox=study.wilcox("hba1c ~ apoe4"), lm=study.lm("hba1c ~ age"))
        for kind, it in made.items():
            request = study._request("noise", [it], 0.4)
            try:
                self.net._service.post("/api/v1/plans", {"study": request})
                taken = True
            except self.k.StudyError:
                taken = False
            self.assertEqual(taken, it.takes_noise, kind)


if __name__ == "__main__":
    unittest.main()
