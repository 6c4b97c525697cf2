"""The pooled model: every run of every cell, one basin, its centre moving by a power law.

    log L = level[cell] + q(log2 h - centre[cell]),    centre[cell] = X beta + offset[cell],  offset ~ N(0, tau^2)

``q`` is the shared basin (:mod:`scaling.sweep.basin`), the level of each cell is free, and each cell's optimum may
scatter around the law by ``tau`` octaves, which is estimated: intervals that leave it out are far too narrow. The law
may bend where models see few tokens (:mod:`scaling.sweep.features`). Weights fall with the
*predicted* excess, so that the bottom decides where the bottom is, and outliers are bounded (pseudo-Huber).

Solved by Levenberg-Marquardt steps on the joint posterior with levels eliminated; ``tau`` and the noise by a few
rounds of expectation-maximisation and of a robust scale estimate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling.sweep.basin import Basin, Layout
from scaling.sweep.features import Design, design, features
from scaling.sweep.problem import Prior, Problem
from scaling.sweep.table import Sweep

__all__ = ["PooledFit", "fit_pooled", "problem_at"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: Runs enter with standard deviation sqrt(noise^2 + (misfit * predicted excess)^2). ``misfit`` is this many times the
#: typical relative error of the basin's walls (so that the bottom decides), within these bounds.
_MISFIT_FACTOR = 5.0
_MISFIT_RANGE = (0.2, 1.0)
#: Variance of a minimum found from one cell alone, against the one that the weights, which fall with the excess, give
#: it: the minima of surfaces drawn from Gaussian processes of Step Law's cells below 3e19 FLOP wander by 0.09 octaves
#: of learning rate and 0.09 to 0.13 of batch size, where the weights say 0.17 and 0.20.
_OWN_SURFACE = 0.35
_OUTER_ROUNDS = 60
_INNER_STEPS = 12
#: What ``misfit`` is where no run shows it, and how many runs' worth of evidence that is.
_MISFIT_PRIOR, _MISFIT_RUNS = 0.5, 10.0
#: After so many rounds noise and misfit move ever less, and the runs inside the basin stay: with few runs the three may
#: otherwise chase each other for ever, between two answers.
_SETTLE = 4


@dataclass(frozen=True)
class PooledFit:
    """A fitted pooled model.

    Attributes:
        sweep: What it was fitted to.
        design: Features of the cells.
        layout: Order of the basin's parameters.
        theta: ``[beta, basin, offsets]``, offsets being ``(cells, P)`` row by row.
        covariance: Posterior covariance of ``theta``.
        scatter: ``tau``, octaves. Shape ``(P,)``.
        own_error: Typical error of a cell's optimum found from its own runs alone, octaves. Shape ``(P,)``.
        noise: Standard deviation of log loss at the bottom.
        misfit: Error of the walls relative to the excess, as used in the weights.
        levels: Log loss at the optimum of each cell, and its variance. Shapes ``(cells,)``.
        objective: Minus twice the log posterior, summed over runs.
        used: Which runs lie inside the basin. Shape ``(runs,)``.
        residuals: Of log loss, of the used runs, in standard deviations.
        converged: The last step was below tolerance.
        prior: What was assumed.
    """

    sweep: Sweep
    design: Design
    layout: Layout
    theta: Array
    covariance: Array
    scatter: Array
    own_error: Array
    noise: float
    misfit: float
    levels: Array
    level_variances: Array
    objective: float
    used: NDArray[np.bool_]
    residuals: Array
    converged: bool
    prior: Prior

    @property
    def beta(self) -> Array:
        """Coefficients of the law, hyperparameter by hyperparameter."""
        return self.theta[: self.design.size]

    @property
    def basin(self) -> Basin:
        """The shared basin."""
        return Basin.unpack(self.theta[self.design.size : self.design.size + self.layout.size], self.layout)

    @property
    def offsets(self) -> Array:
        """How far each cell's optimum lies from the law, octaves. Shape ``(cells, P)``."""
        return self.theta[self.design.size + self.layout.size :].reshape(self.sweep.cells, -1)

    def centres(self, x: Array, beta: Array | None = None) -> Array:
        """log2 of the optimum by the law at sizes ``x`` (shape ``(..., F)``). Shape ``(..., P)``.

        With ``beta`` of shape ``(draws, size)`` and one size, the shape is ``(draws, P)``.
        """
        coefficients = self.beta if beta is None else beta
        columns, start = [], 0
        for names in self.design.names:
            block = features(names, self.sweep.inputs, x, self.design.ratio_mid)
            columns.append((block * coefficients[..., start : start + len(names)]).sum(axis=-1))
            start += len(names)
        return np.stack(columns, axis=-1)


