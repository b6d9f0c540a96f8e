"""What can go wrong. Each error says what happened, where, and what to do."""

from __future__ import annotations

import re
from typing import Optional

_CODE = re.compile(r"^K\d{4}$")


class KonsilError(Exception):
    """An error with a code of the program, as far as there is one.

    ``code`` is the code (``"K0203"``, or empty), ``text`` says what happened, ``status`` is the HTTP status
    (0 without), ``hint`` what to do.
    """

    def __init__(self, text: str, *, code: str = "", status: int = 0, hint: str = "") -> None:
        self.code = code
        self.text = text
        self.status = status
        explain = f"konsil explain {code}" if _CODE.match(code) else ""
        self.hint = hint or explain
        super().__init__(str(self))

    def __str__(self) -> str:
        head = f"{self.code} {self.text}".strip()
        return f"{head}\n  {self.hint}" if self.hint else head


class StudyError(KonsilError):
    """The study, a formula, a condition or an option cannot be used as it is written."""


class Withheld(KonsilError):
    """Disclosure control has withheld a result: only this fact is released."""


class Refused(KonsilError):
    """A centre, its steward, its policy or a privacy budget says no."""


class NetworkError(KonsilError):
    """A run broke down between centres, dealer and researcher."""


class Unreachable(NetworkError):
    """A centre, the dealer or the program ``konsil ui`` does not answer."""


class NotSignedIn(KonsilError):
    """The token is missing or another one."""


class ProgramError(KonsilError):
    """The program ``konsil`` is not there or does not start."""


class Cancelled(KonsilError):
    """The job was cancelled."""


class Missing(KonsilError):
    """There is no such job, file, table, figure or analysis."""


# codes of parties that do not answer, among those of the network
_AWAY = {"K0411", "K0412", "K0421", "K0424"}


def _kind_of(code: str, status: int) -> type[KonsilError]:
    if code == "K0905" or status in (401, 403):
        return NotSignedIn
    if code == "K0906" or status == 404:
        return Missing
    if code in _AWAY:
        return Unreachable
    if code.startswith("K04"):
        return NetworkError
    if code.startswith("K05"):
        return Withheld
    if code.startswith("K06"):
        return Refused
    if code[:3] in ("K02", "K03", "K07") or status in (400, 422):
        return StudyError
    return KonsilError


def error_of(code: str, text: str, status: int = 0) -> KonsilError:
    """The error of a code."""
    # a formula's error is drawn as on a terminal, with the code once more
    text = text.removeprefix(f"error[{code}]: ")
    if code == "K0905" and status == 401:
        hint = "give the token of the file ui.token, second line; it changes with each start of konsil ui"
        return NotSignedIn(text, code=code, status=status, hint=hint)
    return _kind_of(code, status)(text, code=code, status=status)


def did_you_mean(word: str, known: list[str]) -> str:
    """``; did you mean `cox`?``, or nothing."""
    # imported late: difflib is slow to load and only errors need it
    import difflib

    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean `{near[0]}`?" if near else ""


def extra_missing(library: str, extra: str) -> ImportError:
    """The error of a library that is not installed."""
    return ImportError(
        f"this needs the library {library}: install it with  pip install 'konsil[{extra}]'  or  pip install {library}"
    )


def text_of(error: Optional[KonsilError]) -> str:
    """Code and words on one line."""
    return "" if error is None else f"{error.code} {error.text}".strip()
