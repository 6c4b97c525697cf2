"""`scaling backtest`."""

from __future__ import annotations

from scaling.errors import ForetuneError

__all__ = ["backtest"]


def backtest() -> None:
    """How well would this law have predicted its own largest runs?"""
    raise ForetuneError("not built yet")
