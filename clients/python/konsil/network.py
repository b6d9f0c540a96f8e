"""A network of centres, through the ``konsil ui`` of this computer."""

from __future__ import annotations

import os
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Optional, Sequence, Union

from ._http import Service, address_of
from ._program import Child, network_file, service_of, studies_folder
from .errors import KonsilError, Missing, StudyError, did_you_mean, text_of
from .job import Job
from .study import Release, Study
from .table import Table


@dataclass(frozen=True)
class Variable:
    """A variable that all centres have."""

    name: str
    label: str
    kind: str
    unit: Optional[str]
    levels: tuple[str, ...]
    min: Optional[float]
    max: Optional[float]
    code: str


class Dictionary(Table):
    """The dictionary that all centres share, a row for each variable."""

    def __init__(self, title: str, variables: Sequence[Variable]) -> None:
        self.title = title
        self.variables = tuple(variables)
        columns = ["name", "label", "kind", "unit", "levels", "min", "max", "code"]
        rows = [
            [it.name, it.label, it.kind, it.unit, ", ".join(it.levels), it.min, it.max, it.code] for it in variables
        ]
        super().__init__("dictionary", columns, rows)

    def variable(self, name: str) -> Variable:
        """The variable of a name."""
        for it in self.variables:
            if it.name == name:
                return it
        near = did_you_mean(name, [it.name for it in self.variables])
        raise Missing(f"the dictionary {self.title} has no variable `{name}`{near}")

    def __repr__(self) -> str:
        return f"{self.title}, {len(self)} variables\n{super().__repr__()}"

    def _repr_html_(self) -> str:
        return f"<p><b>{escape(self.title)}</b>, {len(self)} variables</p>{super()._repr_html_()}"


class Network:
    """A network. Close it, or use it as a context manager, to end the ``konsil ui`` that was started for it."""

    def __init__(
        self, name: str, service: Service, child: Optional[Child] = None, folder: Optional[Path] = None
    ) -> None:
        self.name = name
        self.folder = folder
        self._service = service
        self._child = child
        self._kinds: list[dict[str, Any]] = service.get("/api/v1/analyses")

    def close(self) -> None:
        """Ends what was started for it. A job that waits goes on at the next ``connect``; one that runs is lost."""
        if self._child is not None:
            self._child.close()
            self._child = None

    def __enter__(self) -> "Network":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def centres(self) -> Table:
        """The centres, as they say of themselves."""
        found = self._service.get("/api/v1/centres")
        columns = ["centre", "version", "dataset", "rows_at_most", "dictionary"]
        return Table("centres", columns, [[it[name] for name in columns] for it in found])

    @property
    def dictionary(self) -> Dictionary:
        """The dictionary that all centres share."""
        found = self._service.get("/api/v1/dictionary")
        variables = [Variable(**{**it, "levels": tuple(it["levels"])}) for it in found["variables"]]
        return Dictionary(found["title"], variables)

    @property
    def analyses(self) -> Table:
        """The kinds of analyses, each a method of a study."""
        columns = ["kind", "title", "options", "example"]
        rows = [[it["kind"], it["title"], ", ".join(it["options"]), it["example"]] for it in self._kinds]
        return Table("analyses", columns, rows)

    def study(
        self,
        id: str,
        *,
        purpose: str = "",
        where: str = "",
        title: str = "",
        ethics: str = "",
        centres: Union[str, Sequence[str]] = "all",
        min_centres: Optional[int] = None,
        dictionary: str = "",
        release: Optional[Release] = None,
    ) -> Study:
        """A study: its short name, purpose and cohort. ``where`` is a condition in SQL; ``release`` has rules
        such as ``{"threshold": 10}``."""
        head: dict[str, Any] = {"id": id, "title": title, "purpose": purpose, "ethics": ethics}
        head["centres"] = centres if isinstance(centres, str) else list(centres)
        if min_centres is not None:
            head["min_centres"] = min_centres
        if dictionary:
            head["dictionary"] = dictionary
        return Study(self._service, self._kinds, (head, where, dict(release or {})))

    def jobs(self) -> list[Job]:
        """All jobs of the folder, the newest first."""
        out: list[Job] = []
        after = ""
        while True:
            page = self._service.get(f"/api/v1/jobs{after}")
            out += [Job(self._service, [it]) for it in page["jobs"]]
            if not page["next"]:
                return out
            after = f"?after={page['next']}"

    def job(self, id: str) -> Job:
        """The job of an id; of several, joined by ``+``."""
        ids = id.split("+")
        if not all(it.isalnum() for it in ids):
            raise Missing(f"`{id}` is no id of a job", hint="net.jobs() has them")
        try:
            return Job(self._service, [self._service.get(f"/api/v1/jobs/{it}") for it in ids])
        except Missing as error:
            raise Missing(
                f"there is no job `{id}` here", code=error.code, status=error.status, hint="net.jobs() has all"
            ) from None

    def _facts(self) -> tuple[str, Optional[Table]]:
        try:
            centres = self.centres
            return f"network {self.name}, {len(centres)} centres", centres
        except KonsilError as error:
            return f"network {self.name}: {text_of(error)}", None

    def __repr__(self) -> str:
        text, centres = self._facts()
        return text if centres is None else f"{text}\n{centres!r}"

    def _repr_html_(self) -> str:
        text, centres = self._facts()
        return f"<p><b>{escape(text)}</b></p>{'' if centres is None else centres._repr_html_()}"


def connect(
    network: "Union[str, os.PathLike[str], None]" = None,
    *,
    folder: "Union[str, os.PathLike[str], None]" = None,
    program: Optional[str] = None,
    url: Optional[str] = None,
    token: Optional[str] = None,
) -> Network:
    """Connects to a network: its file, a lab's folder, or the name of a file of ``$XDG_CONFIG_HOME/konsil/networks``.

    A ``konsil ui`` that runs in ``folder`` is used; otherwise one is started, and ends with the network's
    ``close`` or this process. ``url`` and ``token`` name a running one instead.
    """
    if url is not None:
        if network is not None:
            raise StudyError("give a network, or url and token; not both")
        service = Service(*address_of(url, token))
        return Network(service.address, service)
    file = network_file("network.toml" if network is None else network)
    place = studies_folder(file) if folder is None else Path(folder).expanduser().absolute()
    service, child = service_of(file, place, program)
    name = file.parent.name if file.name == "network.toml" else file.stem
    return Network(name, service, child, place)
