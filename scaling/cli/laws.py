"""`scaling laws`."""

from __future__ import annotations

from scaling.errors import ForetuneError

__all__ = ["laws"]


def laws() -> None:
    """Every law known, fitted or published, with its citation."""
    raise ForetuneError("not built yet")