def _start(problem: Problem) -> Array:
    """Prior means, with the constants moved to the centre of each cell's best runs."""
    theta = problem.mean.copy()
    sweep = problem.sweep
    near = problem.observed_excess <= 0.01
    near |= problem.observed_excess <= np.quantile(problem.observed_excess, 0.2)
    # What is left of the best runs after the prior slopes is where the constants belong.
    d = problem.distances(theta)
    start = 0
    for column, names in enumerate(problem.design.names):
        centre_shift = np.array([
            np.median(d[near & (sweep.cell == k), column])
            for k in range(sweep.cells)
            if (near & (sweep.cell == k)).any()
        ])  # fmt: skip
        theta[start] += float(np.median(centre_shift))
        start += len(names)
    return theta


def _solve(problem: Problem, theta: Array, weight: Array) -> tuple[Array, float, bool]:
    """Levenberg-Marquardt at fixed weights. Returns the minimum, its objective, and whether it converged."""
    damping, (objective, _) = 1e-3, problem.score(theta, weight)
    for _ in range(_INNER_STEPS):
        matrix, gradient = problem.normal_equations(theta, weight)
        improved = False
        for _ in range(8):
            damped = matrix + damping * np.diag(np.diag(matrix))
            step = np.linalg.solve(damped, gradient)
            trial, _ = problem.score(theta + step, weight)
            if np.isfinite(trial) and trial <= objective:
                improved = True
                break
            damping *= 8.0
        if not improved:
            return theta, objective, True
        theta, gain, objective = theta + step, objective - trial, trial
        damping = max(damping / 8.0, 1e-9)
        if gain <= 1e-7 * max(objective, 1.0):
            return theta, objective, True
    return theta, objective, False


def _noise(problem: Problem, q: Array, weight: Array, used: Mask, now: float) -> float:
    """Robust scale of residuals at the bottom, shrunk towards the prior; repeats decide where there are any."""
    sweep, prior = problem.sweep, problem.prior
    residual = problem.profile(sweep.log_loss - q, weight)
    bottom = used & (q <= max(0.01, 3.0 * now))
    # Levels, centres and shape were fitted to these runs.
    known, count = prior.noise_runs * prior.noise**2, prior.noise_runs
    runs = int(bottom.sum())
    if runs > 3:
        freedom = max(runs - sweep.cells - problem.beta_size - 2, 0.25 * runs)
        typical = 1.4826 * float(np.median(np.abs(residual[bottom]))) * np.sqrt(runs / freedom)
        known, count = known + freedom * typical**2, count + freedom
    if sweep.noise is not None:
        known, count = known + 2 * sweep.repeats * sweep.noise**2, count + 2 * sweep.repeats
    return float(np.sqrt(known / count))


def _misfit(problem: Problem, q: Array, weight: Array, used: Mask, noise: float) -> float:
    """How far, relative to the excess, the basin's walls are off."""
    wall = used & (q > 4.0 * noise)
    runs = int(wall.sum())
    if not runs:
        return _MISFIT_PRIOR
    relative = np.abs(problem.profile(problem.sweep.log_loss - q, weight))[wall] / q[wall]
    seen = float(np.clip(_MISFIT_FACTOR * 1.4826 * np.median(relative), *_MISFIT_RANGE))
    return (runs * seen + _MISFIT_RUNS * _MISFIT_PRIOR) / (runs + _MISFIT_RUNS)


