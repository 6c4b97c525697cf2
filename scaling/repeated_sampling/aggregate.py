"""pass@k over many problems: the law behind it, and what it gives beyond the samples at hand.

Over problems whose success rates p are distributed with a density ~ p^(a-1) near zero, ``-log pass@k`` falls as
``k^-a``: a power law made of exponentials (Schaeffer et al., "How Do Large Language Monkeys Get Their Power (Laws)?",
arXiv 2502.17578; Brown et al., "Large Language Monkeys", arXiv 2407.21787). With p ~ Beta(a, b) it is
``pass@k = 1 - B(a, b + k) / B(a, b)``, which holds at small k, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scaling.errors import InputError
from scaling.repeated_sampling.estimator import pass_at_k

__all__ = [
    "DEFAULT",
    "PYTHIA_MATH",
    "PassAtK",
    "Settings",
    "beta_pass_at_k",
    "fit_pass_at_k",
    "power_law_pass_at_k",
]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Settings:
    """How the tail is fitted.

    Attributes:
        tail: log of the tail exponent a that is expected before seeing anything.
        spread: Scale of the Cauchy distribution of log a around it. Its heavy tails hold a loosely where the curve
            says clearly something else, and firmly where the curve says little.
        misfit: How far real curves are from the Beta law, relative to how far they bend: by how much
            log pass@k rises less than log k.
        weight: pass@k counts as k to this power: the largest k say most about what lies beyond them.
    """

    tail: float = float(np.log(0.33))
    spread: float = 1.0
    misfit: float = 0.03
    weight: float = 0.0


#: For problems of any kind: the expectation decides only where the samples say next to nothing.
DEFAULT = Settings()
#: What six Pythia models have in common on MATH (``benchmarks/pass_at_k.py``). Of no use on other problems.
PYTHIA_MATH = Settings(spread=0.14, weight=3.0)
#: Spread of log a over those models with the one that is far from the rest, for intervals.
TAIL_SPREAD = 0.5
#: From here on Stirling's series with three terms is exact to double precision (error below 1e-15).
STIRLING_FROM = 20


def _log_rise(x: Array, a: Array) -> Array:
    """``log Gamma(x + a) - log Gamma(x)`` to full relative precision of what differs in x, also for x >> a."""

    def series(z: Array) -> Array:
        result: Array = 1 / (12 * z) - 1 / (360 * z**3) + 1 / (1260 * z**5)
        return result

    low = sum((np.log1p(a / (x + i)) for i in range(STIRLING_FROM)), np.zeros(np.broadcast(x, a).shape))
    high = x + STIRLING_FROM
    stirling = (high - 0.5) * np.log1p(a / high) + a * np.log(high + a) - a + series(high + a) - series(high)
    result: Array = stirling - low
    return result


def beta_pass_at_k(a: ArrayLike, b: ArrayLike, k: ArrayLike) -> Array:
    """``1 - B(a, b + k) / B(a, b)``: pass@k where success rates are Beta(a, b) distributed over the problems.

    Not by differences of ``betaln``: at b of thousands they carry noise of 1e-7, which drowns the bend of a small
    pass@k and every numerical derivative of it.
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    allowed = np.asarray(k, dtype=np.float64)
    result: Array = -np.expm1(_log_rise(second, first) - _log_rise(second + allowed, first))
    return result


def power_law_pass_at_k(k: ArrayLike, curve: ArrayLike, at: ArrayLike) -> Array:
    """The straight line through ``log(-log pass@k)`` over ``log k``, carried on to ``at``.

    Right only where k already reaches into the tail: below, -log pass@k still bends and the line comes out too low.
    """
    x, y = np.log(np.asarray(k, dtype=np.float64)), np.asarray(curve, dtype=np.float64)
    if not (y > 0).all():
        return np.zeros_like(np.asarray(at, dtype=np.float64))
    slope, level = np.polyfit(x, np.log(-np.log(np.minimum(y, 1 - 1e-12))), 1)
    result: Array = np.exp(-np.exp(level + slope * np.log(np.asarray(at, dtype=np.float64))))
    return result


