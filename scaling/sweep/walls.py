"""The walls of the basin, far from the optimum: what a badly chosen setting costs.

The pooled model looks only at the bottom. To predict the loss at any learning rate and batch size, all runs together
correct its walls: a Gaussian process over distance from the optimum (octaves) and size, on the log ratio of measured
to predicted excess loss. Where runs diverge the loss is close to chance, and so is this.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling.sweep.basin import Basin, excess
from scaling.sweep.pooled import PooledFit

__all__ = ["Walls", "fit_walls"]

Array = NDArray[np.float64]

#: Excess added before logs, so that noise at the bottom does not count.
_FLOOR = 0.004
#: Excess at which the quadratic walls bend over.
_SATURATION = 0.3
#: Octaves over which the correction varies, in hyperparameters and in inputs; its size; and its noise.
_HYPER_RANGE, _INPUT_RANGE, _AMPLITUDE, _NOISE = 1.0, 2.0, 0.5, 0.2
#: How far from the basin's own answer a better one is looked for, octaves, and in how many steps.
_SEARCH, _STEPS = 2.0, 401
#: Excess at which the basin and its walls have an equal say.
_NEAR = 3e-4
#: Runs beyond this are thinned: the solve grows with the cube of their number.
_MOST = 2500


@dataclass(frozen=True)
class Walls:
    """Correction of the basin's walls.

    Attributes:
        points: Distances and sizes of the runs, each over its range. Shape ``(runs, P + F)``.
        weights: Of the kernel centred on each. Shape ``(runs,)``.
    """

    points: Array
    weights: Array

    def excess(self, basin: Basin, d: Array, x: Array) -> Array:
        """Excess log loss at distances ``d`` (shape ``(n, P)``) and sizes ``x`` (shape ``(n, F)``)."""
        bent = _saturate(excess(basin, d, x))
        return np.exp(np.log(bent + _FLOOR) + _kernel(_scaled(d, x), self.points) @ self.weights) - _FLOOR

    def best_shift(self, basin: Basin, held: NDArray[np.bool_], d: Array, x: Array) -> Array:
        """How far the best free hyperparameter moves, in octaves, when the corrected walls are looked at.

        Args:
            basin: Shape of the basin.
            held: Which hyperparameters are held. One is free, or nothing is moved.
            d: Best distances by the basin alone. Shape ``(P,)``.
            x: Size. Shape ``(F,)``.

        Returns:
            Shape ``(P,)``, zero for what is held.
        """
        shift = np.zeros(len(d))
        if (~held).sum() != 1:
            return shift
        free = int(np.argmin(held))
        steps = np.linspace(-_SEARCH, _SEARCH, _STEPS)
        along = np.repeat(d[None, :], len(steps), axis=0)
        along[:, free] += steps
        cost = self.excess(basin, along, np.broadcast_to(x, (len(steps), len(x))))
        # Near the bottom the basin itself is the better guide: what is held costs nothing there.
        price = float(excess(basin, d, x))
        shift[free] = steps[int(np.argmin(cost))] * price / (price + _NEAR)
        return shift

    def to_dict(self) -> dict[str, Any]:
        """As a law file keeps it."""
        table = np.column_stack([self.points, self.weights])
        packed = base64.b64encode(zlib.compress(np.ascontiguousarray(table, dtype="<f8").tobytes(), 6))
        return {"shape": list(table.shape), "float64_zlib_base64": packed.decode()}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Walls:
        """Back from a law file."""
        table = np.frombuffer(zlib.decompress(base64.b64decode(stored["float64_zlib_base64"])), dtype="<f8")
        table = table.reshape(stored["shape"]).astype(np.float64)
        return cls(table[:, :-1], table[:, -1])


def fit_walls(fit: PooledFit) -> Walls:
    """Correct the walls from all runs of a pooled fit, those outside the basin included."""
    sweep = fit.sweep
    d = sweep.z - (fit.centres(sweep.x) + fit.offsets)[sweep.cell]
    x = sweep.x[sweep.cell]
    seen = np.maximum(sweep.log_loss - fit.levels[sweep.cell], -0.5 * _FLOOR)
    ratio = np.log(seen + _FLOOR) - np.log(_saturate(excess(fit.basin, d, x)) + _FLOOR)
    keep = np.arange(len(ratio))
    if len(keep) > _MOST:
        keep = np.linspace(0, len(keep) - 1, _MOST).astype(np.int64)
    points = _scaled(d, x)[keep]
    kernel = _kernel(points, points)
    kernel[np.diag_indices(len(kernel))] += _NOISE**2 + (fit.noise / (seen[keep] + _FLOOR)) ** 2
    return Walls(points, np.linalg.solve(kernel, ratio[keep]))


def _saturate(q: Array) -> Array:
    return np.asarray(_SATURATION * np.log1p(q / _SATURATION))


def _scaled(d: Array, x: Array) -> Array:
    return np.hstack([d / _HYPER_RANGE, x / _INPUT_RANGE])


def _kernel(a: Array, b: Array) -> Array:
    squared = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1)[None, :] - 2.0 * a @ b.T
    return np.asarray(_AMPLITUDE**2 * np.exp(-0.5 * np.maximum(squared, 0.0)))