def fit_pooled(sweep: Sweep, *, prior: Prior | None = None, bend: bool = True) -> PooledFit:
    """Fit the pooled model; deterministic.

    Args:
        sweep: From :func:`scaling.sweep.table.build_sweep`.
        prior: What to assume before any run.
        bend: Let the law bend where tokens are few (shrunk towards the prior).
    """
    prior = prior or Prior()
    made = design(sweep, {hyper: prior.bends_of(hyper) if bend else () for hyper in sweep.hypers})
    problem = Problem(sweep, made, prior)
    theta = _start(problem)
    noise, misfit = float(sweep.noise or prior.noise), _MISFIT_PRIOR
    scatter = np.full(problem.hypers, prior.scatter)
    q = problem.observed_excess
    used = problem.inside(noise)
    converged = False
    for round_ in range(_OUTER_ROUNDS):
        pace = min(1.0, _SETTLE / (round_ + 1))
        used = problem.inside(noise) if round_ <= _SETTLE else used
        weight = problem.weights(q, noise, misfit, used)
        before = theta
        theta, objective, inner = _solve(problem, theta, weight)
        q = problem.predicted(theta)
        matrix, _ = problem.normal_equations(theta, weight)
        covariance = np.asarray(np.linalg.inv(matrix), dtype=np.float64)
        scatter = _scatter(problem, theta, covariance)
        problem.set_scatter(scatter)
        noise *= (_noise(problem, q, weight, used, noise) / noise) ** pace
        misfit += pace * (_misfit(problem, q, weight, used, noise) - misfit)
        moved = float(np.abs(theta - before)[: problem.beta_size].max())
        converged = moved < 1e-3 and (inner or round_ >= _SETTLE)
        if converged:
            break
    weight = problem.weights(q, noise, misfit, used)
    matrix, _ = problem.normal_equations(theta, weight)
    covariance = np.asarray(np.linalg.inv(matrix), dtype=np.float64)
    objective, residuals = problem.score(theta, weight)
    levels, variances = _levels(problem, q, weight, theta, covariance)
    return PooledFit(
        sweep, made, problem.layout, theta, covariance, scatter, _own_error(problem, matrix), noise, misfit, levels,
        variances, objective, used, residuals[used], converged, prior,
    )  # fmt: skip


def problem_at(fit: PooledFit) -> tuple[Problem, Array]:
    """The problem at a fit's optimum, with the weights of its runs. For the bootstrap and for planning."""
    problem = Problem(fit.sweep, fit.design, fit.prior)
    problem.set_scatter(fit.scatter)
    return problem, problem.weights(problem.predicted(fit.theta), fit.noise, fit.misfit, fit.used)


def _scatter(problem: Problem, theta: Array, covariance: Array) -> Array:
    """Expectation-maximisation step for the scatter of cells around the law, with the prior's pseudo-cells."""
    start = problem.beta_size + problem.basin_size
    offsets = theta[start:].reshape(problem.cells, problem.hypers)
    spread = np.diag(covariance)[start:].reshape(problem.cells, problem.hypers)
    prior = problem.prior
    total = (offsets**2 + spread).sum(axis=0) + prior.scatter_cells * prior.scatter**2
    return np.asarray(np.sqrt(total / (problem.cells + prior.scatter_cells)))


def _own_error(problem: Problem, matrix: Array) -> Array:
    """Error of a cell's optimum from its own runs, given the shape: the median cell."""
    start, size = problem.beta_size + problem.basin_size, problem.hypers
    variances = []
    for cell in range(problem.cells):
        at = slice(start + cell * size, start + (cell + 1) * size)
        data = matrix[at, at] - np.diag(problem.precision[at])
        data[np.diag_indices(size)] += 1.0  # one octave, where a cell's runs say nothing
        variances.append(np.diag(np.linalg.inv(data)))
    return np.asarray(np.sqrt(_OWN_SURFACE * np.median(variances, axis=0)))


def _levels(
    problem: Problem, q: Array, weight: Array, theta: Array, covariance: Array
) -> tuple[Array, Array]:
    total = np.bincount(problem.sweep.cell, weight, problem.cells)
    values = np.bincount(problem.sweep.cell, weight * (problem.sweep.log_loss - q), problem.cells) / total
    _, jacobian = problem.excess_and_jacobian(theta)
    means = np.zeros((problem.cells, problem.size))
    np.add.at(means, problem.sweep.cell, weight[:, None] * jacobian)
    means /= total[:, None]
    return values, 1.0 / total + np.einsum("ki,ij,kj->k", means, covariance, means)
