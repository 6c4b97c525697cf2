"""How reports say configurations, intervals and counts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from hpo.replay import SCHEDULE, describe
from hpo.statistics import Interval
from scaling.report.numbers import number, show

__all__ = ["bounds", "configuration", "interval", "ranges"]


def configuration(config: Mapping[str, Any], names: Any = None) -> str:
    """``lr=0.003 batch_size=8192``, of all values or of those named."""
    chosen = config if names is None else {name: config[name] for name in names if name in config}
    return " ".join(
        f"({describe(value)})" if name == SCHEDULE else f"{name}={show(value).replace(',', '')}"
        for name, value in chosen.items()
    )


def interval(found: Interval | None) -> str:
    """``0.52 [0.41, 0.63]``, or that failures leave it undefined."""
    if found is None:
        return "–"
    if not math.isfinite(found.value):
        return "undefined: runs failed"
    return f"{number(found.value)} {bounds(found)}".strip()


def bounds(found: Interval) -> str:
    """``[0.41, 0.63]``; says so where there is no interval."""
    if not (math.isfinite(found.low) and math.isfinite(found.high)):
        return (
            "(no interval)"
            if math.isnan(found.low) or found.low == -math.inf == -found.high
            else "(open interval)"
        )
    return f"[{number(found.low, 3)}, {number(found.high, 3)}]"


def ranges(seeds: Iterable[int]) -> str:
    """``0, 2, 100–109``."""
    parts: list[list[int]] = []
    for seed in sorted(set(seeds)):
        if parts and seed == parts[-1][-1] + 1:
            parts[-1].append(seed)
        else:
            parts.append([seed])
    return (
        ", ".join(f"{part[0]}–{part[-1]}" if len(part) > 2 else ", ".join(map(str, part)) for part in parts)
        or "none"
    )