@dataclass(frozen=True)
class PassAtK:
    """The fitted law of pass@k.

    Attributes:
        a: Tail exponent: ``-log pass@k ~ k^-a`` for large k.
        b: Second parameter of the Beta distribution of success rates.
        draws: (a, b) over resampled problems and expected tails, shape ``(R, 2)``.
        successes: Correct samples that it rests on; with none it can only say how rare they are.
    """

    a: float
    b: float
    draws: Array
    successes: float

    def value(self, k: ArrayLike) -> Array:
        """pass@k, shape of ``k``."""
        if not self.successes > 0:
            return np.zeros_like(np.asarray(k, dtype=np.float64))
        return beta_pass_at_k(self.a, self.b, k)

    def interval(self, k: ArrayLike, level: float = 0.9) -> tuple[Array, Array]:
        """Interval of pass@k over resampled problems and tails, each of the shape of ``k``."""
        asked = np.atleast_1d(np.asarray(k, dtype=np.float64))
        if not len(self.draws):
            low, high = np.zeros_like(asked), np.ones_like(asked)
        else:
            values = beta_pass_at_k(self.draws[:, :1], self.draws[:, 1:], asked)
            low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2], axis=0)
        return low.reshape(np.shape(k)), high.reshape(np.shape(k))


def _bend(k: Array, curve: Array) -> float:
    """By how much log pass@k, from the smallest k to the largest, rises less than log k does.

    Zero where success is so rare that the samples do not overlap. To first order it is in proportion to this that any
    two laws with the same pass@1 differ, so a law's misfit is measured against it.
    """
    return float(np.log(k[-1] / k[0]) - np.log(curve[-1] / curve[0]))


def _bend_noise(n: Array, c: Array, k: Array) -> float:
    """Standard error of the bend from the samples' randomness: each count Poisson, to first order."""
    top, first = pass_at_k(n, c, k[-1]).sum(), (c / n).sum()
    change = pass_at_k(n, np.minimum(c + 1, n), k[-1]) - pass_at_k(n, c, k[-1])
    return float(np.sqrt(np.sum(c * (change / top - 1 / n / first) ** 2)))


def _nearest_b(a: Array, k: Array, curve: Array, share: Array) -> tuple[Array, Array]:
    """For each a the b whose curve is nearest, by Gauss-Newton in log b, and its weighted squared distance."""
    tails, step = a[:, None], 1e-5
    logs = np.log(a) + np.log(max(1 / curve[0] - 1, 1e-6))  # there pass@1 = a / (a + b) is met

    def off(at: Array) -> Array:
        relative = np.log(np.maximum(beta_pass_at_k(tails, np.exp(at)[:, None], k), 1e-300)) - np.log(curve)
        result: Array = np.sqrt(share) * relative
        return result

    for _ in range(12):
        here = off(logs)
        slope = (off(logs + step) - here) / step
        change = np.sum(here * slope, axis=1) / np.maximum(np.sum(slope**2, axis=1), 1e-300)
        logs = np.clip(logs - np.clip(change, -1.0, 1.0), -20.0, 40.0)
        if np.abs(change).max() < 1e-6:
            break
    return np.exp(logs), np.sum(off(logs) ** 2, axis=1)


def _fit_curve(k: Array, curve: Array, settings: Settings, noise: float) -> tuple[float, float]:
    """(a, b) of the most probable Beta law for a curve of pass@k > 0.

    A Cauchy prior can leave two minima, near the expected tail and where the curve pulls: so log a is searched on a
    grid, coarse, then fine, each a with its own best b.
    """
    share = k**settings.weight / np.sum(k**settings.weight)
    # A curve without any bend still has rounding errors, hence the floor.
    doubt = max(float(np.hypot(settings.misfit * _bend(k, curve), noise)), 1e-9)
    middle, best = settings.tail, (1.0, 1.0)
    for width, points in ((3.0, 41), (0.15, 31)):
        logs = middle + np.linspace(-width, width, points)
        b, distance = _nearest_b(np.exp(logs), k, curve, share)
        away = (logs - settings.tail) / settings.spread
        found = int(np.argmin(0.5 * distance / doubt**2 + np.log1p(away**2)))
        middle, best = float(logs[found]), (float(np.exp(logs[found])), float(b[found]))
    return best


