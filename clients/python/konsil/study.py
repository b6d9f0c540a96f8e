"""A study: question, cohort, analyses. Nothing is asked before ``plan``, ``run`` or ``start``."""

from __future__ import annotations

import math
import os
import uuid
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Optional, Sequence, TypedDict

from ._aio import in_coroutine
from ._http import Service
from ._kinds import Kinds
from .errors import StudyError, did_you_mean
from .job import Job
from .plan import Plan

if TYPE_CHECKING:
    from .result import Result


class Release(TypedDict, total=False):
    """Rules of release, as in a study file."""

    threshold: int
    rounding: str
    zero_cells: bool
    delta: float
    mechanism: str


_RELEASE = ("threshold", "rounding", "zero_cells", "delta", "mechanism")
# options that name a file: konsil ui would look for it in its own folder
_FILES = ("panel", "sets", "among")
# kinds whose released numbers take noise; others are exact or refused (docs/disclosure.md)
_NOISED = ("summary", "table1")


class ExactWarning(UserWarning):
    """``epsilon`` was given, and some of the analyses have no noise."""


class Analysis:
    """An analysis of a study: the key of its result."""

    def __init__(self, id: str, request: dict[str, Any]) -> None:
        self.id = id
        self.request = request

    @property
    def kind(self) -> str:
        """The kind, as ``cox``."""
        return str(self.request["kind"])

    @property
    def takes_noise(self) -> bool:
        """Whether ``epsilon`` puts noise on its numbers."""
        return self.kind in _NOISED

    def __repr__(self) -> str:
        what = self.request.get("formula") or ", ".join(self.request.get("variables", []))
        rest = "".join(
            f", {name}={value!r}"
            for name, value in self.request.items()
            if name not in ("id", "kind", "formula", "variables")
        )
        return f"<{self.kind} `{self.id}`: {what}{rest}>"


