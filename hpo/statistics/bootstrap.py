"""Stratified bootstrap intervals: runs are drawn again within each task, and seed by seed where two methods
share seeds.

Percentile intervals of ten runs are too short: at a nominal 95 % they cover about 90 %. The levels are
therefore widened to those that a t interval would need (Hesterberg 2015, "What Teachers Should Know About the
Bootstrap", section 4.2, the *expanded* percentile interval); ``tests/hpo/statistics/test_bootstrap.py``
measures the coverage.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from hpo.statistics.measures import performance_profile

__all__ = ["Interval", "draw", "from_replicates", "interval", "paired_interval", "profile_band"]

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
#: Measures along the last axis: ``(replicates, runs) -> (replicates,)``.
Measure = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Interval:
    """An estimate with the interval that claims to hold the true value in ``level`` of all repetitions.

    ``value`` is not finite where failures leave it undefined; ``low`` and ``high`` likewise. One run has no
    interval.
    """

    value: float
    low: float
    high: float
    level: float = 0.95

    def __str__(self) -> str:
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"

    def excludes(self, value: float) -> bool:
        """Whether ``value`` lies outside, as zero does for a difference that is clear."""
        return bool(self.low > value or self.high < value)

    def mapped(self, function: Callable[[float], float]) -> Interval:
        """Through a monotone function, falling ones included."""
        low, high = sorted((function(self.low), function(self.high)))
        return Interval(function(self.value), low, high, self.level)


def draw(sizes: Sequence[int], replicates: int, rng: np.random.Generator) -> list[Indices]:
    """Indices drawn with replacement within each stratum: an array ``(replicates, size)`` for each of
    ``sizes``.
    """
    return [rng.integers(0, size, size=(replicates, size)) for size in sizes]


def from_replicates(
    value: float, replicates: ArrayLike, runs: int, level: float, strata: int = 1
) -> Interval:
    """The expanded percentile interval of bootstrap ``replicates`` of an estimate from ``runs`` runs in
    ``strata``.
    """
    freedom = runs - strata
    if freedom < 1:
        return Interval(value, -math.inf, math.inf, level)
    tail = stats.norm.cdf(math.sqrt(runs / freedom) * stats.t.ppf((1 - level) / 2, freedom))
    # Replicates may be infinite where failures were drawn often; these order statistics need no arithmetic on
    # them.
    low, high = np.quantile(np.asarray(replicates), [tail, 1 - tail], method="inverted_cdf")
    return Interval(value, float(low), float(high), level)


def interval(
    measure: Measure,
    scores: Sequence[ArrayLike],
    *,
    level: float = 0.95,
    replicates: int = 5000,
    seed: int = 0,
) -> Interval:
    """Interval of a measure over all runs of all tasks.

    Args:
        measure: Such as :func:`hpo.statistics.interquartile_mean`.
        scores: One array of runs for each task; the same normalisation in each, since they are pooled.
        level: Coverage to claim.
        replicates: Bootstrap draws.
        seed: Of the draws.
    """
    strata = [np.asarray(runs, dtype=float) for runs in scores]
    indices = draw([len(runs) for runs in strata], replicates, np.random.default_rng(seed))
    drawn = np.concatenate([runs[index] for runs, index in zip(strata, indices, strict=True)], axis=1)
    pooled = np.concatenate(strata)
    value = float(measure(pooled[None, :])[0])
    return from_replicates(value, measure(drawn), len(pooled), level, len(strata))


def paired_interval(
    statistic: Callable[[list[Floats], list[Floats]], Floats],
    first: Sequence[ArrayLike],
    second: Sequence[ArrayLike],
    *,
    paired: bool,
    level: float = 0.95,
    replicates: int = 5000,
    seed: int = 0,
) -> Interval:
    """Interval of a statistic of two methods, such as the difference of their interquartile means.

    Args:
        statistic: Takes, for each method, a list of ``(replicates, runs)`` arrays by task; returns
            ``(replicates,)``.
        first: Scores of one method, one array for each task.
        second: The other's.
        paired: Whether run ``i`` of both had the same seed: then seeds are drawn, and both methods keep them.
        level: Coverage to claim.
        replicates: Bootstrap draws.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    left = [np.asarray(runs, dtype=float) for runs in first]
    right = [np.asarray(runs, dtype=float) for runs in second]
    chosen_left = draw([len(runs) for runs in left], replicates, rng)
    chosen_right = chosen_left if paired else draw([len(runs) for runs in right], replicates, rng)
    with np.errstate(invalid="ignore"):  # -inf less -inf: both failed, and no difference can be told
        drawn = statistic(
            [runs[index] for runs, index in zip(left, chosen_left, strict=True)],
            [runs[index] for runs, index in zip(right, chosen_right, strict=True)],
        )
        value = float(statistic([runs[None, :] for runs in left], [runs[None, :] for runs in right])[0])
    told = drawn[~np.isnan(drawn)]
    if math.isnan(value) or not len(told):
        return Interval(math.nan, math.nan, math.nan, level)
    if paired:
        return from_replicates(value, told, sum(map(len, left)), level, len(left))
    # Independent samples bring the freedom of both.
    return from_replicates(value, told, sum(map(len, left + right)), level, 2 * len(left))


def profile_band(
    scores: Sequence[ArrayLike],
    thresholds: ArrayLike,
    *,
    level: float = 0.95,
    replicates: int = 2000,
    seed: int = 0,
) -> tuple[Floats, Floats, Floats]:
    """A performance profile with its pointwise band: fraction, low, high at each threshold."""
    strata = [np.asarray(runs, dtype=float) for runs in scores]
    indices = draw([len(runs) for runs in strata], replicates, np.random.default_rng(seed))
    drawn = np.concatenate([runs[index] for runs, index in zip(strata, indices, strict=True)], axis=1)
    profile = performance_profile(np.concatenate(strata), thresholds)
    replicated = np.stack(
        [performance_profile(drawn, [threshold])[:, 0] for threshold in np.ravel(thresholds)], 1
    )
    low, high = np.quantile(replicated, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return profile, low, high
