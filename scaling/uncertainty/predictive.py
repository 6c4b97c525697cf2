"""Intervals for runs that were never made: parameters, noise and the law's own error together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scaling.errors import InputError
from scaling.uncertainty.discrepancy import PRIOR, Prior, Scene, predict_discrepancy
from scaling.uncertainty.mixture import Mixture

if TYPE_CHECKING:
    from scaling.fitted import FittedLaw
    from scaling.laws import Law

__all__ = ["BASIS", "Prediction", "predictive", "predictive_interval", "predictive_mixture"]

Array = NDArray[np.float64]
#: Points answered at a time, so that memory does not grow with the table.
BLOCK = 10_000
BASIS = "one new run at this point: its noise, the parameters' uncertainty and the law's own error"


@dataclass(frozen=True)
class Prediction:
    """Central prediction and interval for ``m`` points.

    Attributes:
        value: Median, shape ``(m,)``: the law, moved by what its own residuals say about that region.
        low: Lower end, shape ``(m,)``.
        high: Upper end, shape ``(m,)``.
        basis: What the interval covers, in words.
    """

    value: Array
    low: Array
    high: Array
    basis: str = BASIS


def predictive(
    fitted: FittedLaw, points: Mapping[str, Any], level: float = 0.9, *, prior: Prior = PRIOR
) -> Prediction:
    """Median and interval of one new run at each point.

    Args:
        fitted: A law fitted to runs.
        points: Its inputs, each of shape ``(m,)``.
        level: Coverage that the interval claims, between 0 and 1.
        prior: What is believed of the law's own error before the runs are seen.

    Raises:
        InputError: A level that is not between 0 and 1.
    """
    if not 0.0 < level < 1.0:
        raise InputError(f"level {level} is not between 0 and 1", key="level", remedy="such as 0.9")
    columns = fitted.law.columns(points)
    size = max(len(column) for column in columns.values())
    columns = {name: np.broadcast_to(column, (size,)) for name, column in columns.items()}
    levels = [0.5 * (1 - level), 0.5, 0.5 * (1 + level)]
    parts = [np.empty((3, 0))]
    for first in range(0, size, BLOCK):
        block = {name: column[first : first + BLOCK] for name, column in columns.items()}
        base, mixture = predictive_mixture(fitted, block, prior=prior)
        moved = mixture.quantiles(levels)
        parts.append(base * np.exp(moved) if fitted.law.residuals == "log" else base + moved)
    low, value, high = np.concatenate(parts, axis=1)
    return Prediction(value, low, high)


def predictive_interval(
    fitted: FittedLaw, points: Mapping[str, Any], level: float = 0.9
) -> tuple[Array, Array]:
    """Ends of :func:`predictive`'s interval, each of shape ``(m,)``."""
    found = predictive(fitted, points, level)
    return found.low, found.high


def predictive_mixture(
    fitted: FittedLaw, points: Mapping[str, Any], *, prior: Prior = PRIOR
) -> tuple[Array, Mixture]:
    """The law at the points, shape ``(m,)``, and what is believed of a new run relative to it (residual scale)."""
    here, values = _scene(fitted, fitted.inputs)
    there, base = _scene(fitted, points)
    target = fitted.target
    residuals = np.log(target / values) if fitted.law.residuals == "log" else target - values
    return base, predict_discrepancy(here, residuals, there, prior)


def _scene(fitted: FittedLaw, inputs: Mapping[str, Any]) -> tuple[Scene, Array]:
    law = fitted.law
    columns = law.columns(inputs)
    size = max(len(column) for column in columns.values())
    columns = {name: np.broadcast_to(column, (size,)).astype(np.float64) for name, column in columns.items()}
    model = law.natural_model
    local = model.local(np.asarray(fitted.theta, dtype=np.float64)[None], model.bind(columns))
    values = np.broadcast_to(local.value[0], (size,)).astype(np.float64)
    slopes = np.broadcast_to(local.slopes[0], (len(law.names), size)).T
    if law.residuals == "log":
        slopes = slopes / values[:, None]
    where = np.stack([_place(column) for column in columns.values()], axis=1)
    height = np.log(np.maximum(values, 1e-300))
    return Scene(where, np.nan_to_num(slopes[:, _free(law, fitted.theta)]), height), values


def _free(law: Law, theta: Array) -> NDArray[np.bool_]:
    """Parameters that are not at a bound, shape ``(p,)``. One that is stays there: beyond it the law means nothing."""
    low, high = law.bounds
    search = law.to_search(theta)
    # Logarithms run into their bound slowly: a floor of 1e-9 is as much at zero as one of 1e-12.
    margin = np.array([7.0 if parameter.transform == "log" else 1e-9 for parameter in law.parameters])
    tiny = np.isfinite(low) & (search - low < np.where(np.exp(np.minimum(low, 0.0)) < 1e-5, margin, 1e-6))
    free: NDArray[np.bool_] = ~(tiny | (np.isfinite(high) & (high - search < 1e-6)))
    return free if free.any() else np.ones_like(free)


def _place(column: Array) -> Array:
    """Inputs of laws are sizes and counts: their logarithms; an input that is not above zero stays as it is."""
    return np.log(column) if (column > 0).all() else column
