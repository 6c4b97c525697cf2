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

__all__ = ["DEFAULT", "PassAtK", "Settings", "beta_pass_at_k", "fit_pass_at_k", "power_law_pass_at_k"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Settings:
    """How the tail is fitted.

    Attributes:
        tail: log of the tail exponent a that is expected before seeing anything.
        pull: How strongly a is held there: weight of its squared distance in logs against the squared relative error
            of pass@k. It decides where success is so rare that the curve does not bend.
        weight: pass@k counts as k to this power: the largest k say most about what lies beyond them.
    """

    tail: float = float(np.log(0.3))
    pull: float = 0.01
    weight: float = 2.0


#: Chosen on Pythia models on MATH, each model with settings from the others (``benchmarks/pass_at_k.py``).
DEFAULT = Settings()
#: Spread of log a over those models, for intervals.
TAIL_SPREAD = 0.5


def beta_pass_at_k(a: ArrayLike, b: ArrayLike, k: ArrayLike) -> Array:
    """``1 - B(a, b + k) / B(a, b)``: pass@k where success rates are Beta(a, b) distributed over the "
    "problems."""
    from scipy.special import betaln

    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    result: Array = -np.expm1(betaln(first, second + np.asarray(k, dtype=np.float64)) - betaln(first, second))
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


def _fit_curve(k: Array, curve: Array, settings: Settings) -> Array:
    """(a, b) of the Beta law nearest to a curve of pass@k > 0. Shape ``(2,)``."""
    from scipy.optimize import least_squares

    share = np.sqrt(k**settings.weight / np.sum(k**settings.weight))

    def miss(logs: Array) -> Array:
        a, b = np.exp(np.clip(logs, -20, 40))
        relative = np.log(np.maximum(beta_pass_at_k(a, b, k), 1e-300)) - np.log(curve)
        return np.append(share * relative, np.sqrt(settings.pull) * (logs[0] - settings.tail))

    # b starts where pass@1 = a / (a + b) is met with the expected tail.
    start = [settings.tail, settings.tail + np.log(max(1 / curve[0] - 1, 1e-6))]
    found: Array = np.exp(np.clip(least_squares(miss, start, x_scale=[0.3, 1.0], xtol=1e-10).x, -20, 40))
    return found


def fit_pass_at_k(
    samples: ArrayLike,
    correct: ArrayLike,
    *,
    largest: int | None = None,
    settings: Settings = DEFAULT,
    kind: Literal["problems", "samples"] = "samples",
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
    a, b = _fit_curve(k, estimates.mean(axis=0), settings)
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(bootstrap):
        # A problem's rate given its count under the law, then samples of it: zeros do not stay zeros.
        rows = rng.integers(0, c.size, c.size) if kind == "problems" else np.arange(c.size)
        again = rng.binomial(n[rows].astype(int), rng.beta(a + c[rows], b + n[rows] - c[rows]))
        curve = pass_at_k(n[rows][:, None], again[:, None], k).mean(axis=0)
        if curve[0] > 0:
            tail = Settings(rng.normal(settings.tail, TAIL_SPREAD), settings.pull, settings.weight)
            draws.append(_fit_curve(k, curve, tail))
    return PassAtK(float(a), float(b), np.array(draws).reshape(-1, 2), float(c.sum()))
