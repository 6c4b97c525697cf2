"""`scaling predict`."""

from __future__ import annotations

from scaling.errors import ForetuneError

__all__ = ["predict"]


def predict() -> None:
    """Ask a law about one point or a table of points."""
    raise ForetuneError("not built yet")
