"""Ways to other libraries' frames, and a notebook. Skipped, one by one, where the library is not there."""

from __future__ import annotations

import importlib.util
import os
import tempfile
import unittest
from pathlib import Path

from konsil import Table

from .lab import lab, program
from .test_study import eight_lines

TABLE = Table(
    "mixed",
    ["term", "n", "p.value", "suppressed", "nothing"],
    [["a", 12.0, 0.5, False, None], ["b", None, None, True, None]],
)


def needs(*libraries: str) -> "object":
    missing = [it for it in libraries if importlib.util.find_spec(it) is None]
    return unittest.skipIf(bool(missing), f"{', '.join(missing)} is not installed")


class Frames(unittest.TestCase):
    @needs("polars")
    def test_polars(self) -> None:
        import polars

        frame = TABLE.to_polars()
        wanted = {"term": polars.String, "n": polars.Int64, "p_value": polars.Float64, "suppressed": polars.Boolean}
        self.assertEqual(dict(frame.schema), {**wanted, "nothing": polars.Float64})
        self.assertEqual(frame["n"].to_list(), [12, None])
        self.assertEqual(Table("empty", ["n"], []).to_polars().shape, (0, 1))

    @needs("pandas")
    def test_pandas(self) -> None:
        frame = TABLE.to_pandas()
        self.assertEqual(list(frame.columns), list(TABLE.columns))
        self.assertEqual((int(frame["n"][0]), bool(frame["n"].isna()[1])), (12, True))
        self.assertEqual(frame["p_value"].dtype, "float64")

    @needs("pyarrow")
    def test_arrow(self) -> None:
        self.assertEqual(TABLE.to_arrow().to_pylist(), TABLE.to_dicts())

    @needs("pyarrow", "polars")
    def test_others_take_a_table_as_it_is(self) -> None:
        import polars

        self.assertTrue(polars.DataFrame(TABLE).equals(TABLE.to_polars()))


class Notebook(unittest.TestCase):
    @needs("nbclient", "ipykernel", "nbformat", "polars")
    def test_a_notebook_shows_tables_and_figures(self) -> None:
        program()
        lab()
        import nbclient
        import nbformat

        lines = eight_lines()
        cells = [lines, "study.plan(t1, cox)", "res", "res[cox].plot()", "net.dictionary", "res.job"]
        cells += ["again = await study.run(t1); again[t1]"]
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(it) for it in cells])
        root = str(Path(__file__).resolve().parents[1])
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
        # progress is shown, as to somebody who sits before it
        os.environ.pop("KONSIL_NO_PROGRESS", None)
        with tempfile.TemporaryDirectory() as place:
            (Path(place) / "hmsp").symlink_to(lab())
            nbclient.NotebookClient(book, timeout=120, resources={"metadata": {"path": place}}).execute()
        shown = [{kind for out in it.outputs for kind in out.get("data", {})} for it in book.cells]
        self.assertIn("image/svg+xml", shown[3])
        if importlib.util.find_spec("ipywidgets"):
            self.assertIn("application/vnd.jupyter.widget-view+json", shown[0])
        for at in (1, 2, 4, 5, 6):
            self.assertIn("text/html", shown[at], cells[at])
        tables = [out["data"]["text/html"] for out in book.cells[2].outputs if "text/html" in out.get("data", {})]
        self.assertIn("<table>", tables[0])


if __name__ == "__main__":
    unittest.main()
