"""What makes a fit untrustworthy, each pitfall a named check in words that a person can act on.

:func:`run_checks` looks at a fit, :func:`check_runs` at a table alone, :func:`check_prediction` at a question put to a
fit. :data:`CHECKS` lists them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from scaling.checks.base import Check, Severity
from scaling.checks.registry import CHECKS, Entry, Kind

if TYPE_CHECKING:
    from scaling.fitted import FittedLaw
    from scaling.laws import Law
    from scaling.runs import Runs

__all__ = ["Check", "Severity", "all_checks", "check_prediction", "check_runs", "run_checks"]

#: Modules that register checks, imported when a check is first run: they need numpy and more.
_ROOMS = ("table", "fit", "influence", "prediction")


def all_checks(kind: Kind | None = None) -> list[Entry]:
    """Every check, or those that look at ``runs``, at a ``fit`` or at a ``prediction``."""
    for room in _ROOMS:
        import_module(f"scaling.checks.{room}")
    return [entry for entry in CHECKS.values() if kind in (None, entry.kind)]


def check_runs(runs: Runs, law: Law | None = None) -> list[Check]:
    """What a table shows before anything is fitted.

    Args:
        runs: The table.
        law: Which law it is for; some checks need to know.
    """
    return [fired for entry in all_checks("runs") for fired in entry(runs.frame, law)]


def run_checks(fitted: FittedLaw) -> list[Check]:
    """What makes a fit less trustworthy: checks of its runs, its optimum, its parameters and its "
    "influential runs."""
    frame = fitted.frame.assign(
        **{name: column for name, column in fitted.inputs.items() if name not in fitted.frame}
    )
    found = [fired for entry in all_checks("runs") for fired in entry(frame, fitted.law)]
    return found + [fired for entry in all_checks("fit") for fired in entry(fitted)]


def check_prediction(fitted: FittedLaw, inputs: Mapping[str, Any]) -> list[Check]:
    """How far a question lies from the runs that a law was fitted to.

    Args:
        fitted: The law.
        inputs: Columns of the question, numbers or arrays.
    """
    return [fired for entry in all_checks("prediction") for fired in entry(fitted, inputs)]
