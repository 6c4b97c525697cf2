"""The pooled model's pieces: what is assumed, residuals and their slopes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from scaling.sweep.basin import Basin, Layout, excess, excess_and_slopes
from scaling.sweep.features import FEW_TOKENS, SHORT_TRAINING, Design, slopes
from scaling.sweep.table import Sweep

__all__ = ["Prior", "Problem"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: Runs further above their cell's best than this are outside the basin,
_REACH = 0.02
#: unless fewer than this share of the cell's runs would be left; but never those above _FAR.
_SHARE = 0.35
_FAR = 0.4
#: Residuals beyond this many standard deviations count linearly.
HUBER = 1.5


@dataclass(frozen=True)
class Prior:
    """What is assumed before any run is seen; wide against what a sweep of a few dozen runs says.

    Attributes:
        slopes: Octaves of a hyperparameter's optimum per octave of an input in the middle of the sweep: rounded from
            the published laws.
        slope_sd: Their standard deviation.
        curvature: Log excess loss per squared octave at the bottom, by hyperparameter, and ``other``.
        curvature_log_sd: Standard deviation of the log of the basin's Cholesky diagonal.
        skew: Towards high learning rates the basin is steeper.
        shape_sd: Of tilt (relative) and skew.
        drift_sd: Of the width's drift, per octave of an input.
        bends: Mean and standard deviation of the exponents of the factors that bend the law
            (:mod:`scaling.sweep.features`), by hyperparameter, and ``other``. The optimal batch size rises faster
            with tokens the longer the training: the means are near what a vague prior finds on the cells of Step
            Law's sweep below 3e19 FLOP (0.4 and 0.3, each give or take 0.3 to 0.5). Bends of the learning rate made
            predictions of other cells worse, and are shrunk towards none.
        scatter: Typical scatter of a cell's optimum around the law, octaves.
        scatter_cells: How many cells' worth of evidence that is.
        noise: Typical noise of log loss.
        noise_runs: How many runs' worth of evidence that is.
    """

    slopes: Mapping[str, Mapping[str, float]] = field(
        default_factory=lambda: {
            "lr": {"params": -0.5, "tokens": 0.1},
            "batch_size": {"params": 0.0, "tokens": 0.5},
        }
    )
    slope_sd: float = 0.7
    curvature: Mapping[str, float] = field(
        default_factory=lambda: {"lr": 0.005, "batch_size": 0.003, "other": 0.002}
    )
    curvature_log_sd: float = 1.2
    skew: Mapping[str, float] = field(default_factory=lambda: {"lr": 0.6})
    shape_sd: float = 0.4
    drift_sd: float = 0.1
    bends: Mapping[str, Mapping[str, tuple[float, float]]] = field(
        default_factory=lambda: {
            "batch_size": {FEW_TOKENS: (0.5, 0.3), SHORT_TRAINING: (0.5, 0.3)},
            "other": {FEW_TOKENS: (0.0, 0.15)},
        }
    )
    scatter: float = 0.3
    scatter_cells: float = 3.0
    noise: float = 0.0012
    noise_runs: float = 5.0

    def bends_of(self, hyper: str) -> Mapping[str, tuple[float, float]]:
        """Mean and standard deviation of the exponents of a hyperparameter's bends."""
        return self.bends.get(hyper, self.bends["other"])


