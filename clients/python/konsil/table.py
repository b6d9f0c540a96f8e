"""Tables of results, without any library: columns, rows, and ways to others' frames."""

from __future__ import annotations

import re
import shutil
from html import escape
from typing import Any, Iterator, Mapping, Optional, Sequence, Union, overload

from .errors import Missing, did_you_mean, extra_missing

Cell = Union[str, int, float, bool, None]

# how a cell is shown that disclosure control has emptied, as on the program's screen
SUPPRESSED = "‹small›"
_NOTHING = "–"
_ROWS_SHOWN = 60

# columns of whole numbers: the interface writes every number with a fraction
_COUNTS = frozenset(
    "n missing nobs nevent records events n_risk n_event n_censor size cases controls pairs iter nzero n_first "
    "n_second first_only second_only cycles nimp observed_n df_null".split()
)
# columns that the analyses fill with words or flags, so that they stay shown when numbers are suppressed
_PLAIN = frozenset(("suppressed", "n_risk_rounded"))


def snake(name: str) -> str:
    """A file's column as a Python name: ``p.value`` as ``p_value``, ``logLik`` as ``log_lik``."""
    dotted = name.replace(".", "_").replace(" ", "_")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", dotted).lower()


def shown(cell: Cell) -> str:
    """A cell for people."""
    if cell is None:
        return _NOTHING
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return f"{cell:.4g}" if abs(cell) < 1e5 or abs(cell) >= 1e15 else f"{cell:.0f}"
    return str(cell)


class Table:
    """A table: ``columns`` are Python names, ``file_columns`` those of the files; ``rows`` are tuples.

    ``table["std_error"]`` is a column, as a list; ``table[0]`` a row, as a dictionary; a cell that disclosure
    control has emptied is ``None``, and shown as ``‹small›``.
    """

    def __init__(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        self.name = name
        self.file_columns = tuple(columns)
        self.columns = tuple(snake(it) for it in columns)
        self.rows: list[tuple[Cell, ...]] = [
            tuple(_whole(at, cell) for at, cell in zip(self.columns, row)) for row in rows
        ]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, Cell]]:
        return (dict(zip(self.columns, row)) for row in self.rows)

    @overload
    def __getitem__(self, key: int) -> dict[str, Cell]: ...
    @overload
    def __getitem__(self, key: str) -> list[Cell]: ...
    def __getitem__(self, key: Union[int, str]) -> Union[dict[str, Cell], list[Cell]]:
        if isinstance(key, int):
            return dict(zip(self.columns, self.rows[key]))
        at = self._at(key)
        return [row[at] for row in self.rows]

    def __contains__(self, key: object) -> bool:
        return key in self.columns or key in self.file_columns

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Table):
            return NotImplemented
        return (self.columns, self.rows) == (other.columns, other.rows)

    def __hash__(self) -> int:
        return id(self)

    def _at(self, key: str) -> int:
        for names in (self.columns, self.file_columns):
            if key in names:
                return names.index(key)
        near = did_you_mean(key, list(self.columns))
        raise Missing(f"the table `{self.name}` has no column `{key}`{near or ': it has ' + ', '.join(self.columns)}")

    def to_dicts(self) -> list[dict[str, Cell]]:
        """A dictionary for each row."""
        return list(self)

    def only(self, columns: Sequence[str], where: Optional[Mapping[str, Cell]] = None) -> "Table":
        """Some columns, and the rows in which others have these values."""
        places = [self._at(it) for it in columns]
        tests = [(self._at(key), value) for key, value in (where or {}).items()]
        rows = [row for row in self.rows if all(row[at] == value for at, value in tests)]
        return Table(self.name, [self.file_columns[at] for at in places], [[row[at] for at in places] for row in rows])

    # ways to others' frames

    def _kinds(self) -> dict[str, type]:
        """The type of each column: words win over numbers, fractions over whole numbers."""
        kinds: dict[str, type] = {}
        for at, name in enumerate(self.columns):
            found = {type(row[at]) for row in self.rows if row[at] is not None}
            kinds[name] = next((it for it in (str, float, int, bool) if it in found), float)
        return kinds

    def _values(self, name: str, kind: type) -> list[Any]:
        return [None if it is None else kind(it) for it in self[name]]

    def to_polars(self) -> Any:
        """A ``polars.DataFrame``."""
        try:
            import polars
        except ImportError as error:
            raise extra_missing("polars", "polars") from error
        types = {str: polars.String, float: polars.Float64, int: polars.Int64, bool: polars.Boolean}
        kinds = self._kinds()
        values = {name: self._values(name, kind) for name, kind in kinds.items()}
        return polars.DataFrame(values, schema={name: types[kind] for name, kind in kinds.items()})

    def to_pandas(self) -> Any:
        """A ``pandas.DataFrame``; columns with holes have types that know holes."""
        try:
            import pandas
        except ImportError as error:
            raise extra_missing("pandas", "pandas") from error
        types = {str: "object", float: "float64", int: "Int64", bool: "boolean"}
        series = {
            name: pandas.Series(self._values(name, kind), dtype=types[kind]) for name, kind in self._kinds().items()
        }
        return pandas.DataFrame(series)

    def to_arrow(self) -> Any:
        """A ``pyarrow.Table``."""
        try:
            import pyarrow
        except ImportError as error:
            raise extra_missing("pyarrow", "arrow") from error
        types = {str: pyarrow.string(), float: pyarrow.float64(), int: pyarrow.int64(), bool: pyarrow.bool_()}
        arrays = {name: pyarrow.array(self._values(name, kind), types[kind]) for name, kind in self._kinds().items()}
        return pyarrow.table(arrays)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        # so that polars, pandas, DuckDB and others take a table as it is
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    # for people

    def _text(self, row: tuple[Cell, ...], at: int) -> str:
        cell = row[at]
        if cell is None and self.columns[at] not in _PLAIN and self._is_suppressed(row):
            return SUPPRESSED
        return shown(cell)

    def _is_suppressed(self, row: tuple[Cell, ...]) -> bool:
        return "suppressed" in self.columns and row[self.columns.index("suppressed")] is True

    def _is_number(self, at: int) -> bool:
        cells = [row[at] for row in self.rows if row[at] is not None]
        return bool(cells) and all(isinstance(it, (int, float)) and not isinstance(it, bool) for it in cells)

    def __repr__(self) -> str:
        if not self.columns:
            return f"{self.name}: an empty table"
        lines = self.rows[:_ROWS_SHOWN]
        cells = [[self._text(row, at) for row in lines] for at in range(len(self.columns))]
        widths = [max(map(len, [head, *texts])) for head, texts in zip(self.columns, cells)]
        fits = _fitting(widths, max(shutil.get_terminal_size((120, 24)).columns, 40))
        numbers = [self._is_number(at) for at in range(fits)]

        def line(texts: Sequence[str]) -> str:
            put = (it.rjust(w) if right else it.ljust(w) for it, w, right in zip(texts, widths, numbers))
            return "  ".join(put).rstrip()

        out = [line(self.columns)] + [line([column[at] for column in cells]) for at in range(len(lines))]
        if len(self.rows) > len(lines):
            out.append(f"… {len(self.rows) - len(lines)} more rows")
        if fits < len(self.columns):
            out.append("… and columns " + ", ".join(self.columns[fits:]))
        return "\n".join(out)

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(it)}</th>" for it in self.columns)
        body = []
        for row in self.rows[:_ROWS_SHOWN]:
            cells = []
            for at in range(len(self.columns)):
                side = "right" if self._is_number(at) else "left"
                cells.append(f'<td style="text-align:{side}">{escape(self._text(row, at))}</td>')
            body.append(f"<tr>{''.join(cells)}</tr>")
        more = len(self.rows) - _ROWS_SHOWN
        rest = f"<p>… {more} more rows</p>" if more > 0 else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>{rest}"


