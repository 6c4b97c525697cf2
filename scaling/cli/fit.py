"""`scaling fit`."""

from __future__ import annotations

from scaling.errors import ForetuneError

__all__ = ["fit"]


def fit() -> None:
    """Fit a law to a runs table."""
    raise ForetuneError("not built yet")
