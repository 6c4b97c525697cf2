"""How many testing seeds a difference this large needs, and how large a difference this many seeds can
show.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

__all__ = ["detectable_difference", "effect_size", "seeds_needed", "seeds_needed_for_rank"]

#: Beyond this many seeds the answer is "more than anyone will run".
MOST = 100_000


def effect_size(first: ArrayLike, second: ArrayLike, *, paired: bool) -> float:
    """Cohen's d of the difference: d_z of paired runs, else with the pooled standard deviation.

    NaN where it is not defined: a failed run, fewer than two runs, or no spread at all.
    """
    left, right = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if min(len(left), len(right)) < 2 or not (np.isfinite(left).all() and np.isfinite(right).all()):
        return math.nan
    difference = float(left.mean() - right.mean())
    if paired:
        spread = float((left - right).std(ddof=1))
    else:
        squares = (len(left) - 1) * left.var(ddof=1) + (len(right) - 1) * right.var(ddof=1)
        spread = math.sqrt(squares / (len(left) + len(right) - 2))
    return difference / spread if spread > 0 else math.nan


def seeds_needed(effect: float, *, paired: bool, power: float = 0.8, alpha: float = 0.05) -> int | None:
    """Testing seeds for each method at which a two-sided t test finds a difference of this size.

    Args:
        effect: Cohen's d (:func:`effect_size`).
        paired: Whether both methods run the same seeds.
        power: Probability of finding it.
        alpha: Probability of finding one where there is none.

    Returns:
        At least 2; ``None`` where the effect is undefined or needs more than :data:`MOST`.
    """
    if not math.isfinite(effect) or effect == 0:
        return None
    low, high = 2, 4
    while _t_power(effect, high, paired, alpha) < power:
        low, high = high, 2 * high
        if high > MOST:
            return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _t_power(effect, middle, paired, alpha) >= power else (middle + 1, high)
    return low


def seeds_needed_for_rank(probability: float, *, power: float = 0.8, alpha: float = 0.05) -> int | None:
    """Testing seeds for each method at which the Wilcoxon-Mann-Whitney test finds this probability of
    improvement.

    ``N = (z_{1-alpha/2} + z_{power})^2 / (12 c (1 - c) (p - 1/2)^2)`` runs in total with shares ``c = 1/2``
    (Noether 1987, "Sample Size Determination for Some Common Nonparametric Tests", formula for equal
    allocation). Takes failed runs as they are, the lowest rank.
    """
    if probability == 0.5:
        return None
    quantiles = stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(power)
    total = quantiles**2 / (3 * (probability - 0.5) ** 2)
    needed = math.ceil(total / 2)
    return max(2, needed) if needed <= MOST else None


def detectable_difference(
    spread: float, seeds: int, *, paired: bool, power: float = 0.8, alpha: float = 0.05
) -> float:
    """Smallest difference that ``seeds`` testing seeds find with probability ``power``.

    Args:
        spread: Standard deviation over seeds: of the differences where ``paired``, else of one method.
        seeds: Testing seeds for each method.
        paired: Whether both methods run the same seeds.
        power: As in :func:`seeds_needed`.
        alpha: As in :func:`seeds_needed`.
    """
    from scipy.optimize import brentq

    if seeds < 2:
        return math.inf
    effect = brentq(lambda size: _t_power(size, seeds, paired, alpha) - power, 1e-9, 30.0)
    return float(effect) * spread


def _t_power(effect: float, seeds: int, paired: bool, alpha: float) -> float:
    """Power of the two-sided t test, from the noncentral t distribution."""
    freedom = seeds - 1 if paired else 2 * seeds - 2
    shift = abs(effect) * math.sqrt(seeds if paired else seeds / 2)
    critical = stats.t.ppf(1 - alpha / 2, freedom)
    upper = float(stats.nct.sf(critical, freedom, shift))
    # The wrong tail is below 1e-9 there, and scipy gives NaN for it.
    return upper if shift > 6 else upper + float(stats.nct.cdf(-critical, freedom, shift))
