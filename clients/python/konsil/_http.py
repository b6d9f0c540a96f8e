"""Calls of the local interface of ``konsil ui``, with the standard library alone."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any, Iterator, Optional
from urllib.parse import parse_qs, quote, urlsplit

from .errors import KonsilError, ProgramError, StudyError, Unreachable, error_of

# seconds for a call: a plan links to all centres first
_PATIENCE = 120.0
# seconds in which a stream of events says at least that it is still there
_SILENCE = 60.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def address_of(url: str, token: Optional[str]) -> tuple[str, str]:
    """Address and token, of the address alone if it is the one that ``konsil ui`` prints."""
    parts = urlsplit(url if "//" in url else f"http://{url}")
    given = parse_qs(parts.query).get("token", [""])[0]
    if parts.scheme != "http" or parts.hostname not in _LOOPBACK or parts.port is None:
        raise StudyError(
            f"{url} is no address of konsil ui, which is http://127.0.0.1:PORT: "
            "results are added up on this computer alone"
        )
    if not (token or given):
        raise StudyError("connect(url=..) needs token=.., the second line of the file ui.token")
    return f"http://{parts.hostname}:{parts.port}", token or given


class Service:
    """A running ``konsil ui``: address and token."""

    def __init__(self, address: str, token: str) -> None:
        parts = urlsplit(address)
        self.address = address
        self._place = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._token = token

    def _open(self, method: str, path: str, body: Any, headers: dict[str, str]) -> tuple[Any, Any]:
        connection = http.client.HTTPConnection(*self._place, timeout=_PATIENCE)
        sent = {"Authorization": f"Bearer {self._token}", **headers}
        text = None
        if body is not None:
            text = json.dumps(body, allow_nan=False).encode()
            sent["Content-Type"] = "application/json"
        try:
            connection.request(method, path, body=text, headers=sent)
            response = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._gone(error) from error
        if response.status >= 400:
            problem = self._read(response)
            connection.close()
            raise _problem(response.status, problem, path)
        return connection, response

    def _gone(self, error: Exception) -> Unreachable:
        hint = "it has ended, or never ran: connect again with  konsil.connect(..)"
        return Unreachable(f"konsil ui at {self.address} does not answer: {error}", hint=hint)

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        try:
            return response.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._gone(error) from error

    def bytes(self, path: str) -> bytes:
        """A file."""
        connection, response = self._open("GET", path, None, {})
        try:
            return self._read(response)
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """An answer in JSON."""
        return _json(self.bytes(path), self.address)

    def post(self, path: str, body: Any = None, key: str = "") -> Any:
        """An answer in JSON, to a call that changes something. The same key gives the same answer."""
        headers = {"Idempotency-Key": key} if key else {}
        connection, response = self._open("POST", path, body, headers)
        try:
            return _json(self._read(response), self.address)
        finally:
            connection.close()

    def events(self, job: str) -> "Events":
        """A job's records as they change."""
        return Events(self, job)


class Events(Iterator[dict[str, Any]]):
    """Server-sent events of a job, each the whole job. ``None`` of :meth:`poll` says that time is over."""

    def __init__(self, service: Service, job: str) -> None:
        path = f"/api/v1/jobs/{quote(job)}/events"
        self._service = service
        self._connection, self._response = service._open("GET", path, None, {})
        # kept, since http.client gives the socket to an answer without a length
        self._socket: Optional[socket.socket] = self._connection.sock or _socket_of(self._response)
        self.patience(_SILENCE)

    def patience(self, seconds: float) -> None:
        """How long the next event, or sign of life, may take."""
        if self._socket is not None:
            self._socket.settimeout(max(seconds, 0.01))

    def lines(self) -> Iterator[str]:
        """Lines as they come; an empty one ends an event, and one that begins with ``:`` is a sign of life."""
        while True:
            try:
                line = self._response.readline()
            except socket.timeout as error:
                raise TimeoutError("no event in time") from error
            except (OSError, ValueError, AttributeError, http.client.HTTPException):
                return
            if not line:
                return
            yield line.decode("utf-8", "replace").rstrip("\r\n")

    def __next__(self) -> dict[str, Any]:
        for line in self.lines():
            if line.startswith("data:"):
                found = json.loads(line[5:])
                if isinstance(found, dict):
                    return found
        raise StopIteration

    def close(self) -> None:
        """Stops listening, also for a thread that waits for the next event."""
        if self._socket is not None:
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self._connection.close()


def _socket_of(response: http.client.HTTPResponse) -> Optional[socket.socket]:
    raw = getattr(getattr(response, "fp", None), "raw", None)
    found = getattr(raw, "_sock", None)
    return found if isinstance(found, socket.socket) else None


def _json(text: bytes, address: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ProgramError(f"what answers at {address} is no konsil ui: its answer is no JSON") from error


def _problem(status: int, text: bytes, path: str) -> KonsilError:
    try:
        told = json.loads(text)
        return error_of(str(told.get("code", "")), str(told.get("detail") or told.get("title")), status)
    except (ValueError, AttributeError):
        return error_of("", f"{path} was answered with HTTP {status}", status)
