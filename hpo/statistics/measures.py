"""Measures over runs: interquartile mean, median, optimality gap, probability of improvement, performance
profiles.

Definitions are those of Agarwal, Schwarzer, Castro, Courville, Bellemare, "Deep Reinforcement Learning at the
Edge of the Statistical Precipice" (NeurIPS 2021, arXiv 2108.13264), here for any number of runs in each task.
Every function takes oriented scores (:func:`oriented`) and measures along the last axis, so that bootstrap
replicates go in at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "FAILED",
    "interquartile_mean",
    "mean",
    "median",
    "optimality_gap",
    "oriented",
    "performance_profile",
    "probability_of_improvement",
    "wins",
]

#: A run without a value, among scores: it ranks below every number. A measure that would have to add it says
#: ``-inf``.
FAILED = -np.inf

Floats = NDArray[np.float64]


def oriented(values: Iterable[float | None], direction: str) -> Floats:
    """Values made scores: larger is better, and what is not a finite number is :data:`FAILED`.

    Args:
        values: A metric in its own direction; ``None`` or a value that is not finite is a run that failed.
        direction: ``minimize`` or ``maximize``.
    """
    if direction not in ("minimize", "maximize"):
        raise ValueError(f"direction is 'minimize' or 'maximize', not {direction!r}")
    numbers = np.array([np.nan if value is None else value for value in values], dtype=float)
    signed = numbers if direction == "maximize" else -numbers
    return np.where(np.isfinite(signed), signed, FAILED)


def interquartile_mean(scores: ArrayLike) -> Any:
    """Mean of the middle half along the last axis: a quarter of the runs, rounded down, is left out at each
    end.

    As ``scipy.stats.trim_mean(scores, 0.25)``. Failed runs are the first to be left out; more of them than a
    quarter make it ``-inf``.
    """
    ordered = np.sort(np.asarray(scores, dtype=float), axis=-1)
    cut = ordered.shape[-1] // 4
    return ordered[..., cut : ordered.shape[-1] - cut].mean(axis=-1)


def median(scores: ArrayLike) -> Any:
    """Median along the last axis; ``-inf`` where half of the runs failed."""
    ordered = np.sort(np.asarray(scores, dtype=float), axis=-1)
    count = ordered.shape[-1]
    return (ordered[..., (count - 1) // 2] + ordered[..., count // 2]) / 2


def mean(scores: ArrayLike) -> Any:
    """Mean along the last axis; ``-inf`` where any run failed. There is no mean of the survivors here."""
    return np.asarray(scores, dtype=float).mean(axis=-1)


def optimality_gap(scores: ArrayLike, target: float) -> Any:
    """How far runs stay below ``target`` on average, runs above it counting as having reached it (smaller is
    better).

    ``inf`` where any run failed: how far a failed run is from the target, nobody knows.
    """
    return np.maximum(target - np.asarray(scores, dtype=float), 0.0).mean(axis=-1)


def wins(first: ArrayLike, second: ArrayLike) -> Floats:
    """Matrix of shape ``(len(first), len(second))``: 1 where the first is better, 1/2 where they tie, else
    0.
    """
    left, right = np.asarray(first, dtype=float)[:, None], np.asarray(second, dtype=float)[None, :]
    return np.asarray((left > right) + 0.5 * (left == right), dtype=float)


def probability_of_improvement(first: Sequence[ArrayLike], second: Sequence[ArrayLike]) -> float:
    """P(a run of the first is better than a run of the second), ties counted half, averaged over tasks.

    Args:
        first: Scores of one method: one array of runs for each task.
        second: The other's, in the same order of tasks.
    """
    return float(np.mean([wins(left, right).mean() for left, right in zip(first, second, strict=True)]))


def performance_profile(scores: ArrayLike, thresholds: ArrayLike) -> Floats:
    """Fraction of runs strictly above each threshold: shape ``(..., len(thresholds))`` (Dolan & Moré
    2002).
    """
    above = np.asarray(scores, dtype=float)[..., None, :] > np.asarray(thresholds, dtype=float)[:, None]
    return np.asarray(above.mean(axis=-1))
