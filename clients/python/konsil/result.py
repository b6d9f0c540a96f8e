"""The result of a job: what came out of each analysis, the report, and all files."""

from __future__ import annotations

import os
import re
from html import escape
from pathlib import Path
from typing import Any, Callable, Generator, Iterator, Optional, Union
from urllib.parse import quote

from ._aio import in_thread
from ._http import Service
from .errors import KonsilError, Missing, did_you_mean, text_of
from .figure import Figure
from .job import Job, why
from .outcome import Outcome, outcome_of
from .study import Analysis


class Part:
    """The files of one request of a job."""

    def __init__(self, service: Service, record: dict[str, Any]) -> None:
        self._service = service
        self.record = record
        self.files: list[str] = list(record["files"])

    def file(self, name: str) -> bytes:
        """A file, by its name."""
        if name not in self.files:
            near = did_you_mean(name, self.files)
            raise Missing(f"job {self.record['id']} has no file `{name}`{near}", hint="res.files has all")
        return self._service.bytes(f"/api/v1/jobs/{self.record['id']}/files/{quote(name)}")

    def figures(self, analysis: str) -> dict[str, Figure]:
        """Figures of an analysis."""
        head = f"{analysis}."
        names = [it for it in self.files if it.startswith(head) and it.endswith(".svg")]
        # of a scan the whole genome comes before its places
        names.sort(key=lambda it: ".locus." in it)
        return {it[len(head) : -len(".svg")]: Figure(it, self.file(it).decode("utf-8")) for it in names}


class Result:
    """The result of a job: ``res[cox]``, by an analysis or its id.

    From ``study.run`` within a coroutine it comes at once: ``await`` it, or read it, which waits.
    """

    def __init__(
        self, job: Optional[Job] = None, *, begin: Optional[Callable[[], Job]] = None, timeout: Optional[float] = None
    ) -> None:
        self._job = job
        self._begin = begin
        self._timeout = timeout
        self._outcomes: dict[str, Outcome] = {}
        self._parts: list[Part] = []
        self._lost: list[tuple[dict[str, Any], KonsilError]] = []
        if job is not None:
            self._take(job)

    def _take(self, job: Job) -> None:
        """Reads what came out. Raises why, if nothing did."""
        self._parts = [Part(job._service, it) for it in job.records if "result.json" in it["files"]]
        self._lost = [(it, why(it)) for it in job.records if "result.json" not in it["files"]]
        if not self._parts and self._lost:
            raise self._lost[0][1]
        for part in self._parts:
            found = job._service.get(f"/api/v1/jobs/{part.record['id']}/files/result.json")
            for record in found["analyses"]:
                self._outcomes[str(record["id"])] = outcome_of(part, record)

    def _whole(self) -> Job:
        """Its job, over; waits where ``await`` was left out."""
        if self._job is None and self._begin is not None:
            self._finish(self._begin())
        assert self._job is not None
        return self._job

    def _finish(self, job: Job) -> None:
        for _ in job.events(self._timeout):
            pass
        self._take(job)
        self._job, self._begin = job, None

    def __await__(self) -> Generator[Any, None, "Result"]:
        return self._awaited().__await__()

    async def _awaited(self) -> "Result":
        if self._begin is not None:
            job = await in_thread(self._begin)
            await in_thread(lambda: self._finish(job), job.leave)
        return self

    @property
    def job(self) -> Job:
        """The job that it is of."""
        return self._whole()

    @property
    def analyses(self) -> list[str]:
        """Ids of the analyses."""
        self._whole()
        return list(self._outcomes)

    def __iter__(self) -> Iterator[Outcome]:
        self._whole()
        return iter(list(self._outcomes.values()))

    def __len__(self) -> int:
        return len(self.analyses)

    def __getitem__(self, key: Union[Analysis, str]) -> Outcome:
        self._whole()
        id = key.id if isinstance(key, Analysis) else str(key)
        if id in self._outcomes:
            return self._outcomes[id]
        for record, error in self._lost:
            if any(it["id"] == id for it in record["plan"]["analyses"]):
                raise error
        near = did_you_mean(id, list(self._outcomes))
        raise Missing(f"the result has no analysis `{id}`{near or ': it has ' + ', '.join(self._outcomes)}")

    def __getattr__(self, name: str) -> Outcome:
        # res.cox, as in R; what begins with _ would only wait for a job to say that it is not there
        if name.startswith("_"):
            raise AttributeError(name)
        if name in self.__dict__.get("_outcomes", {}):
            return self._outcomes[name]
        raise AttributeError(f'a result has no `{name}`: write res["{name}"] for an analysis of this id')

    @property
    def files(self) -> list[str]:
        """Names of all files; what both of two requests have with the study's name before it."""
        self._whole()
        names = [name for part in self._parts for name in part.files]
        return [
            name if names.count(name) == 1 else f"{part.record['study']}/{name}"
            for part in self._parts
            for name in part.files
        ]

    def file(self, name: str) -> bytes:
        """A file, by its name."""
        self._whole()
        study, _, plain = name.rpartition("/")
        for part in self._parts:
            if study in ("", part.record["study"]) and plain in part.files:
                return part.file(plain)
        near = did_you_mean(name, self.files)
        raise Missing(f"the result has no file `{name}`{near}", hint="res.files has all")

    def report(self, path: "str | os.PathLike[str]") -> Path:
        """Writes the report: one page with tables, figures, methods and what was revealed."""
        self._whole()
        pages = [part.file("report.html").decode("utf-8") for part in self._parts]
        place = Path(path).expanduser()
        place.write_text(_joined(pages), encoding="utf-8")
        return place

    def save(self, folder: "str | os.PathLike[str]") -> Path:
        """Writes all files; of two requests each into a folder of its study's name."""
        self._whole()
        place = Path(folder).expanduser()
        for part in self._parts:
            own = place if len(self._parts) == 1 else place / str(part.record["study"])
            own.mkdir(parents=True, exist_ok=True)
            for name in part.files:
                (own / name).write_bytes(part.file(name))
        return place

    def __repr__(self) -> str:
        if self._begin is not None:
            return "a result on its way: await it"
        lost = [f"{it['study']} ended without a result: {text_of(error)}" for it, error in self._lost]
        return "\n\n".join([repr(self._job), *map(repr, self._outcomes.values()), *lost])

    def _repr_html_(self) -> str:
        if self._begin is not None:
            return "<p>a result on its way: await it</p>"
        head = "" if self._job is None else self._job._repr_html_()
        lost = [f"<p>{escape(str(it['study']))}: {escape(text_of(error))}</p>" for it, error in self._lost]
        return head + "".join([it._repr_html_() for it in self._outcomes.values()] + lost)


def _joined(pages: list[str]) -> str:
    """Reports of several requests on one page, one below the other."""
    first, *others = pages
    for at, page in enumerate(others, start=2):
        found = re.search(r"<main\b.*?</main>", page, re.DOTALL)
        body = found.group(0) if found else ""
        # names are unique on a page
        body = re.sub(r'\b(id|aria-labelledby|aria-describedby|for)="([^"]+)"', rf'\1="part{at}-\2"', body)
        body = re.sub(r'(href="|url\()#', rf"\1#part{at}-", body)
        # a page has one main part
        body = re.sub(r"^<main\b", "<div", body).removesuffix("</main>") + "</div>"
        first = first.replace("</main>", f"{body}</main>", 1)
    return first
