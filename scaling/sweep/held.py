"""The best hyperparameters where some are held, such as a batch size that the hardware dictates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scaling.sweep.basin import best_given, excess

if TYPE_CHECKING:
    from scaling.sweep.law import FittedSweep

__all__ = ["free_column", "optimum", "slice_plateau"]

Array = NDArray[np.float64]

#: Draws of where the optimum may lie, carried through to what is best at a held value.
_DRAWS = 400
#: Octaves to either side that a plateau is looked for in, and in how many steps.
_REACH, _STEPS = 6.0, 2401


def optimum(
    law: FittedSweep, given: Mapping[str, float], x: Array, level: float
) -> tuple[Array, Array, Array, tuple[float, float, float]]:
    """log2 of the best hyperparameters, the ends of their intervals, and what it costs to hold those that are held.

    Args:
        law: The fitted law.
        given: The size, and hyperparameters to hold.
        x: The size in octaves from the middle of the cells. Shape ``(F,)``.
        level: Coverage of the intervals.

    Returns:
        Middle, low and high (shapes ``(P,)``), and the cost in log loss with the ends of its interval.
    """
    from scipy.special import stdtrit

    middle, spread = law.centre(given)
    freedom = np.array([one.freedom for one in law.hypers])
    total = np.sqrt(spread**2 + np.array([one.scatter for one in law.hypers]) ** 2)
    held = _held(law, given)
    if not held.any() or law.basin is None:
        reach = stdtrit(freedom, 0.5 + level / 2) * total
        return middle, middle - reach, middle + reach, (0.0, 0.0, 0.0)
    wanted = _wanted(law, given)
    # Where the optimum may lie decides what is best at a fixed value, so its draws are carried through.
    generator = np.random.default_rng(0)
    centres = middle + total * generator.standard_t(freedom, size=(_DRAWS, len(middle)))
    centres = np.vstack([middle, centres])
    d = best_given(law.basin, held, wanted - centres)
    if law.walls is not None:
        d = d + law.walls.best_shift(law.basin, held, d[0], x)
    best = centres + d
    sizes = np.broadcast_to(x, (len(d), len(x)))
    cost = law.walls.excess(law.basin, d, sizes) if law.walls else excess(law.basin, d, sizes)
    cost = np.maximum(cost, 0.0)
    tails = [0.5 - level / 2, 0.5 + level / 2]
    low, high = np.quantile(best[1:], tails, axis=0)
    cheapest, dearest = np.quantile(cost[1:], tails)
    return (
        best[0],
        np.minimum(low, best[0]),
        np.maximum(high, best[0]),
        (float(cost[0]), float(cheapest), float(dearest)),
    )


def slice_plateau(
    law: FittedSweep, given: Mapping[str, float], x: Array, best: float, tolerance: float
) -> dict[str, Any]:
    """Range of the one free hyperparameter that costs at most ``tolerance`` more than its best, the others held.

    Args:
        law: A fitted law with a basin.
        given: The size, and all hyperparameters but one.
        x: The size in octaves from the middle of the cells. Shape ``(F,)``.
        best: log2 of the best value of the free one.
        tolerance: Fraction of the loss.
    """
    assert law.basin is not None
    held, free = _held(law, given), free_column(law, given)
    centre, _ = law.centre(given)
    d = best_given(law.basin, held, _wanted(law, given) - centre)
    steps = np.linspace(-_REACH, _REACH, _STEPS)
    along = np.repeat(d[None, :], _STEPS, axis=0)
    along[:, free] += steps
    # The width is the basin's; the walls only move where it is taken.
    cost = excess(law.basin, along, np.broadcast_to(x, (_STEPS, len(x))))
    inside = steps[cost - cost.min() <= np.log1p(tolerance)]
    one = law.hypers[free]
    ends = {
        "low": float(2.0 ** (best + inside[0])),
        "high": float(2.0 ** (best + inside[-1])),
        "unit": one.unit,
    }
    return {"tolerance": tolerance, one.name: ends}


def free_column(law: FittedSweep, given: Mapping[str, float]) -> int:
    """Index of the first hyperparameter that is not held."""
    return int(np.argmin(_held(law, given)))


def _held(law: FittedSweep, given: Mapping[str, float]) -> NDArray[np.bool_]:
    return np.array([one.name in given for one in law.hypers], dtype=bool)


def _wanted(law: FittedSweep, given: Mapping[str, float]) -> Array:
    return np.array([np.log2(given.get(one.name, 1.0)) for one in law.hypers])
