"""The shape that all cells share: how the loss rises as hyperparameters leave their optimum.

In octaves ``d`` from the optimum, the excess of log loss is

    q = exp(g . x) * t' A t,      t_p = d_p sqrt(1 + s_p tanh(d_p / 2)),

a positive-definite quadratic ``A`` (its off-diagonal is the trade between learning rate and batch size) in axes that
are stretched on one side by ``s``, saturating two octaves out, with a width that drifts with size by ``g``. Only
runs near the bottom shape it, so that divergence at high learning rates cannot bend it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Basin", "Layout", "best_given", "contour", "excess", "excess_and_slopes", "extent"]

Array = NDArray[np.float64]

#: Octaves over which the skew saturates.
_SKEW_RANGE = 2.0
#: Largest skew; below 1 the axes stay monotone, so the basin has one bottom.
_MAX_SKEW = 0.95


@dataclass(frozen=True)
class Layout:
    """Where the basin's parameters stand in one flat vector: Cholesky factor, skews, drifts.

    Attributes:
        hypers: ``P``.
        inputs: ``F``, variables that the width drifts with.
    """

    hypers: int
    inputs: int

    @property
    def triangle(self) -> int:
        """Entries of the Cholesky factor."""
        return self.hypers * (self.hypers + 1) // 2

    @property
    def size(self) -> int:
        """Length of the vector."""
        return self.triangle + self.hypers + self.inputs


@dataclass(frozen=True)
class Basin:
    """Basin parameters, unpacked.

    Attributes:
        factor: Lower-triangular ``L`` with ``A = L L'``. Shape ``(P, P)``.
        skew: ``s``. Shape ``(P,)``.
        drift: ``g``. Shape ``(F,)``.
    """

    factor: Array
    skew: Array
    drift: Array

    @classmethod
    def unpack(cls, theta: Array, layout: Layout) -> Basin:
        """From the flat vector: the diagonal of ``L`` by its log, the skew by its inverse hyperbolic tangent."""
        size = layout.hypers
        factor = np.zeros((size, size))
        factor[np.tril_indices(size)] = theta[: layout.triangle]
        diagonal = np.arange(size)
        factor[diagonal, diagonal] = np.exp(np.clip(factor[diagonal, diagonal], -12.0, 3.0))
        skew = _MAX_SKEW * np.tanh(theta[layout.triangle : layout.triangle + size])
        return cls(factor, skew, theta[layout.triangle + size :])

    def curvature(self, x: Array) -> Array:
        """Second-order matrix of the excess at size ``x`` (shape ``(F,)``). Shape ``(P, P)``."""
        return np.asarray(self.factor @ self.factor.T * np.exp(float(x @ self.drift)))


def _stretch(d: Array, skew: Array) -> tuple[Array, Array, Array]:
    """``t``, its slope in ``d`` and its slope in ``s``. Shapes as ``d``: ``(..., P)``."""
    bend = np.tanh(d / _SKEW_RANGE)
    root = np.sqrt(1.0 + skew * bend)
    slope = root + d * skew * (1.0 - bend**2) / (2.0 * _SKEW_RANGE * root)
    return d * root, slope, d * bend / (2.0 * root)


def excess(basin: Basin, d: Array, x: Array) -> Array:
    """Excess log loss.

    Args:
        basin: Shape of the basin.
        d: Octaves from the optimum. Shape ``(..., P)``.
        x: Size, in octaves from the middle of the cells. Shape ``(..., F)``.

    Returns:
        Shape ``(...)``.
    """
    t, _, _ = _stretch(d, basin.skew)
    y = t @ basin.factor
    return np.asarray(np.exp(np.clip(x @ basin.drift, -8.0, 8.0)) * (y * y).sum(axis=-1))


def _unstretch(t: Array, skew: Array) -> Array:
    """Inverse of the stretch, by bisection (it is monotone). Shapes ``(..., P)``."""
    low, high = np.full_like(t, -60.0), np.full_like(t, 60.0)
    for _ in range(60):
        middle = 0.5 * (low + high)
        above = _stretch(middle, skew)[0] > t
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return 0.5 * (low + high)


def extent(basin: Basin, x: Array, tolerance: float) -> tuple[Array, Array]:
    """Octaves that each hyperparameter may go below and above the optimum at a cost of ``tolerance`` in log loss.

    The other hyperparameters follow along the valley: these are the extremes of the region, not of a cross-section.

    Returns:
        Lowest (negative) and highest distances. Shapes ``(P,)``.
    """
    inverse = np.linalg.inv(basin.curvature(x))
    reach = np.sqrt(tolerance * np.diag(inverse))
    return _unstretch(-reach, basin.skew), _unstretch(reach, basin.skew)


def contour(basin: Basin, x: Array, tolerance: float, points: int = 73) -> Array:
    """Closed curve on which a basin of two hyperparameters costs ``tolerance``. Shape ``(points, 2)``, octaves."""
    angle = np.linspace(0.0, 2.0 * np.pi, points)
    circle = np.sqrt(tolerance) * np.column_stack([np.cos(angle), np.sin(angle)])
    width = np.exp(0.5 * float(x @ basin.drift))
    t = np.linalg.solve(basin.factor.T * width, circle.T).T
    return _unstretch(t, basin.skew)


def best_given(basin: Basin, fixed: NDArray[np.bool_], distance: Array) -> Array:
    """Distances of least excess when some hyperparameters are held.

    In stretched axes the excess is quadratic, so the free ones follow in closed form.

    Args:
        basin: Shape of the basin.
        fixed: Which hyperparameters are held. Shape ``(P,)``, boolean.
        distance: Octaves from the optimum; entries that are not held are ignored. Shape ``(..., P)``.

    Returns:
        Distances of all hyperparameters. Shape ``(..., P)``.
    """
    held = np.asarray(fixed, dtype=bool)
    if held.all():
        return np.asarray(distance)
    matrix = basin.factor @ basin.factor.T
    t = _stretch(np.where(held, distance, 0.0), basin.skew)[0]
    follow = -np.linalg.solve(matrix[np.ix_(~held, ~held)], matrix[np.ix_(~held, held)])
    t[..., ~held] = t[..., held] @ follow.T
    return np.where(held, distance, _unstretch(t, basin.skew))


def excess_and_slopes(theta: Array, layout: Layout, d: Array, x: Array) -> tuple[Array, Array, Array]:
    """Excess, its slopes in ``d`` and in the basin's parameters.

    Args:
        theta: Flat basin parameters. Shape ``(layout.size,)``.
        layout: Their order.
        d: Octaves from the optimum. Shape ``(runs, P)``.
        x: Sizes. Shape ``(runs, F)``.

    Returns:
        ``q`` of shape ``(runs,)``, ``dq/dd`` of shape ``(runs, P)``, ``dq/dtheta`` of shape ``(runs, size)``.
    """
    basin = Basin.unpack(theta, layout)
    t, t_d, t_s = _stretch(d, basin.skew)
    y = t @ basin.factor
    width = np.exp(np.clip(x @ basin.drift, -8.0, 8.0))
    q = width * (y * y).sum(axis=1)
    q_t = 2.0 * width[:, None] * (y @ basin.factor.T)
    rows, columns = np.tril_indices(layout.hypers)
    in_factor = 2.0 * width[:, None] * t[:, rows] * y[:, columns]
    in_factor *= np.where(rows == columns, basin.factor[rows, columns], 1.0)
    in_skew = q_t * t_s * (_MAX_SKEW - basin.skew**2 / _MAX_SKEW)
    return q, q_t * t_d, np.concatenate([in_factor, in_skew, q[:, None] * x], axis=1)
