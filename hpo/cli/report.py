"""`hpo report`."""

from __future__ import annotations

from scaling.errors import ForetuneError

__all__ = ["report"]


def report() -> None:
    """One self-contained page about a study."""
    raise ForetuneError("not built yet")
