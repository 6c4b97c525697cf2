"""What a residual costs. Objectives are sums over runs, never means: averaging makes optimisers stop early."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling.errors import InputError

__all__ = ["LOSSES", "TIP", "Loss", "get_loss"]

Array = NDArray[np.float64]
#: Cost, its first and second derivative, and the weight of iteratively reweighted least squares; each ``(R, n)``.
Terms = tuple[Array, Array, Array, Array]


@dataclass(frozen=True)
class Loss:
    """A cost of residuals.

    Attributes:
        name: ``huber``, ``squared``, ``soft-l1`` or ``absolute``.
        formula: In words and symbols.
        terms: From residuals and delta: cost, slope, bend and weight.
        annealed: Whether it is approached from a large delta.
    """

    name: str
    formula: str
    terms: Callable[[Array, float], Terms]
    annealed: bool = True


def _huber(r: Array, delta: float) -> Terms:
    # With the clipped residual c: inside c^2/2, outside delta |r| - delta^2/2; both are c (r - c/2).
    weight = delta / np.maximum(np.abs(r), delta)
    clipped = r * weight
    return clipped * (r - 0.5 * clipped), clipped, (weight == 1.0).astype(np.float64), weight


def _squared(r: Array, delta: float) -> Terms:
    ones = np.ones_like(r)
    return 0.5 * r * r, r, ones, ones


def _soft_l1(r: Array, delta: float) -> Terms:
    root = np.sqrt(1.0 + (r / delta) ** 2)
    return delta * delta * (root - 1.0), r / root, root**-3.0, 1.0 / root


#: Half-width of the rounded tip with which least absolute deviations are computed, whatever delta is asked for.
TIP = 1e-9


def _absolute(r: Array, delta: float) -> Terms:
    cost, slope, bend, weight = _huber(r, delta)
    return cost / delta, slope / delta, bend / delta, weight / delta


LOSSES: dict[str, Loss] = {
    "huber": Loss("huber", "r^2/2 within delta, delta |r| - delta^2/2 beyond", _huber),
    "squared": Loss("squared", "r^2/2", _squared, annealed=False),
    "soft-l1": Loss("soft-l1", "delta^2 (sqrt(1 + (r/delta)^2) - 1)", _soft_l1),
    "absolute": Loss("absolute", "|r|", _absolute),
}
_ALIASES = {"lad": "absolute", "l1": "absolute", "l2": "squared", "soft_l1": "soft-l1", "mse": "squared"}


def get_loss(name: str) -> Loss:
    """The loss of that name.

    Raises:
        InputError: There is none.
    """
    found = LOSSES.get(_ALIASES.get(name, name))
    if found is None:
        raise InputError(f"unknown loss {name!r}", key="loss", remedy=f"one of {', '.join(LOSSES)}")
    return found
