"""Table 1 as it is printed: a row for each variable or level, a column for each group."""

from __future__ import annotations

from .table import SUPPRESSED, Cell, Table

# stands for the group's patients in CDISC's ARD
_TOTAL = "..ard_total_n.."
_KEYS = ("group1", "group1_level", "variable", "variable_level", "stat_name", "stat")


def wide_of(ard: Table) -> Table:
    """The wide table of the long one."""
    groups: dict[str, str] = {}
    rows: dict[tuple[str, str], None] = {}
    stats: dict[tuple[str, str, str, str], Cell] = {}
    for row in ard:
        by, group, variable, level, name, stat = (row[it] for it in _KEYS)
        groups[str(group or "")] = f"{by} {group}" if by else "all"
        if name != "N_miss":
            rows[(str(variable), str(level or ""))] = None
        stats[(str(group or ""), str(variable), str(level or ""), str(name))] = stat
    lines = [[_head(*key), *(_cell(group, *key, stats) for group in groups)] for key in rows]
    out = Table("table1", ["variable", *groups.values()], lines)
    # groups keep their spelling: they are levels, no columns of a file
    out.columns = ("variable", *groups.values())
    return out


def _head(variable: str, level: str) -> str:
    if variable == _TOTAL:
        return "n"
    return f"{variable}: {level}" if level else f"{variable}, median (q1, q3)"


def _cell(group: str, variable: str, level: str, stats: dict[tuple[str, str, str, str], Cell]) -> str:
    def stat(name: str) -> Cell:
        return stats.get((group, variable, level, name))

    if variable == _TOTAL:
        return _count(stat("N"))
    if level:
        part = stat("p")
        return _count(stat("n")) + (f" ({part:.0%})" if isinstance(part, float) else "")
    values = [stat(it) for it in ("median", "p25", "p75")]
    if any(it is None for it in values):
        return SUPPRESSED
    middle, low, high = (f"{it:.1f}" if isinstance(it, float) else str(it) for it in values)
    return f"{middle} ({low}, {high})"


def _count(cell: Cell) -> str:
    return f"{cell:.0f}" if isinstance(cell, (int, float)) else SUPPRESSED
