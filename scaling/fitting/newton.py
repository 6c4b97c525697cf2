"""Damped Newton steps on the exact summed objective, for many replicates at once.

The damping matrix is the one of iteratively reweighted least squares, so that a heavily damped step is a short
step of that always-descending method and the search does not depend on the units or the correlation of parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling.fitting.losses import Loss
from scaling.laws.model import Model

__all__ = ["Minimum", "Problem", "minimise", "objective"]

Array = NDArray[np.float64]
#: Replicates times runs handled together: a few arrays of this size stay in the processor's cache.
CHUNK = 24_000
#: A replicate is done when a full Newton step would lower its objective by less than this share.
TOLERANCE = 1e-12
#: The same, for replicates whose last step could not be improved on: what still counts as converged.
LOOSE = 1e-8
#: Damping at first, and its factors after a step that did as promised and after one that was refused.
FIRST, DOWN, UP = 0.1, 0.2, 8.0


@dataclass(frozen=True)
class Problem:
    """A law, its data and how residuals are counted.

    Attributes:
        model: The law in search coordinates.
        bound: The inputs, made ready by ``model.bind``.
        target: What was measured (its logarithm where ``log``), shape ``(n,)`` or ``(R, n)``.
        weights: How often each run counts, shape ``(n,)`` or ``(R, n)``.
        loss: Cost of a residual.
        log: Residuals are differences of logarithms.
        low: Lower bounds of the search coordinates, shape ``(p,)``.
        high: Upper bounds, shape ``(p,)``.
    """

    model: Model
    bound: Any
    target: Array
    weights: Array
    loss: Loss
    log: bool
    low: Array
    high: Array

    def take(self, rows: NDArray[np.intp], count: int) -> Problem:
        """The problem of some replicates out of ``count``."""
        return Problem(
            self.model,
            self.model.take(self.bound, rows, count),
            _take(self.target, rows, count),
            _take(self.weights, rows, count),
            self.loss,
            self.log,
            self.low,
            self.high,
        )


def _take(values: Array, rows: NDArray[np.intp], count: int) -> Array:
    return values[rows] if values.ndim == 2 and len(values) == count else values


@dataclass
class Minimum:
    """Where the replicates ended.

    Attributes:
        theta: Search coordinates, shape ``(R, p)``.
        objective: Summed objective, shape ``(R,)``; infinite where it could not be evaluated.
        gradient: Objective still to be gained by a Newton step, as a share of it, shape ``(R,)``.
        converged: Whether the gradient of the summed objective vanished, shape ``(R,)``.
        iterations: Steps of the slowest replicate.
    """

    theta: Array
    objective: Array
    gradient: Array
    converged: NDArray[np.bool_]
    iterations: int


def objective(problem: Problem, theta: Array, delta: float) -> Array:
    """Summed objective, shape ``(R,)``; infinite where the law is not finite (or not above zero, on logs)."""
    residuals, usable = _residuals(problem, problem.model.value(theta, problem.bound))
    with np.errstate(over="ignore"):
        total = (problem.weights * problem.loss.terms(residuals, delta)[0]).sum(axis=-1)
    result: Array = np.where(usable, total, np.inf)
    return result


def _residuals(problem: Problem, value: Array) -> tuple[Array, NDArray[np.bool_]]:
    with np.errstate(all="ignore"):
        residuals = (np.log(value) if problem.log else value) - problem.target
    finite = np.isfinite(residuals)
    usable = np.asarray(finite.all(axis=-1))
    if not usable.all():
        # Runs of weight zero (padding) may be anything.
        usable = np.asarray((finite | (problem.weights == 0)).all(axis=-1))
        residuals = np.where(finite, residuals, 0.0)
    return residuals, usable


@dataclass
class _State:
    """Objective, gradient, Hessian and damping matrix of each replicate."""

    cost: Array
    gradient: Array
    hessian: Array
    damping: Array

    def put(self, rows: NDArray[Any], other: _State, chosen: NDArray[np.bool_]) -> None:
        for name in ("cost", "gradient", "hessian", "damping"):
            getattr(self, name)[rows] = getattr(other, name)[chosen]


def _expand(problem: Problem, theta: Array, delta: float, exact: bool) -> _State:
    """Second-order expansion of the objective around ``theta``; without the curvature of the law unless ``exact``."""
    local = problem.model.local(theta, problem.bound, curved=exact)
    value, slopes = local.value, local.slopes
    residuals, usable = _residuals(problem, value)
    w = problem.weights
    with np.errstate(all="ignore"):
        cost, slope, bend, weight = problem.loss.terms(residuals, delta)
        total = (w * cost).sum(axis=-1)
        slope = w * slope
        if problem.log:
            inverse = 1.0 / value
            slope_value = slope * inverse
            square = inverse * inverse
            outer = (w * bend - slope if exact else w * bend) * square
            majorant = (w * weight) * square
        else:
            slope_value, outer, majorant = slope, w * bend, w * weight
        if not usable.all():
            slope_value, outer, majorant = (
                np.nan_to_num(a, posinf=0.0, neginf=0.0) for a in (slope_value, outer, majorant)
            )
            slopes = np.nan_to_num(slopes, posinf=0.0, neginf=0.0)
        gradient = np.matmul(slopes, slope_value[:, :, None])[:, :, 0]
        transposed = slopes.transpose(0, 2, 1)
        damping = np.matmul(slopes * majorant[:, None, :], transposed)
        hessian = np.matmul(slopes * outer[:, None, :], transposed)
        if exact:
            hessian += local.curvature(slope_value)
    usable &= np.isfinite(gradient).all(axis=-1) & np.isfinite(hessian).all(axis=(1, 2))
    return _State(np.where(usable, total, np.inf), gradient, hessian, damping)


def _step(
    state: _State, rows: NDArray[np.intp], lam: Array, frozen: NDArray[np.bool_]
) -> tuple[Array, Array]:
    """Damped steps (shape ``(R, p)``) and the decrease that the quadratic model promises (shape ``(R,)``)."""
    gradient = np.where(frozen, 0.0, state.gradient[rows])
    diagonal = np.einsum("rpp->rp", state.damping[rows])
    scale = 1.0 / np.sqrt(np.maximum(diagonal, 1e-30 * diagonal.max(axis=1, keepdims=True) + 1e-300))
    scale = np.where(frozen, 0.0, scale)
    size = gradient.shape[1]
    both = scale[:, :, None] * scale[:, None, :]
    matrix = (state.hessian[rows] + lam[:, None, None] * state.damping[rows]) * both
    # Directions that the data say nothing about get a little damping of their own.
    ridge = 1e-13 + 1e-4 * lam[:, None] + np.where(frozen, 1.0, 0.0)
    matrix[:, np.arange(size), np.arange(size)] += ridge
    right = -gradient * scale
    try:
        solved = np.linalg.solve(matrix, right[:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:
        solved = np.stack([np.linalg.lstsq(m, b, rcond=None)[0] for m, b in zip(matrix, right, strict=True)])
    # For the exact solution the model's decrease is half of the slope along it.
    promised = 0.5 * (right * solved).sum(axis=1)
    return solved * scale, promised


def _minimise_chunk(
    problem: Problem, theta: Array, delta: float, limit: int, tolerance: float, exact: bool
) -> Minimum:
    count = len(theta)
    theta = np.clip(theta, problem.low, problem.high)
    state = _expand(problem, theta, delta, exact)
    # Steps that do not know the law's curvature start short.
    lam = np.full(count, FIRST if exact else 1.0)
    left = np.full(count, np.inf)
    active = np.isfinite(state.cost)
    iterations = 0
    floor = 1e-29 * problem.target.shape[-1]
    while active.any() and iterations < limit:
        iterations += 1
        rows = np.flatnonzero(active)
        here, gradient = theta[rows], state.gradient[rows]
        frozen = ((here <= problem.low) & (gradient > 0)) | ((here >= problem.high) & (gradient < 0))
        step, promised = _step(state, rows, lam[rows], frozen)
        trial = np.clip(here + step, problem.low, problem.high)
        part = problem if len(rows) == count else problem.take(rows, count)
        after = _expand(part, trial, delta, exact)
        before = state.cost[rows]
        gained = before - after.cost
        tiny = (promised >= 0) & (promised <= tolerance * before) & (lam[rows] <= 1e-2)
        good = (promised > 0) & (gained >= 1e-4 * promised)
        accept = good | (tiny & (gained >= -1e-14 * before))
        state.put(rows[accept], after, accept)
        theta[rows[accept]] = trial[accept]
        with np.errstate(all="ignore"):
            ratio = gained / promised
        lam[rows] = np.where(
            accept,
            np.where(ratio > 0.5, lam[rows] * DOWN, np.where(ratio < 0.1, lam[rows] * 2, lam[rows])),
            np.maximum(lam[rows] * UP, 1e-3),
        )
        left[rows] = np.where(promised >= 0, promised / np.maximum(before, 1e-300), left[rows])
        active[rows[tiny | (lam[rows] > 1e10)]] = False
        # An objective that is zero to rounding has nothing left to gain.
        active[rows[state.cost[rows] <= floor]] = False
    done = state.cost <= floor
    gain = np.where(done, 0.0, np.minimum(left, _gain(state, problem, theta)) if exact else left)
    return Minimum(theta, state.cost, gain, np.isfinite(state.cost) & (gain <= LOOSE), iterations)


def _gain(state: _State, problem: Problem, theta: Array) -> Array:
    """Share of the objective that an undamped reweighted step promises: zero where the gradient is."""
    frozen = ((theta <= problem.low) & (state.gradient > 0)) | (
        (theta >= problem.high) & (state.gradient < 0)
    )
    quiet = _State(state.cost, state.gradient, state.damping, state.damping)
    rows = np.arange(len(theta))
    _, promised = _step(quiet, rows, np.zeros(len(theta)), frozen)
    with np.errstate(all="ignore"):
        share = np.abs(promised) / np.maximum(state.cost, 1e-300)
    return np.where(np.isfinite(share), share, np.inf)


def minimise(
    problem: Problem,
    theta: Array,
    delta: float,
    *,
    limit: int = 100,
    tolerance: float = TOLERANCE,
    exact: bool = True,
) -> Minimum:
    """Bring every replicate to a minimum of its summed objective.

    Args:
        problem: Law and data.
        theta: Where to start, search coordinates, shape ``(R, p)``.
        delta: Scale of the loss.
        limit: Most steps for a replicate.
        tolerance: A replicate is done when a full step would lower its objective by less than this share.
        exact: Newton steps; Gauss-Newton steps otherwise, which are never led astray far from the minimum.
    """
    count = len(theta)
    runs = max(problem.target.shape[-1], 1)
    size = max(1, CHUNK // runs)
    if count <= size:
        return _minimise_chunk(problem, theta, delta, limit, tolerance, exact)
    pieces = []
    for first in range(0, count, size):
        rows = np.arange(first, min(first + size, count))
        pieces.append(_minimise_chunk(problem.take(rows, count), theta[rows], delta, limit, tolerance, exact))
    return Minimum(
        np.concatenate([piece.theta for piece in pieces]),
        np.concatenate([piece.objective for piece in pieces]),
        np.concatenate([piece.gradient for piece in pieces]),
        np.concatenate([piece.converged for piece in pieces]),
        max(piece.iterations for piece in pieces),
    )
