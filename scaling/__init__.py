"""Fit scaling laws to training runs, predict with intervals that hold, plan the next runs.

>>> import scaling
>>> answer = scaling.predict("step-law", params=7e9, tokens=1.4e12)

Knows nothing of Ray, Optuna or training. Heavy imports wait until they are used, so that a published law answers
at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from scaling.errors import ForetuneError, InputError

if TYPE_CHECKING:
    from scaling.api import fit, load, plan, predict
    from scaling.checks import Check
    from scaling.runs import Runs, load_runs

__all__ = ["Check", "ForetuneError", "InputError", "Runs", "fit", "load", "load_runs", "plan", "predict"]

_LAZY = {
    "fit": "scaling.api",
    "load": "scaling.api",
    "plan": "scaling.api",
    "predict": "scaling.api",
    "Check": "scaling.checks",
    "Runs": "scaling.runs",
    "load_runs": "scaling.runs",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'scaling' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
