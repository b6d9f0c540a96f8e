"""A job: a study that is asked for at all centres, waits for their stewards, runs, and has a result."""

from __future__ import annotations

import sys
import time
from html import escape
from typing import TYPE_CHECKING, Any, AsyncIterator, Generator, Iterator, Optional, Sequence

from ._aio import in_thread
from ._http import Events, Service
from .errors import Cancelled, KonsilError, error_of
from .progress import line_of, shower

if TYPE_CHECKING:
    from .result import Result

OVER = ("released", "withheld", "failed", "cancelled")
# how often a job is asked for anew that was planned before another one's result came out
_AGAIN_MOST = 5
# seconds before a stream that broke off is asked for again
_AGAIN = 0.5
_SILENCE = 60.0


class Job:
    """A job; with ``epsilon`` there may be two requests in it, one with noise and one without."""

    def __init__(
        self, service: Service, records: Sequence[dict[str, Any]], studies: Sequence[dict[str, Any]] = ()
    ) -> None:
        self._service = service
        self._studies = list(studies)
        self.records = list(records)
        self._listening: Optional[Events] = None
        self._left = False

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of its requests, for ``net.job(..)``."""
        return tuple(str(it["id"]) for it in self.records)

    @property
    def id(self) -> str:
        """Its id; several are joined by ``+``."""
        return "+".join(self.ids)

    @property
    def state(self) -> str:
        """``waiting``, ``running``, ``released``, ``withheld``, ``failed`` or ``cancelled``, as last heard."""
        states = [str(it["state"]) for it in self.records]
        order = ("waiting", "running", "released", "withheld", "failed", "cancelled")
        return min(states, key=order.index)

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens."""
        return all(it["state"] in OVER for it in self.records)

    @property
    def error(self) -> Optional[KonsilError]:
        """Why it ended without any result; ``None`` while it goes on, and with results."""
        return None if self.state not in ("failed", "cancelled") else why(self.records[0])

    def refresh(self) -> "Job":
        """Asks where it stands."""
        self.records = [self._service.get(f"/api/v1/jobs/{it}") for it in self.ids]
        return self

    def cancel(self) -> "Job":
        """Ends it while it waits for approvals; what centres compute goes to its end (K0909)."""
        for record in self.records:
            if record["state"] not in OVER:
                self._service.post(f"/api/v1/jobs/{record['id']}/cancel")
        return self.refresh()

    def events(self, timeout: Optional[float] = None) -> Iterator[dict[str, Any]]:
        """Its records as they change, to its end."""
        end = None if timeout is None else time.monotonic() + timeout
        self._left = False
        for at, record in enumerate(self.records):
            again = _AGAIN_MOST if self._studies else 0
            while True:
                over = record["state"] in OVER
                for found in [record] if over else self._follow(str(record["id"]), end):
                    record = self.records[at] = found
                    if not (again and _is_stale(found)):
                        yield found
                if self._left or not (again and _is_stale(record)):
                    break
                again -= 1
                record = self.records[at] = self._service.post("/api/v1/jobs", {"study": self._studies[at]})

    def _follow(self, job: str, end: Optional[float]) -> Iterator[dict[str, Any]]:
        while not self._left:
            listening = self._listening = self._service.events(job)
            try:
                while True:
                    listening.patience(_SILENCE if end is None else end - time.monotonic())
                    if end is not None and time.monotonic() > end:
                        raise TimeoutError
                    found = next(listening, None)
                    if found is None:
                        break
                    yield found
                    if found["state"] in OVER:
                        return
            except TimeoutError:
                if end is not None and time.monotonic() >= end:
                    text = f"job {job} is not over in time; it goes on:  net.job('{job}').wait()"
                    raise TimeoutError(text) from None
            finally:
                listening.close()
                self._listening = None
            # the stream broke off; if the program has ended, the next call says so
            time.sleep(_AGAIN)

    def leave(self) -> None:
        """Stops listening, also in another thread; the job goes on."""
        self._left = True
        if self._listening is not None:
            self._listening.close()

    def wait(self, timeout: Optional[float] = None, progress: Optional[bool] = None) -> "Result":
        """Waits for its end. Raises why, if there is no result; ``TimeoutError`` leaves the job going on."""
        from .result import Result

        show = shower(progress)
        try:
            for record in self.events(timeout):
                if show is not None:
                    show(record)
        except KeyboardInterrupt:
            # said where it can be seen: the job is easily taken for ended
            sys.stderr.write(f"\njob {self.id} goes on:  net.job('{self.id}').wait()  or  .cancel()\n")
            raise KeyboardInterrupt from None
        return Result(self)

    def result(self) -> "Result":
        """The result of a job that is over; waits for it otherwise."""
        return self.wait(progress=False)

    def __await__(self) -> Generator[Any, None, "Result"]:
        return in_thread(lambda: self.wait(progress=False), self.leave).__await__()

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        """``async for record in job``: its records as they change."""
        records = self.events()
        while True:
            found = await in_thread(lambda: next(records, None), self.leave)
            if found is None:
                return
            yield found

    def __repr__(self) -> str:
        return "\n".join(f"job {it['id']}  {line_of(it)}" for it in self.records)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"


def _is_stale(record: dict[str, Any]) -> bool:
    """Whether another result came out between plan and run, so that centres want to be asked anew."""
    return record["state"] == "failed" and record["code"] == "K0601" and "plan again" in record["text"]


def why(record: dict[str, Any]) -> KonsilError:
    """Why a job ended without results."""
    if record["state"] == "cancelled":
        return Cancelled(f"job {record['id']} was cancelled before it ran")
    return error_of(str(record["code"]), str(record["text"]))
