"""The judge of a predicted setting: a Gaussian process over the runs of one cell.

``log2 lr`` and ``log2 batch size`` of the runs within 2 % of their cell's best; squared-exponential kernel with one
range an axis and white noise, by maximum likelihood from several starts; loss standardised.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

__all__ = ["Surface", "surface"]

Array = NDArray[np.float64]

WITHIN = 1.02
GRID = 81


def _kernel(a: Array, b: Array, ranges: Array) -> Array:
    difference = (a[:, None, :] - b[None, :, :]) / ranges
    return np.exp(-0.5 * (difference**2).sum(axis=-1))


@dataclass(frozen=True)
class Surface:
    """A fitted surface of one cell.

    Attributes:
        x: Settings that it was fitted to, log2. Shape ``(n, 2)``.
        alpha: Kernel weights. Shape ``(n,)``.
        ranges: Of the kernel, octaves.
        amplitude: Variance of the kernel, standardised.
        noise: Variance of the noise, standardised.
        shift: Mean of the loss.
        scale: Standard deviation of the loss.
        best: Minimum over the box of the settings.
        best_at: Where it is.
        all_x: Settings of all runs of the cell.
        all_loss: Their losses.
    """

    x: Array
    alpha: Array
    ranges: Array
    amplitude: float
    noise: float
    shift: float
    scale: float
    best: float
    best_at: Array
    all_x: Array
    all_loss: Array

    def loss(self, at: Array) -> Array:
        """Surface at settings (shape ``(n, 2)``, log2)."""
        return (
            self.shift
            + self.scale * self.amplitude * _kernel(np.atleast_2d(at), self.x, self.ranges) @ self.alpha
        )

    def gap(self, at: Array) -> float:
        """Surface at a setting against its minimum, relative."""
        return float(self.loss(at)[0] / self.best - 1.0)

    def gap_error(self, at: Array) -> float:
        """Standard deviation of the gap as the surface itself knows it, relative."""
        ends = np.vstack([at, self.best_at])
        factor = cho_factor(
            self.amplitude * _kernel(self.x, self.x, self.ranges) + self.noise * np.eye(len(self.x)),
            lower=True,
        )
        cross = self.amplitude * _kernel(ends, self.x, self.ranges)
        covariance = self.amplitude * _kernel(ends, ends, self.ranges) - cross @ cho_solve(factor, cross.T)
        variance = float(covariance[0, 0] + covariance[1, 1] - 2.0 * covariance[0, 1])
        return self.scale * max(variance, 0.0) ** 0.5 / self.best

    def left_out(self) -> Array:
        """Loss of each run that the surface was fitted to, by the others (Rasmussen and Williams 2006, eq. 5.12)."""
        matrix = self.amplitude * _kernel(self.x, self.x, self.ranges) + self.noise * np.eye(len(self.x))
        others = matrix @ self.alpha - self.alpha / np.diag(np.linalg.inv(matrix))
        return np.asarray(self.shift + self.scale * others)

    def grid_gap(self, at: Array) -> float:
        """Loss of the nearest run against the best run, relative."""
        nearest = int(np.argmin(((self.all_x - at) ** 2).sum(axis=1)))
        return float(self.all_loss[nearest] / self.all_loss.min() - 1.0)

    def slice_gap(self, lr: float, batch: float) -> float:
        """Surface at a learning rate against the best learning rate at the same batch size (both log2)."""
        low, high = self.x[:, 0].min(), self.x[:, 0].max()
        line = np.linspace(low, high, 401)
        along = self.loss(np.column_stack([line, np.full(len(line), batch)]))
        return float(self.loss(np.array([np.clip(lr, low, high), batch]))[0] / along.min() - 1.0)


def surface(
    lr: Array, batch: Array, loss: Array, *, keep: Array | None = None, ranges: Array | None = None
) -> Surface:
    """Fit the surface of one cell; ``keep`` replaces the rule of 2 %, ``ranges`` those of highest likelihood."""
    all_x = np.log2(np.column_stack([lr, batch]))
    near = loss <= WITHIN * loss.min() if keep is None else keep
    x, y = all_x[near], loss[near]
    shift, scale = float(y.mean()), float(y.std())
    target = (y - shift) / scale

    def objective(theta: Array) -> float:
        at, amplitude, noise = np.exp(theta[:2]), np.exp(theta[2]), np.exp(theta[3])
        matrix = amplitude * _kernel(x, x, at) + noise * np.eye(len(x))
        factor = cho_factor(matrix, lower=True)
        return float(0.5 * target @ cho_solve(factor, target) + np.log(np.diag(factor[0])).sum())

    free = [(np.log(0.5), np.log(30))] * 2 if ranges is None else [(r, r) for r in np.log(ranges).tolist()]
    bounds = [*free, (np.log(1e-2), np.log(1e3)), (np.log(1e-5), 0.0)]
    centre = np.log([1.0, 1.0] if ranges is None else ranges)
    wider = (0.0, np.log(2.5)) if ranges is None else (0.0,)
    starts = [(*(centre + add), 0.0, np.log(b)) for add in wider for b in (0.01, 0.1)]
    fits = [minimize(objective, start, bounds=bounds, method="L-BFGS-B") for start in starts]
    theta = min(fits, key=lambda fit: float(fit.fun)).x
    found, amplitude, noise = np.exp(theta[:2]), float(np.exp(theta[2])), float(np.exp(theta[3]))
    alpha = np.linalg.solve(amplitude * _kernel(x, x, found) + noise * np.eye(len(x)), target)
    made = Surface(x, alpha, found, amplitude, noise, shift, scale, np.nan, x[0], all_x, loss)
    low, high = x.min(axis=0), x.max(axis=0)
    axes = [np.linspace(low[axis], high[axis], GRID) for axis in range(2)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    start = grid[int(np.argmin(made.loss(grid)))]
    polished = minimize(
        lambda at: float(made.loss(at)[0]), start, bounds=list(zip(low, high, strict=True)), method="L-BFGS-B"
    )
    return replace(made, best=float(polished.fun), best_at=np.asarray(polished.x))
