"""What came out of one analysis: its tables, figures and notes, under the names that statsmodels and
lifelines use."""

from __future__ import annotations

from html import escape
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Optional, Sequence

from .errors import KonsilError, Missing, StudyError, did_you_mean, error_of, text_of
from .figure import Figure
from .table import Cell, Named, Summary, Table
from .table1 import wide_of

if TYPE_CHECKING:
    from .result import Part

# tables that say most of an analysis, first ones first
_FIRST = ("tidy", "ard", "histogram", "anova", "km", "curve")
# columns that tell rows of one term apart
_GROUPS = ("y.level", "lambda")
# kinds whose limits come from Student's t, not from the normal distribution
_STUDENT = ("lm", "impute")


class Outcome:
    """The result of one analysis. ``tables`` has all of them by name."""

    def __init__(self, part: "Part", record: dict[str, Any]) -> None:
        self._part = part
        self.id = str(record["id"])
        self.kind = str(record["kind"])
        self.notes: list[str] = list(record["notes"])
        self.scans: list[dict[str, Any]] = list(record["scans"])
        told = record["withheld"]
        self.withheld: Optional[KonsilError] = (
            None if told is None else error_of(str(told["code"]), f"`{self.id}` {told['text']}")
        )
        self._tables = {str(it["name"]): Table(it["name"], it["columns"], it["rows"]) for it in record["tables"]}

    @property
    def tables(self) -> dict[str, Table]:
        """All tables, by name. Raises why, if the result was withheld."""
        if self.withheld is not None:
            raise self.withheld
        return self._tables

    def __getattr__(self, name: str) -> Any:
        # of what was withheld it is not known which names it would have had
        withheld = self.__dict__.get("withheld")
        if withheld is not None and not name.startswith("_"):
            raise withheld
        raise AttributeError(f"`{self.__dict__.get('id', '')}` ({self.__dict__.get('kind', '')}) has no {name}")

    def table(self, name: str) -> Table:
        """The table of a name, as in the file ``ID.NAME.csv``."""
        tables = self.tables
        if name not in tables:
            near = did_you_mean(name, list(tables))
            raise Missing(f"`{self.id}` has no table `{name}`{near or ': it has ' + ', '.join(tables)}")
        return tables[name]

    def tidy(self, exponentiate: bool = False) -> Table:
        """Estimates, a row for each. ``exponentiate`` gives ratios and their limits; errors stay on the log scale,
        as in broom."""
        table = self.table("tidy" if "tidy" in self.tables or exponentiate else self._main().name)
        ratios = {f"exp.{it}": it for it in ("estimate", "conf.low", "conf.high")}
        if exponentiate and "exp.estimate" not in table:
            raise StudyError(f"`{self.id}` ({self.kind}) has no ratios: exponentiate is for models such as cox and glm")
        named = [it for it in table.file_columns if it not in ratios]
        back = {plain: ratio for ratio, plain in ratios.items()}
        taken = [back.get(it, it) if exponentiate else it for it in named]
        chosen = table.only(taken)
        return Table("tidy", named, chosen.rows)

    def glance(self) -> Table:
        """One row about the whole: patients, events, likelihood."""
        return self.table("glance")

    @property
    def figures(self) -> dict[str, Figure]:
        """All figures, by name."""
        if self.withheld is not None:
            raise self.withheld
        return self._part.figures(self.id)

    def plot(self, name: Optional[str] = None) -> Figure:
        """The figure of a name, or the first one."""
        figures = self.figures
        if not figures:
            raise Missing(f"`{self.id}` ({self.kind}) has no figure")
        found = figures.get(name) if name is not None else next(iter(figures.values()))
        if found is None:
            raise Missing(f"`{self.id}` has no figure `{name}`: it has {', '.join(figures)}")
        return found

    def _main(self) -> Table:
        for name in (*_FIRST, *self.tables):
            if name in self._tables:
                return self._tables[name]
        return Table(self.id, [], [])

    def _value(self, column: str, table: str = "glance") -> Cell:
        """The value of a table of one row."""
        found = self.table(table)
        if column not in found or len(found) != 1:
            raise AttributeError(f"`{self.id}` ({self.kind}) has no {column}")
        return found[column][0]

    @property
    def nobs(self) -> Cell:
        """Patients who took part."""
        glance = self.tables.get("glance")
        return self._value("nobs", "glance" if glance is not None and "nobs" in glance else "tidy")

    @property
    def statistic(self) -> Cell:
        """Of a test: its statistic."""
        return self._value("statistic", "tidy")

    @property
    def pvalue(self) -> Cell:
        """Of a test: its p value."""
        return self._value("p.value", "tidy")

    @property
    def summary(self) -> Summary:
        """The table that says most; ``summary()`` is the same."""
        table = self._main()
        return Summary(table.name, table.file_columns, table.rows)

    def summary_frame(self) -> Table:
        """The same, for those who know it by this name."""
        return self.summary

    def __repr__(self) -> str:
        if self.withheld is not None:
            return f"{self.kind} `{self.id}` was withheld: {text_of(self.withheld)}"
        notes = "".join(f"\n  {it}" for it in self.notes)
        return f"{self.kind} `{self.id}`\n{self._main()!r}{notes}"

    def _repr_html_(self) -> str:
        if self.withheld is not None:
            return f"<p><b>{escape(self.id)}</b> was withheld: {escape(text_of(self.withheld))}</p>"
        notes = "".join(f"<p>{escape(it)}</p>" for it in self.notes)
        return f"<p><b>{escape(self.kind)}</b> {escape(self.id)}</p>{self._main()._repr_html_()}{notes}"


