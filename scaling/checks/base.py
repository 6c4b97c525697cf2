"""What a check says: its name, how bad it is, what was seen and what to do about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["Check", "Severity"]

Severity = Literal["info", "warning", "error"]


@dataclass(frozen=True)
class Check:
    """One thing that makes a fit less trustworthy, in words a person can act on.

    Attributes:
        name: Stable identifier, such as ``warmup-longer-than-a-fifth``.
        severity: ``info`` (good to know), ``warning`` (read before you trust), ``error`` (do not trust).
        message: What was seen, with numbers, and what to do about it.
        details: Numbers behind the message, JSON-serialisable.
    """

    name: str
    severity: Severity
    message: str
    details: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """As stored in a law file."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Check:
        """Back from a law file."""
        return cls(**stored)
