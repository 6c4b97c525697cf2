"""`hpo compare`."""

from __future__ import annotations

from scaling.errors import ForetuneError

__all__ = ["compare"]


def compare() -> None:
    """Methods or configurations against each other, on testing seeds."""
    raise ForetuneError("not built yet")