class Study(Kinds):
    """A study of a network. Each kind of analysis is a method; :meth:`analysis` takes any by its name."""

    def __init__(
        self, service: Service, kinds: Sequence[dict[str, Any]], parts: tuple[dict[str, Any], str, dict[str, Any]]
    ) -> None:
        self._service = service
        self._known = {str(it["kind"]): it for it in kinds}
        self._head, self._where, self._release = parts
        foreign = [it for it in self._release if it not in _RELEASE]
        if foreign:
            near = did_you_mean(foreign[0], list(_RELEASE))
            raise StudyError(f"`release` has no `{foreign[0]}`{near or ': it has ' + ', '.join(_RELEASE)}")
        self._made: dict[str, Analysis] = {}

    @property
    def id(self) -> str:
        """Its short name."""
        return str(self._head["id"])

    def analysis(self, kind: str, *what: str, id: Optional[str] = None, **options: Any) -> Analysis:
        """An analysis of any kind: a formula or variables, then options as in a study file. An option of
        ``None`` is none; ``lambda_`` is ``lambda``."""
        entry = self._known.get(kind)
        if entry is None:
            near = did_you_mean(kind, list(self._known))
            raise StudyError(f"there is no kind of analysis `{kind}`{near}", hint="net.analyses has all kinds")
        request: dict[str, Any] = {"kind": kind}
        texts = [str(it) for it in what if it]
        if len(texts) == 1 and "~" in texts[0]:
            request["formula"] = texts[0]
        elif any("~" in it for it in texts):
            raise StudyError(f"`{kind}` takes one formula, or variables; not both")
        elif texts:
            request["variables"] = [name for it in texts for name in it.replace("+", " ").replace(",", " ").split()]
        request.update(_options_of(kind, entry["options"], options))
        return self._named(id, request)

    def _named(self, id: Optional[str], request: dict[str, Any]) -> Analysis:
        """The same question again, as when a cell of a notebook runs twice, is the same analysis."""
        same = [it for it in self._made.values() if it.request == request and id in (None, it.id)]
        if same:
            return same[0]
        kind = str(request["kind"])
        name, at = id or kind, 1
        if id is not None and id in self._made:
            raise StudyError(f"the study has another analysis `{id}` already: give this one another id")
        while name in self._made:
            at += 1
            name = f"{kind}-{at}"
        found = self._made[name] = Analysis(name, request)
        return found

    def __getattr__(self, name: str) -> Callable[..., Analysis]:
        # kinds that are newer than this package
        known = self.__dict__.get("_known", {})
        if name in known:
            return lambda *what, **options: self.analysis(name, *what, **options)
        near = did_you_mean(name, [*known, "plan", "run", "start", "analysis"])
        raise AttributeError(f"a study has no `{name}`{near}")

    # asking

    def _requests(self, analyses: Sequence[Analysis], epsilon: float) -> tuple[list[dict[str, Any]], list[str]]:
        """The studies to ask for, and what to tell of them: with noise and without go into two."""
        if not analyses:
            raise StudyError("no analysis is given", hint="for example  study.run(study.summary('age'))")
        for it in analyses:
            if not isinstance(it, Analysis):
                raise StudyError(f"{it!r} is no analysis", hint="make one, as  study.cox('Surv(months, died) ~ age')")
        if not isinstance(epsilon, (int, float)) or not math.isfinite(epsilon) or epsilon < 0:
            raise StudyError("`epsilon` lies between 0, for exact results, and 10")
        noised = [it for it in analyses if epsilon > 0 and it.takes_noise]
        exact = [it for it in analyses if it not in noised]
        if epsilon > 0 and not noised:
            names = ", ".join(it.id for it in exact)
            text = f"{names} cannot have noise: only {' and '.join(_NOISED)} can"
            raise StudyError(
                text, code="K0220", hint="ask without epsilon: exact, under the rules of docs/disclosure.md"
            )
        notes = []
        if noised and exact:
            names = ", ".join(it.id for it in exact)
            notes.append(
                f"epsilon = {epsilon:g} puts noise on {', '.join(it.id for it in noised)} only. {names}: "
                "no noise exists for this kind, so it is asked for in a study of its own, exact under the disclosure rules"
            )
        name = f"{self.id}-noise" if exact else self.id
        out = [self._request(self.id, exact, 0.0)] if exact else []
        return out + ([self._request(name, noised, epsilon)] if noised else []), notes

    def _request(self, id: str, analyses: Sequence[Analysis], epsilon: float) -> dict[str, Any]:
        request: dict[str, Any] = {"study": {**self._head, "id": id}}
        if self._where:
            request["cohort"] = {"where": self._where}
        request["analysis"] = [{"id": it.id, **it.request} for it in dict.fromkeys(analyses)]
        rules = {**self._release, **({"epsilon": float(epsilon)} if epsilon > 0 else {})}
        if rules:
            request["release"] = rules
        return request

    def plan(self, *analyses: Analysis, epsilon: float = 0.0) -> Plan:
        """What they will reveal, leave and cost. No patient is looked at."""
        studies, notes = self._requests(analyses, epsilon)
        return Plan([self._service.post("/api/v1/plans", {"study": it}) for it in studies], notes)

    def start(self, *analyses: Analysis, epsilon: float = 0.0) -> Job:
        """Asks all centres, and gives the job, which runs when all have said yes."""
        studies, notes = self._requests(analyses, epsilon)
        for it in notes:
            warnings.warn(it, ExactWarning, stacklevel=_caller())
        # all are planned before the first is asked for, so that none is left over when another has an error
        if len(studies) > 1:
            self.plan(*analyses, epsilon=epsilon)
        records = [self._service.post("/api/v1/jobs", {"study": it}, key=uuid.uuid4().hex) for it in studies]
        return Job(self._service, records, studies)

    def run(
        self,
        *analyses: Analysis,
        epsilon: float = 0.0,
        timeout: Optional[float] = None,
        progress: Optional[bool] = None,
    ) -> "Result":
        """Asks all centres, waits for the end and gives the result; in a coroutine ``await`` it.

        ``epsilon`` above 0 puts noise on summary and table1; an analysis that has no noise is then asked for
        in a study of its own, with a warning.
        """
        from .result import Result

        if in_coroutine():
            return Result(begin=lambda: self.start(*analyses, epsilon=epsilon), timeout=timeout)
        return self.start(*analyses, epsilon=epsilon).wait(timeout, progress)

    def __repr__(self) -> str:
        cohort = f" where {self._where}" if self._where else ", all patients"
        made = "".join(f"\n  {it!r}" for it in self._made.values())
        return f"study {self.id}{cohort}{made}"


def _options_of(kind: str, known: Sequence[str], options: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for given, value in options.items():
        name = given.rstrip("_")
        if name not in known:
            near = did_you_mean(name, list(known))
            has = f"it has {', '.join(known)}" if known else "it has no options"
            raise StudyError(f"`{kind}` does not take `{name}`{near or '; ' + has}", hint=f"konsil {kind} --help")
        if value is None or value is False:
            continue
        if isinstance(value, os.PathLike) or (name in _FILES and Path(str(value)).exists()):
            value = str(Path(value).absolute())
        out[name] = list(value) if isinstance(value, (tuple, set, frozenset)) else value
    return out


def _caller() -> int:
    """How far up the caller of this package is: a warning names that line."""
    import sys

    depth, frame = 1, sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).startswith("konsil"):
        depth, frame = depth + 1, frame.f_back
    return depth