class Model(Outcome):
    """A model with coefficients: names of statsmodels."""

    def _column(self, column: str, name: str) -> Named:
        table = self.table("tidy")
        groups = [it for it in _GROUPS if it in table]
        terms = [":".join(str(row[it.replace(".", "_")]) for it in [*groups, "term"]) for row in table]
        return Named(name, terms, [_number(it) for it in table[column]])

    @property
    def params(self) -> Named:
        """Coefficients, by term."""
        return self._column("estimate", "params")

    @property
    def bse(self) -> Named:
        """Standard errors of the coefficients."""
        return self._column("std.error", "bse")

    @property
    def tvalues(self) -> Named:
        """Coefficients by their standard errors."""
        return self._column("statistic", "tvalues")

    @property
    def pvalues(self) -> Named:
        """Two-sided p values."""
        return self._column("p.value", "pvalues")

    def conf_int(self, alpha: float = 0.05) -> Table:
        """Limits of the coefficients; 95 % unless another ``alpha`` is given."""
        if not 0 < alpha < 1:
            raise StudyError("`alpha` lies between 0 and 1, and is 0.05 for limits of 95 %")
        terms = self.params
        low, high = self._column("conf.low", "low"), self._column("conf.high", "high")
        rows: list[Sequence[Cell]] = list(zip(terms.index, low.array, high.array))
        if alpha != 0.05:
            if self.kind in _STUDENT:
                raise StudyError(f"`{self.kind}` has limits of 95 % alone: others need quantiles of Student's t")
            away = NormalDist().inv_cdf(1 - alpha / 2)
            rows = [_limits(*it, away) for it in zip(terms.index, terms.array, self.bse.array)]
        return Table("conf_int", ["term", "conf.low", "conf.high"], rows)

    @property
    def llf(self) -> Cell:
        """Log-likelihood."""
        return self._value("logLik")

    @property
    def aic(self) -> Cell:
        """Akaike's criterion."""
        return self._value("AIC")

    @property
    def bic(self) -> Cell:
        """Schwarz's criterion."""
        return self._value("BIC")


