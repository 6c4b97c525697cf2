"""One list of all checks: each has a name, one function, and looks at a table, a fit or a prediction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from scaling.checks.base import Check, Severity

__all__ = ["CHECKS", "Entry", "Finding", "Kind", "check"]

Kind = Literal["runs", "fit", "prediction"]


@dataclass(frozen=True)
class Finding:
    """What a check saw; :class:`Check` without its name."""

    severity: Severity
    message: str
    details: dict[str, Any] | None = None


@dataclass(frozen=True)
class Entry:
    """A check in the registry.

    Attributes:
        name: Its identifier, written into law files.
        kind: What it looks at.
        summary: What it looks for, in one line.
        function: Returns a finding, or ``None`` where all is well. Checks of runs get ``(table, law)`` (law may be
            ``None``), of fits ``(fitted,)``, of predictions ``(fitted, columns)``.
    """

    name: str
    kind: Kind
    summary: str
    function: Callable[..., Finding | None]

    def __call__(self, *arguments: Any) -> list[Check]:
        """The check that fired, or nothing."""
        found = self.function(*arguments)
        return [] if found is None else [Check(self.name, found.severity, found.message, found.details)]


#: name -> check, in the order they are run.
CHECKS: dict[str, Entry] = {}


def check(name: str, kind: Kind) -> Callable[[Callable[..., Finding | None]], Callable[..., Finding | None]]:
    """Put the decorated function into :data:`CHECKS`; the first line of its docstring is the summary."""

    def register(function: Callable[..., Finding | None]) -> Callable[..., Finding | None]:
        assert function.__doc__, f"{name} needs a docstring"
        CHECKS[name] = Entry(name, kind, function.__doc__.strip().splitlines()[0], function)
        return function

    return register