class Summary(Table):
    """A table that may be called, too: lifelines and statsmodels disagree about ``summary``."""

    def __call__(self) -> "Summary":
        return self


def _whole(column: str, cell: Cell) -> Cell:
    if column in _COUNTS and isinstance(cell, float) and cell.is_integer():
        return int(cell)
    return cell


def _fitting(widths: Sequence[int], most: int) -> int:
    """How many columns fit beside each other; one at least."""
    used = -2
    for at, width in enumerate(widths):
        used += width + 2
        if used > most:
            return max(at, 1)
    return len(widths)


class Named(Mapping[str, Optional[float]]):
    """Numbers by name, in order, as ``params`` of a model: by term, or by position."""

    def __init__(self, name: str, terms: Sequence[str], values: Sequence[Optional[float]]) -> None:
        self.name = name
        self.index = tuple(terms)
        self.array = tuple(values)

    def __getitem__(self, key: Union[str, int]) -> Optional[float]:
        if isinstance(key, int):
            return self.array[key]
        if key not in self.index:
            near = did_you_mean(str(key), list(self.index))
            # a KeyError, as a mapping must raise
            raise KeyError(f"no term `{key}`{near}")
        return self.array[self.index.index(key)]

    def __iter__(self) -> Iterator[str]:
        return iter(self.index)

    def __len__(self) -> int:
        return len(self.index)

    def table(self) -> Table:
        """The same as a table."""
        return Table(self.name, ["term", self.name], list(zip(self.index, self.array)))

    def to_pandas(self) -> Any:
        """A ``pandas.Series``."""
        try:
            import pandas
        except ImportError as error:
            raise extra_missing("pandas", "pandas") from error
        return pandas.Series(self.array, index=list(self.index), name=self.name, dtype="float64")

    def __repr__(self) -> str:
        return repr(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()
