"""`scaling allocate`."""

from __future__ import annotations

from scaling.errors import ForetuneError

__all__ = ["allocate"]


def allocate() -> None:
    """Compute-optimal parameters and tokens for a budget."""
    raise ForetuneError("not built yet")
