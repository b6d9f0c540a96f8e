"""Finding a network, and the ``konsil ui`` that speaks for it: a running one, or one that is started here."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import os
import re
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO, Any, Iterator, Optional

from ._http import Service, address_of
from .errors import KonsilError, Missing, ProgramError, StudyError, did_you_mean

# seconds that konsil ui has to say where it listens
_START_MOST = 30.0
# seconds that it has to end before it is killed
_END_MOST = 5.0
_TOKEN_FILE = "ui.token"
_MARK = "network.sha256"


def _xdg(name: str, otherwise: str) -> Path:
    given = os.environ.get(name, "")
    return Path(given) if given else Path.home() / otherwise


def _networks() -> Path:
    return _xdg("XDG_CONFIG_HOME", ".config") / "konsil" / "networks"


def network_file(network: "str | os.PathLike[str]") -> Path:
    """The network file of a file, a lab's folder or a name."""
    named = Path(network).expanduser()
    for path in (named, Path(f"{named}.toml")):
        if path.is_file():
            return path.absolute()
    if named.is_dir():
        inside = named / "network.toml"
        if inside.is_file():
            return inside.absolute()
        raise Missing(f"the folder {named} has no network.toml", hint="is it a lab?  konsil lab new LAB")
    known = sorted(it.stem for it in _networks().glob("*.toml"))
    if str(named) in known:
        return _networks() / f"{named}.toml"
    here = sorted(it.parent.name for it in Path.cwd().glob("*/network.toml"))
    text = f"there is no network `{network}`{did_you_mean(str(network), known + here)}"
    raise Missing(text, hint="name a network file, a lab's folder, or a file of " + str(_networks()))


def studies_folder(network: Path) -> Path:
    """Where studies and results of a network are kept unless a folder is given: beside its file."""
    beside = network.parent
    if beside != _networks() and os.access(beside, os.W_OK):
        return beside / "konsil-studies"
    return _xdg("XDG_DATA_HOME", ".local/share") / "konsil" / f"{network.stem}-{_mark_of(network)[:8]}"


def _mark_of(network: Path) -> str:
    """What tells one network from another: its name and the dealer's and centres' keys."""
    text = network.read_text(encoding="utf-8", errors="replace")
    facts = re.findall(r'^\s*(?:network|key)\s*=\s*"([^"]*)"', text, re.MULTILINE)
    return hashlib.sha256("\n".join(sorted(facts)).encode()).hexdigest()


def running(folder: Path) -> Optional[Service]:
    """The ``konsil ui`` of a folder, if it answers."""
    try:
        address, token = (folder / _TOKEN_FILE).read_text(encoding="utf-8").split()
        service = Service(*address_of(address, token))
        # another program may have the port by now
        return service if isinstance(service.get("/api/v1/analyses"), list) else None
    except (OSError, ValueError, KonsilError):
        return None


def _program(given: Optional[str]) -> str:
    wanted = given or os.environ.get("KONSIL_PROGRAM") or "konsil"
    found = shutil.which(os.path.expanduser(wanted))
    if found is None:
        hint = "put konsil on the PATH, or name it in the variable KONSIL_PROGRAM or by connect(.., program=..)"
        raise ProgramError(f"there is no program `{wanted}`", hint=hint)
    return found


class Child:
    """A ``konsil ui`` that was started here, and ends with this process."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        atexit.register(self.close)

    def close(self) -> None:
        """Ends it."""
        atexit.unregister(self.close)
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_END_MOST)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


@contextlib.contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Of two programs that start at once the second finds the first one's ``konsil ui``: two on one folder
    would both run what waits there."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with open(folder / "python.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def service_of(network: Path, folder: Path, program: Optional[str]) -> tuple[Service, Optional[Child]]:
    """A running ``konsil ui`` of the folder, or a new one."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StudyError(f"the folder {folder} for studies cannot be made: {error.strerror}") from error
    with _one_at_a_time(folder):
        service = running(folder)
        mark = folder / _MARK
        if service is not None:
            if mark.is_file() and mark.read_text(encoding="utf-8").strip() != _mark_of(network):
                text = f"the konsil ui that runs in {folder} is of another network than {network}"
                raise StudyError(text, hint="give another folder:  konsil.connect(.., folder=..)")
            return service, None
        service, child = _start(network, folder, _program(program))
        mark.write_text(_mark_of(network) + "\n", encoding="utf-8")
        return service, child


def _start(network: Path, folder: Path, program: str) -> tuple[Service, Child]:
    command = [program, "ui", "--network", str(network), "--folder", str(folder)]
    command += ["--no-browser", "--listen", "127.0.0.1:0", "--json"]
    with tempfile.TemporaryFile() as told:
        try:
            # a session of its own: Ctrl-C in a notebook or shell ends a call, not what runs there
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=told, start_new_session=True
            )
        except OSError as error:
            raise ProgramError(f"{program} cannot be started: {error.strerror}") from error
        child = Child(process)
        line = _first_line(process)
        try:
            service = Service(*address_of(json.loads(line)["url"], None))
            service.get("/api/v1/analyses")
            return service, child
        except (ValueError, KeyError, TypeError) as error:
            child.close()
            raise ProgramError(f"konsil ui did not start: {_told(told)}") from error
        except KonsilError:
            child.close()
            raise


def _first_line(process: "subprocess.Popen[bytes]") -> bytes:
    stream: Optional[IO[bytes]] = process.stdout
    end = time.monotonic() + _START_MOST
    while stream is not None and time.monotonic() < end:
        ready: list[Any] = [stream]
        if os.name == "posix":
            ready = select.select([stream], [], [], 0.2)[0]
        if ready:
            return stream.readline()
    return b""


def _told(stream: IO[bytes]) -> str:
    stream.seek(0)
    text = stream.read().decode("utf-8", "replace").strip()
    return text or "it said nothing within half a minute"
