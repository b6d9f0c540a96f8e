"""What a study will reveal, leave and cost: no patient is looked at for it."""

from __future__ import annotations

import shutil
import textwrap
from html import escape
from typing import Any, Sequence


def size(count: int) -> str:
    """Bytes for people."""
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{count} B" if unit == "B" else f"{value:.3g} {unit}"


class Plan:
    """A plan; with ``epsilon`` there may be two, one with noise and one without. ``parts`` are the records
    of the interface."""

    def __init__(self, parts: Sequence[dict[str, Any]], notes: Sequence[str]) -> None:
        self.parts = list(parts)
        self.notes = list(notes)

    @property
    def sent_bytes(self) -> int:
        """Bytes that all centres send, exactly."""
        return sum(int(it["sent_bytes"]) for it in self.parts)

    @property
    def rounds(self) -> int:
        """Messages that wait for each other."""
        return sum(int(it["rounds"]) for it in self.parts)

    @property
    def revealed(self) -> list[dict[str, Any]]:
        """Every value that will be revealed: analysis, name, to whom, how many numbers, what they say."""
        return [
            {"analysis": analysis["id"], **line}
            for part in self.parts
            for analysis in part["analyses"]
            for line in analysis["ledger"]
        ]

    def _sections(self) -> list[tuple[str, list[tuple[str, str]]]]:
        out: list[tuple[str, list[tuple[str, str]]]] = []
        for part in self.parts:
            centres = part["centres"]
            head = f"{part['study']}  ·  {len(centres)} centres  ·  at most {part['rows_at_most']} rows"
            revealed: list[tuple[str, str]] = []
            for analysis in part["analyses"]:
                for at, line in enumerate(analysis["reveals"]):
                    revealed.append((analysis["id"] if at == 0 else "", line))
                limit = analysis.get("found_percent_at_most")
                if limit is not None:
                    revealed.append(("", f"a membership test finds at most {limit:.1f} % at 1 % false alarms"))
            out.append((f"{head}\nWill be revealed, over all centres together", revealed))
            leaves = [
                ("shares", f"{size(part['sent_bytes'])} ({part['sent_bytes']} bytes, exactly)"),
                ("in the clear", f"{part['clear_patient_bytes']} B patient-derived"),
                ("from the dealer", f"{size(part['dealt_bytes'])} of correlated randomness"),
            ]
            out.append(("Leaves the centres", leaves))
            wait = part["rounds"] / 1000
            time = f"{part['rounds']} rounds wait for each other: {wait:.1f} s for each ms of the slowest line"
            time += ", and the computing"
            out.append(
                ("", [("Time", time), ("Budget", part.get("noise") or "nothing is spent: the results are exact")])
            )
            out.append(("", [("Guarantee", part["guarantee"]), ("Rules", part["rules"])]))
        if self.notes:
            out.append(("", [("Note", it) for it in self.notes]))
        return out

    def __str__(self) -> str:
        wide = min(max(shutil.get_terminal_size((120, 24)).columns, 60), 120)
        blocks = []
        for head, lines in self._sections():
            width = max([len(name) for name, _ in lines] + [10])
            rows = [head] if head else []
            for name, text in lines:
                first = f"  {name.ljust(width)}  " if head else f"{name.ljust(width + 2)}  "
                rows.append(textwrap.fill(text, wide, initial_indent=first, subsequent_indent=" " * len(first)))
            blocks.append("\n".join(rows))
        return "\n".join(blocks)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        blocks = []
        for head, lines in self._sections():
            title = "".join(f"<p><b>{escape(it)}</b></p>" for it in head.split("\n") if it)
            rows = "".join(
                f'<tr><td style="text-align:left">{escape(name)}</td><td style="text-align:left">{escape(text)}</td></tr>'
                for name, text in lines
            )
            blocks.append(f"{title}<table>{rows}</table>")
        return "<div>" + "".join(blocks) + "</div>"