def _other_tail(
    k: Array, curve: Array, settings: Settings, noise: float, normal: float
) -> tuple[float, float]:
    """(a, b) fitted, then with a tail that goes on otherwise than the curve so far says, ``normal`` deviations off.

    Ordinary models differ by ``settings.spread``, at most ``TAIL_SPREAD``; as noise hides whether a model is an
    ordinary one, by ``TAIL_SPREAD``.
    """
    a, _ = _fit_curve(k, curve, settings, noise)
    hidden = noise**2 / max(noise**2 + (settings.misfit * _bend(k, curve)) ** 2, 1e-18)
    tail = a * np.exp(normal * np.hypot(min(settings.spread, TAIL_SPREAD), np.sqrt(hidden) * TAIL_SPREAD))
    share = k**settings.weight / np.sum(k**settings.weight)
    b, _ = _nearest_b(np.array([tail]), k, curve, share)
    return float(tail), float(b[0])


def fit_pass_at_k(
    samples: ArrayLike,
    correct: ArrayLike,
    *,
    largest: int | None = None,
    settings: Settings = DEFAULT,
    kind: Literal["problems", "samples"] = "samples",
    exact: bool = False,
    bootstrap: int = 200,
    seed: int = 0,
) -> PassAtK:
    """Fit pass@k over problems from what came of ``n`` samples of each.

    Args:
        samples: n of each problem, shape ``(problems,)`` or a number.
        correct: c of each problem, shape ``(problems,)``.
        largest: Largest k whose unbiased estimate is used; the smallest n by default.
        settings: How the tail is fitted.
        kind: What intervals are for: new ``samples`` of these problems, or other ``problems`` like these.
        exact: Take the unbiased estimates as the curve itself, without noise, as with ``largest`` far below n.
        bootstrap: Replicates for the interval.
        seed: Of the replicates.

    Raises:
        InputError: Counts that cannot be, or fewer than two problems.
    """
    c = np.atleast_1d(np.asarray(correct, dtype=np.float64))
    n = np.broadcast_to(np.asarray(samples, dtype=np.float64), c.shape)
    if c.size < 2:
        raise InputError(
            "one problem has no distribution of success rates", key="correct", remedy="give two or more"
        )
    top = int(n.min()) if largest is None else largest
    k = np.unique(np.round(np.logspace(0, np.log10(top), 12)))
    estimates = pass_at_k(n[:, None], c[:, None], k)
    if not c.sum() > 0:
        return PassAtK(float(np.exp(settings.tail)), np.inf, np.empty((0, 2)), 0.0)
    a, b = _fit_curve(k, estimates.mean(axis=0), settings, 0.0 if exact else _bend_noise(n, c, k))
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(bootstrap):
        # A problem's rate given its count under the law, then samples of it: zeros do not stay zeros.
        rows = rng.integers(0, c.size, c.size) if kind == "problems" else np.arange(c.size)
        again = rng.binomial(n[rows].astype(int), rng.beta(a + c[rows], b + n[rows] - c[rows])).astype(float)
        curve = pass_at_k(n[rows][:, None], again[:, None], k).mean(axis=0)
        if curve[0] > 0:
            noise = 0.0 if exact else _bend_noise(n[rows], again, k)
            draws.append(_other_tail(k, curve, settings, noise, float(rng.normal())))
    return PassAtK(float(a), float(b), np.array(draws).reshape(-1, 2), float(c.sum()))
