"""How reports write numbers: few digits, and prefixes that people who train models use (1.4B, 900M)."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["count", "number", "percent", "show"]

_PREFIXES = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


def number(value: float, digits: int = 4) -> str:
    """``value`` to ``digits`` significant digits: ``0.03125``, ``2143``, ``5.76e23``."""
    if not math.isfinite(value):
        return "not finite"
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    if -4 <= magnitude < max(digits, 6):
        text = f"{value:.{max(digits - 1 - magnitude, 0)}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}e{int(exponent)}"


def count(value: float, digits: int = 3) -> str:
    """Parameters and tokens as people say them: ``1.4B``, ``900M``; beyond 1,000T in powers of ten."""
    if not math.isfinite(value) or abs(value) < 1e4 or abs(value) >= 1e15:
        return number(value, digits)
    for size, prefix in _PREFIXES:
        if abs(value) >= size:
            return f"{number(value / size, digits)}{prefix}"
    return number(value, digits)


def percent(value: float, digits: int = 2) -> str:
    """A fraction as per cent: ``0.0372`` is ``3.7 %``."""
    return f"{number(100 * value, digits)} %" if math.isfinite(value) else "not finite"


def show(value: Any) -> str:
    """A table cell: floats to four significant digits, whole numbers with thousands separators, ``None`` as a dash."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if hasattr(value, "item") and not isinstance(value, str):  # numpy scalars
        value = value.item()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return number(value)
    return str(value)
