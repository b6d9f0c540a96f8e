"""Konsil: medical centres analyse their patients' data together without showing each other a single patient.

>>> import konsil as k
>>> net = k.connect("lab")
>>> study = net.study("first", where="age >= 18")
>>> res = study.run(study.summary("age"))
"""

from .errors import (
    Cancelled,
    KonsilError,
    Missing,
    NetworkError,
    NotSignedIn,
    ProgramError,
    Refused,
    StudyError,
    Unreachable,
    Withheld,
)
from .figure import Figure
from .job import Job
from .network import Dictionary, Network, Variable, connect
from .outcome import Cox, KaplanMeier, Model, Outcome
from .plan import Plan
from .result import Result
from .study import Analysis, ExactWarning, Study
from .table import Named, Table

__version__ = "0.1.0"

__all__ = [
    "Analysis",
    "Cancelled",
    "Cox",
    "Dictionary",
    "ExactWarning",
    "Figure",
    "Job",
    "KaplanMeier",
    "KonsilError",
    "Missing",
    "Model",
    "Named",
    "Network",
    "NetworkError",
    "NotSignedIn",
    "Outcome",
    "Plan",
    "ProgramError",
    "Refused",
    "Result",
    "Study",
    "StudyError",
    "Table",
    "Unreachable",
    "Variable",
    "Withheld",
    "connect",
]