class Problem:
    """Residuals, slopes and prior of the joint posterior at one setting of noise and scatter."""

    def __init__(self, sweep: Sweep, made: Design, prior: Prior) -> None:
        self.sweep, self.design, self.prior = sweep, made, prior
        self.hypers, self.cells = len(sweep.hypers), sweep.cells
        self.layout = Layout(self.hypers, len(sweep.inputs))
        self.beta_size, self.basin_size = made.size, self.layout.size
        self.size = self.beta_size + self.basin_size + self.cells * self.hypers
        self.mean, self.precision = self._prior_moments()
        best = np.full(self.cells, np.inf)
        np.minimum.at(best, sweep.cell, sweep.log_loss)
        self.observed_excess = sweep.log_loss - best[sweep.cell]

    def _prior_moments(self) -> tuple[Array, Array]:
        prior, sweep = self.prior, self.sweep
        mean, sd = [], []
        for column, (hyper, names) in enumerate(zip(sweep.hypers, self.design.names, strict=True)):
            bends = {name: one for name, one in prior.bends_of(hyper).items() if name in names}
            known = {
                "constant": (float(np.median(sweep.z[:, column])), 5.0),
                **{name: (self._slope(hyper, name, bends), prior.slope_sd) for name in sweep.inputs},
                **bends,
            }
            for name in names:
                mean.append(known[name][0])
                sd.append(known[name][1])
        depth = [prior.curvature.get(hyper, prior.curvature["other"]) for hyper in sweep.hypers]
        for row, column in zip(*(index.tolist() for index in np.tril_indices(self.hypers)), strict=True):
            diagonal = row == column
            mean.append(0.5 * np.log(depth[row]) if diagonal else 0.0)
            sd.append(0.5 * prior.curvature_log_sd if diagonal else prior.shape_sd * np.sqrt(depth[row]))
        mean += [float(np.arctanh(prior.skew.get(hyper, 0.0))) for hyper in sweep.hypers]
        sd += [prior.shape_sd] * self.hypers + [prior.drift_sd] * len(sweep.inputs)
        mean += [0.0] * (len(sweep.inputs) + self.cells * self.hypers)
        sd += [prior.scatter] * (self.cells * self.hypers)
        return np.asarray(mean, dtype=np.float64), 1.0 / np.asarray(sd, dtype=np.float64) ** 2

    def _slope(self, hyper: str, name: str, bends: Mapping[str, tuple[float, float]]) -> float:
        """Prior exponent of an input: the slope in the middle of the sweep, less what the bends add to it there."""
        added = (
            middle * slopes(bend, self.design.ratio_mid).get(name, 0.0) for bend, (middle, _) in bends.items()
        )
        return self.prior.slopes.get(hyper, {}).get(name, 0.0) - sum(added)

    def set_scatter(self, scatter: Array) -> None:
        """Prior width of the cells' offsets, octaves. Shape ``(P,)``."""
        self.precision[self.beta_size + self.basin_size :] = np.tile(1.0 / scatter**2, self.cells)

    def distances(self, theta: Array) -> Array:
        """Octaves of each run from its cell's optimum. Shape ``(runs, P)``."""
        columns, start = [], 0
        for matrix in self.design.matrices:
            columns.append(matrix @ theta[start : start + matrix.shape[1]])
            start += matrix.shape[1]
        offsets = theta[self.beta_size + self.basin_size :].reshape(self.cells, self.hypers)
        centre = np.stack(columns, axis=1) + offsets
        return np.asarray(self.sweep.z - centre[self.sweep.cell])

    def excess_and_jacobian(self, theta: Array) -> tuple[Array, Array]:
        """Predicted excess and its slopes in ``theta``. Shapes ``(runs,)`` and ``(runs, size)``."""
        cell = self.sweep.cell
        d = self.distances(theta)
        q, in_d, in_basin = excess_and_slopes(
            theta[self.beta_size : self.beta_size + self.basin_size], self.layout, d, self.sweep.x[cell]
        )
        jacobian = np.zeros((len(q), self.size))
        start = 0
        for column, matrix in enumerate(self.design.matrices):
            width = matrix.shape[1]
            jacobian[:, start : start + width] = -in_d[:, column : column + 1] * matrix[cell]
            start += width
        jacobian[:, self.beta_size : self.beta_size + self.basin_size] = in_basin
        rows = np.arange(len(q))
        for column in range(self.hypers):
            at = self.beta_size + self.basin_size + cell * self.hypers + column
            jacobian[rows, at] = -in_d[:, column]
        return q, jacobian

    def weights(self, q: Array, noise: float, misfit: float, used: Mask) -> Array:
        """Inverse variances; zero for runs outside the basin. Shape ``(runs,)``."""
        return np.asarray(used / (noise**2 + (misfit * q) ** 2))

    def inside(self, noise: float) -> NDArray[np.bool_]:
        """Runs that shape the basin. Shape ``(runs,)``."""
        reach = np.array([
            np.quantile(self.observed_excess[self.sweep.cell == cell], _SHARE) for cell in range(self.cells)
        ])  # fmt: skip
        reach = np.clip(reach, max(_REACH, 10.0 * noise), max(_FAR, 10.0 * noise))
        return np.asarray(self.observed_excess <= reach[self.sweep.cell])

    def profile(self, values: Array, weight: Array) -> Array:
        """``values`` (shape ``(runs,)`` or ``(runs, k)``) less their weighted cell means."""
        total = np.bincount(self.sweep.cell, weight, self.cells)
        if values.ndim == 1:
            means = np.bincount(self.sweep.cell, weight * values, self.cells) / total
            return np.asarray(values - means[self.sweep.cell])
        sums = np.zeros((self.cells, values.shape[1]))
        np.add.at(sums, self.sweep.cell, weight[:, None] * values)
        return np.asarray(values - (sums / total[:, None])[self.sweep.cell])

    def score(self, theta: Array, weight: Array) -> tuple[float, Array]:
        """Pseudo-Huber objective with levels eliminated, and scaled residuals."""
        q = self.predicted(theta)
        scaled = self.profile(self.sweep.log_loss - q, weight) * np.sqrt(weight)
        data = 2.0 * HUBER**2 * (np.sqrt(1.0 + (scaled / HUBER) ** 2) - 1.0)
        return float(data.sum() + (self.precision * (theta - self.mean) ** 2).sum()), scaled

    def predicted(self, theta: Array) -> Array:
        """Excess log loss of each run. Shape ``(runs,)``."""
        basin = Basin.unpack(theta[self.beta_size : self.beta_size + self.basin_size], self.layout)
        return excess(basin, self.distances(theta), self.sweep.x[self.sweep.cell])

    def robust(self, weight: Array, residual: Array) -> Array:
        """Weights of the pseudo-Huber objective as reweighted least squares."""
        return np.asarray(weight / np.sqrt(1.0 + weight * residual**2 / HUBER**2))

    def normal_equations(self, theta: Array, weight: Array) -> tuple[Array, Array]:
        """Gauss-Newton matrix and gradient of half the objective."""
        q, jacobian = self.excess_and_jacobian(theta)
        residual = self.profile(self.sweep.log_loss - q, weight)
        robust = self.robust(weight, residual)
        centred = self.profile(jacobian, robust)
        residual = self.profile(self.sweep.log_loss - q, robust)
        weighted = centred * robust[:, None]
        matrix = weighted.T @ centred
        matrix[np.diag_indices(self.size)] += self.precision
        return matrix, weighted.T @ residual - self.precision * (theta - self.mean)