class Cox(Model):
    """A Cox model: names of lifelines, too."""

    @property
    def params_(self) -> Named:
        """Log hazard ratios."""
        return self.params

    @property
    def hazard_ratios_(self) -> Named:
        """Hazard ratios."""
        return self._column("exp.estimate", "hazard_ratios_")

    @property
    def standard_errors_(self) -> Named:
        """Standard errors of the log hazard ratios."""
        return self.bse

    @property
    def confidence_intervals_(self) -> Table:
        """Limits of the log hazard ratios."""
        return self.conf_int()

    @property
    def log_likelihood_(self) -> Cell:
        """Logarithm of the partial likelihood."""
        return self.llf

    @property
    def concordance_index_(self) -> Cell:
        """Harrell's concordance, which is asked for by ``concordance=True``."""
        found = self._value("concordance")
        if found is None:
            raise Missing(f"`{self.id}` has no concordance: ask for it by  study.cox(.., concordance=True)")
        return found

    @property
    def event_observed(self) -> Cell:
        """How many events there were."""
        return self._value("nevent")

    @property
    def baseline_cumulative_hazard_(self) -> Table:
        """The baseline's cumulative hazard, which is asked for by ``baseline=True``."""
        if "baseline" not in self.tables:
            raise Missing(f"`{self.id}` has no baseline: ask for it by  study.cox(.., baseline=True)")
        return self.table("baseline")


class KaplanMeier(Outcome):
    """Survival curves: names of lifelines. Tables have a row for each group and time."""

    def _logrank(self, column: str) -> Cell:
        if "glance" not in self.tables:
            raise Missing(f"`{self.id}` has one group, so no log-rank test")
        return self.table("glance")[column][0]

    @property
    def survival_function_(self) -> Table:
        """The curves."""
        return self.table("km").only(["strata", "time", "surv"])

    @property
    def confidence_interval_(self) -> Table:
        """Limits of the curves."""
        return self.table("km").only(["strata", "time", "lower", "upper"])

    @property
    def event_table(self) -> Table:
        """At risk, events and losses at each time."""
        return self.table("km").only(["strata", "time", "n.risk", "n.event", "n.censor"])

    @property
    def median_survival_time_(self) -> Named:
        """Medians, by group."""
        table = self.table("tidy")
        groups = [str(it) for it in table["strata"]]
        return Named("median_survival_time_", groups, [_number(it) for it in table["median"]])

    @property
    def median_survival_times_(self) -> Table:
        """Medians and their limits, by group."""
        return self.table("tidy").only(["strata", "median", "conf.low", "conf.high"])

    @property
    def pvalue(self) -> Cell:
        """Of the log-rank test."""
        return self._logrank("p.value.log")

    @property
    def statistic(self) -> Cell:
        """Of the log-rank test."""
        return self._logrank("statistic.log")


class Table1(Outcome):
    """The description of a cohort; :meth:`wide` is as it is printed in papers, ``summary`` has each number."""

    def wide(self) -> Table:
        """A row for each variable or level, a column for each group."""
        return wide_of(self.table("ard"))

    def _main(self) -> Table:
        return wide_of(self._tables["ard"]) if "ard" in self._tables else super()._main()

    @property
    def summary(self) -> Summary:
        """Every number, in rows (CDISC's ARD)."""
        table = self.table("ard")
        return Summary(table.name, table.file_columns, table.rows)

    def tidy(self, exponentiate: bool = False) -> Table:
        """Every number, in rows (CDISC's ARD)."""
        return super().tidy(True) if exponentiate else self.table("ard")


def outcome_of(part: "Part", record: dict[str, Any]) -> Outcome:
    """The result of one analysis, with the names of its kind."""
    kind = record["kind"]
    if kind == "cox":
        return Cox(part, record)
    if kind == "table1":
        return Table1(part, record)
    if kind == "km":
        return KaplanMeier(part, record)
    tidy: list[str] = next((it["columns"] for it in record["tables"] if it["name"] == "tidy"), [])
    is_model = {"term", "estimate"} <= set(tidy)
    return Model(part, record) if is_model else Outcome(part, record)


def _number(cell: Cell) -> Optional[float]:
    return float(cell) if isinstance(cell, (int, float)) else None


def _limits(term: str, estimate: Optional[float], error: Optional[float], away: float) -> tuple[Cell, Cell, Cell]:
    if estimate is None or error is None:
        return term, None, None
    return term, estimate - away * error, estimate + away * error
