"""`scaling plan`."""

from __future__ import annotations

from scaling.errors import ForetuneError

__all__ = ["plan"]


def plan() -> None:
    """The next runs to make for a target."""
    raise ForetuneError("not built yet")
