"""Quality against cost: a method as a strict change of one number at the same value of the other.

The baseline is measured at several training lengths. Its quality, made monotone in cost by isotonic
regression and interpolated monotonically (PCHIP, Fritsch & Carlson 1980) over log cost, is the curve a method
must lie above: so much better at equal cost, or so many times cheaper at equal quality. Outside the lengths
measured nothing is claimed but a bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import PchipInterpolator
from scipy.optimize import isotonic_regression

from hpo.statistics.bootstrap import Interval, from_replicates
from hpo.statistics.measures import interquartile_mean

__all__ = ["CostCurve", "Point", "TradeOff", "trade_off"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Point:
    """Runs at one cost.

    Attributes:
        name: As shown.
        cost: Of one run: seconds, steps, FLOPs, whatever all points share; positive.
        scores: Oriented scores over testing seeds (:func:`hpo.statistics.oriented`).
    """

    name: str
    cost: float
    scores: Sequence[float]


class CostCurve:
    """A baseline's quality as a function of its cost, rising.

    Args:
        costs: Of the points measured, positive, two or more different ones.
        qualities: Their quality, larger is better; finite.
    """

    def __init__(self, costs: ArrayLike, qualities: ArrayLike) -> None:
        order = np.argsort(np.asarray(costs, dtype=float), kind="stable")
        self.costs = np.asarray(costs, dtype=float)[order]
        if len(np.unique(self.costs)) < len(self.costs) or len(self.costs) < 2 or self.costs[0] <= 0:
            raise ValueError("a quality-cost curve needs two or more different, positive costs")
        self.qualities = np.asarray(isotonic_regression(np.asarray(qualities, dtype=float)[order]).x)
        self._quality = PchipInterpolator(np.log(self.costs), self.qualities, extrapolate=False)

    def quality_at(self, cost: ArrayLike) -> Floats:
        """Quality at a cost; NaN outside the costs measured."""
        return np.asarray(self._quality(np.log(np.asarray(cost, dtype=float))))

    def cost_at(self, quality: float) -> float:
        """Least cost that reaches a quality; ``inf`` beyond the best measured, 0 below the cheapest."""
        if quality > self.qualities[-1]:
            return float("inf")
        if quality <= self.qualities[0]:
            return float(self.costs[0]) if quality == self.qualities[0] else 0.0
        # The first piece that rises to it; flat pieces before it do not reach it. A cubic has no handier inverse.
        piece = int(np.searchsorted(self.qualities, quality, side="left"))
        low, high = np.log(self.costs[piece - 1]), np.log(self.costs[piece])
        for _ in range(35):
            middle = (low + high) / 2
            low, high = (low, middle) if float(self._quality(middle)) >= quality else (middle, high)
        return float(np.exp(high))


@dataclass(frozen=True)
class TradeOff:
    """A method against the baseline's curve.

    Attributes:
        name: The method.
        cost: Of one run of it.
        quality: Its interquartile mean, oriented.
        better: Quality gained at equal cost; ``None`` where the baseline was not measured around that cost.
        cheaper: Times cheaper at equal quality; ``None`` below the baseline's cheapest point. Where the
            baseline never gets there, ``low`` is what the longest baseline shows and ``high`` is infinite.
        above: Whether the point lies above the curve: ``yes`` or ``no`` where the interval is clear of it,
            ``unclear``.
        statement: In a sentence.
    """

    name: str
    cost: float
    quality: float
    better: Interval | None
    cheaper: Interval | None
    above: str
    statement: str


def trade_off(
    method: Point, baseline: Sequence[Point], *, level: float = 0.95, replicates: int = 1000, seed: int = 0
) -> TradeOff:
    """A strict change of one number at the same value of the other, with its interval.

    Args:
        method: The point to judge.
        baseline: The baseline at two or more costs.
        level: Coverage of the intervals.
        replicates: Bootstrap draws, of the seeds of the method and of each of the baseline's points.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    costs = [point.cost for point in baseline]
    quality = float(interquartile_mean(method.scores))
    curve = CostCurve(costs, [interquartile_mean(point.scores) for point in baseline])
    gains, factors = np.empty(replicates), np.empty(replicates)
    for i in range(replicates):
        drawn = CostCurve(costs, [_redrawn(point, rng) for point in baseline])
        again = _redrawn(method, rng)
        gains[i] = again - drawn.quality_at(method.cost)
        factors[i] = drawn.cost_at(again) / method.cost
    runs = min(len(point.scores) for point in (method, *baseline))
    gain = float(quality - curve.quality_at(method.cost))
    better = None if np.isnan(gain) else from_replicates(gain, gains, runs, level)
    factor = curve.cost_at(quality) / method.cost
    cheaper = None if factor == 0 else from_replicates(factor, factors, runs, level)
    above = "unclear"
    if better is not None and better.excludes(0.0):
        above = "yes" if gain > 0 else "no"
    return TradeOff(
        method.name, method.cost, quality, better, cheaper, above, _statement(method, better, cheaper, costs)
    )


def _redrawn(point: Point, rng: np.random.Generator) -> float:
    scores = np.asarray(point.scores, dtype=float)
    return float(interquartile_mean(scores[rng.integers(0, len(scores), len(scores))]))


def _statement(
    method: Point, better: Interval | None, cheaper: Interval | None, costs: Sequence[float]
) -> str:
    if better is None:
        side = "cheaper than the cheapest" if method.cost < min(costs) else "dearer than the dearest"
        return f"{method.name} is {side} baseline measured: its gain at equal cost is not identified."
    gain = f"at equal cost {better.value:+.4g} [{better.low:+.4g}, {better.high:+.4g}]"
    if cheaper is None:
        return f"{method.name}: {gain}; below the baseline's cheapest point in quality."
    if np.isinf(cheaper.value):
        bound = max(costs) / method.cost
        sure = min(cheaper.low, bound)
        how_sure = "" if sure == bound else f" as measured, with {cheaper.level:.0%} at least {sure:.3g}"
        return f"{method.name}: {gain}; no baseline measured gets there: more than {bound:.3g} times cheaper{how_sure}."
    return (
        f"{method.name}: {gain}; at equal quality {cheaper.value:.3g} times cheaper "
        f"[{cheaper.low:.3g}, {cheaper.high:.3g}]."
    )
