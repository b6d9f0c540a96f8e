"""How far a job is: lines on a terminal, a widget in a notebook that has them, nothing elsewhere."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from html import escape
from typing import Any, Callable, Optional

from ._aio import in_notebook

Show = Callable[[dict[str, Any]], None]
_WIDTH = 20


def percent_of(job: dict[str, Any], centre: dict[str, Any]) -> int:
    """How far a centre is with all analyses."""
    if centre["stage"] == "done":
        return 100
    if not centre["stage"]:
        return 0
    analyses = max(len(job["plan"]["analyses"]), 1)
    return min(int((100 * centre["done"] + centre["percent"]) / analyses), 99)


def _bar(percent: int) -> str:
    full = percent * _WIDTH // 100
    return "█" * full + "░" * (_WIDTH - full)


def line_of(job: dict[str, Any]) -> str:
    """Where a job stands, on one line."""
    if job["state"] == "waiting":
        said = "  ".join(f"{it['name']} {it['approval'] or '…'}" for it in job["centres"])
        return f"{job['study']}  approvals  {said}"
    if job["state"] == "running":
        percents = [percent_of(job, it) for it in job["centres"]] or [0]
        slow = min(zip(percents, (it["name"] for it in job["centres"])), default=(0, ""))
        return f"{job['study']}  computes   {_bar(min(percents))} {min(percents):3d} %  last: {slow[1]}"
    if job["state"] == "released":
        return f"{job['study']}  released in {job['elapsed_seconds']:.1f} s, sent {job['sent_bytes']} bytes"
    first = str(job["text"]).split("\n")[0]
    why = f": {job['code']} {first}".rstrip(": ")
    return f"{job['study']}  {job['state']}{why}"


class _Terminal:
    """One line that is written over while a job goes on, and kept when its state changes."""

    def __init__(self) -> None:
        self._last = ""
        self._state = ""

    def __call__(self, job: dict[str, Any]) -> None:
        # a line that wraps could not be written over
        line = line_of(job)[: shutil.get_terminal_size((80, 24)).columns - 1]
        if line == self._last:
            return
        if self._state and self._state != job["state"]:
            sys.stderr.write("\n")
        sys.stderr.write(f"\r\x1b[K{line}")
        self._last, self._state = line, job["state"]
        if job["state"] not in ("waiting", "running"):
            sys.stderr.write("\n")
            self._state = ""
        sys.stderr.flush()


def _widget() -> Show:
    # only where it is installed; named at run time, so that nothing else needs it
    widgets = importlib.import_module("ipywidgets")
    display = importlib.import_module("IPython.display").display
    label = widgets.HTML()
    display(label)

    def show(job: dict[str, Any]) -> None:
        label.value = f"<pre>{escape(line_of(job))}</pre>"

    return show


def shower(wanted: Optional[bool]) -> Optional[Show]:
    """What shows progress here; ``None`` for nothing. ``KONSIL_NO_PROGRESS`` silences it unless it is wanted."""
    if wanted is False or (wanted is None and os.environ.get("KONSIL_NO_PROGRESS")):
        return None
    if in_notebook():
        return _widget() if importlib.util.find_spec("ipywidgets") else None
    if sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        return _Terminal()
    return None
