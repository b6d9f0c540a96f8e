"""Tables, plans, figures and errors by themselves: no program is needed."""

from __future__ import annotations

import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from konsil import Figure, KonsilError, Missing, Named, Refused, StudyError, Table, Unreachable, Withheld
from konsil._http import address_of
from konsil._program import network_file, studies_folder
from konsil.errors import error_of
from konsil.table import snake
from konsil.table1 import wide_of

COLUMNS = ["term", "std.error", "n", "suppressed"]
ROWS = [["age <b>", 0.12345, 12.0, False], ["sex", None, None, True]]


class Tables(unittest.TestCase):
    def setUp(self) -> None:
        self.table = Table("tidy", COLUMNS, ROWS)

    def test_names_are_pythons(self) -> None:
        self.assertEqual(
            [snake(it) for it in ("p.value", "logLik", "AIC", "net.benefit")],
            ["p_value", "log_lik", "aic", "net_benefit"],
        )

    def test_columns_rows_and_either_spelling(self) -> None:
        self.assertEqual(self.table["std_error"], self.table["std.error"])
        self.assertEqual(self.table[0], {"term": "age <b>", "std_error": 0.12345, "n": 12, "suppressed": False})
        self.assertIsInstance(self.table["n"][0], int)
        self.assertEqual(len(list(self.table)), 2)
        self.assertEqual(self.table.to_dicts()[1]["n"], None)

    def test_a_wrong_column_is_said_with_the_right_one(self) -> None:
        with self.assertRaisesRegex(Missing, "did you mean `std_error`"):
            self.table["std_eror"]

    def test_suppressed_cells_are_seen(self) -> None:
        for shown in (repr(self.table), self.table._repr_html_()):
            self.assertEqual(shown.count("‹small›"), 2)
        self.assertIn("age &lt;b&gt;", self.table._repr_html_())

    def test_lines_are_aligned_and_fit(self) -> None:
        lines = repr(self.table).split("\n")
        self.assertEqual(len({line.index("n ") if at == 0 else 0 for at, line in enumerate(lines)} - {0}), 1)
        wide = Table("wide", [f"column{at:02}" for at in range(40)], [[1.0] * 40])
        self.assertIn("… and columns", repr(wide))

    def test_without_a_library_the_extra_is_named(self) -> None:
        for library, call in (("polars", "to_polars"), ("pandas", "to_pandas"), ("pyarrow", "to_arrow")):
            with mock.patch.dict("sys.modules", {library: None}):
                with self.assertRaisesRegex(ImportError, r"konsil\["):
                    getattr(self.table, call)()

    def test_named_numbers(self) -> None:
        named = Named("params", ["age", "sex"], [0.5, None])
        self.assertEqual((named["age"], named[1], dict(named)), (0.5, None, {"age": 0.5, "sex": None}))
        with self.assertRaisesRegex(KeyError, "did you mean `age`"):
            named["agee"]

    def test_table_1_is_wide(self) -> None:
        columns = "group1 group1_level variable variable_level context stat_name stat suppressed".split()
        rows = [
            ["arm", it, *rest]
            for it in ("a", "b")
            for rest in (
                ["..ard_total_n..", "", "total_n", "N", 30.0, False],
                ["age", "", "continuous", "median", 60.0, False],
                ["age", "", "continuous", "p25", 50.5, False],
                ["age", "", "continuous", "p75", 70.0, False],
                ["sex", "f", "categorical", "n", None, True],
                ["sex", "", "missing", "N_miss", 0.0, False],
            )
        ]
        wide = wide_of(Table("ard", columns, rows))
        self.assertEqual(
            wide.rows,
            [("n", "30", "30"), ("age, median (q1, q3)", *["60.0 (50.5, 70.0)"] * 2), ("sex: f", "‹small›", "‹small›")],
        )


class Others(unittest.TestCase):
    def test_figures_are_svg_files(self) -> None:
        figure = Figure("cox.forest.svg", "<svg/>")
        with tempfile.TemporaryDirectory() as place:
            self.assertEqual(figure.save(Path(place) / "a.svg").read_text(), "<svg/>")
            with self.assertRaisesRegex(ValueError, ".svg"):
                figure.save(Path(place) / "a.png")

    def test_codes_have_their_errors(self) -> None:
        kinds = {"K0203": StudyError, "K0501": Withheld, "K0640": Refused, "K0411": Unreachable, "K0401": KonsilError}
        for code, kind in kinds.items():
            error = error_of(code, "what happened", 422)
            self.assertIsInstance(error, kind)
            self.assertEqual((error.code, error.text, error.status), (code, "what happened", 422))
            self.assertEqual(error.hint, f"konsil explain {code}")

    def test_addresses_are_of_this_computer(self) -> None:
        self.assertEqual(address_of("http://127.0.0.1:7070/enter?token=abc", None), ("http://127.0.0.1:7070", "abc"))
        for wrong in ("http://192.0.2.1:80", "https://127.0.0.1:1", "127.0.0.1", "file:///x"):
            with self.assertRaises(StudyError):
                address_of(wrong, "token")

    def test_networks_are_found_by_name(self) -> None:
        with tempfile.TemporaryDirectory() as place, mock.patch.dict(os.environ, {"XDG_CONFIG_HOME": place}):
            file = Path(place) / "konsil" / "networks" / "clinic.toml"
            file.parent.mkdir(parents=True)
            file.write_text('network = "clinic"\n')
            self.assertEqual(network_file("clinic"), file)
            with mock.patch.dict(os.environ, {"XDG_DATA_HOME": place}):
                self.assertEqual(studies_folder(file).parent, Path(place) / "konsil")
            with self.assertRaisesRegex(Missing, "did you mean `clinic`"):
                network_file("clinik")


if __name__ == "__main__":
    unittest.main()
