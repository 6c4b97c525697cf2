"""What cells of one model size have in common: their optima leave the law together.

Models of one size share width, depth and everything else that a law in params and tokens does not see, so the offsets
of their cells from the law are alike. At a size that has been measured with other numbers of tokens, the prediction
takes over what they share, by simple kriging on the offsets (Cressie, "Statistics for Spatial Data", 1993, section
3.2); far from all measured sizes it is the law alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling.sweep.pooled import PooledFit

__all__ = ["Shared", "fit_shared"]

Array = NDArray[np.float64]

#: Share of the variance of the offsets that cells of one model size have in common, and how many octaves of size it
#: takes for it to fade; chosen on Step Law's cells below 3e19 FLOP.
_SHARE, _RANGE = 0.8, 0.25


@dataclass(frozen=True)
class Shared:
    """Common offsets of model sizes.

    Attributes:
        names: Inputs that make a model size: all but ``tokens``.
        sizes: Of each cell, octaves from the middle of the cells. Shape ``(cells, len(names))``.
        weights: Kriging weights of the offsets. Shape ``(cells, P)``.
    """

    names: tuple[str, ...]
    sizes: Array
    weights: Array

    def shift(self, inputs: tuple[str, ...], x: Array) -> Array:
        """Octaves to add to the law.

        Args:
            inputs: Variables that the law is written in.
            x: A size in them, octaves from the middle of the cells. Shape ``(F,)``.

        Returns:
            Shape ``(P,)``.
        """
        at = np.array([[x[inputs.index(name)] for name in self.names]])
        return np.asarray((_alike(at, self.sizes) @ self.weights)[0])

    def to_dict(self) -> dict[str, Any]:
        """For a law file."""
        return {"names": list(self.names), "sizes": self.sizes.tolist(), "weights": self.weights.tolist()}

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Shared:
        """Back from a law file."""
        sizes, weights = (np.array(stored[name], dtype=np.float64) for name in ("sizes", "weights"))
        return cls(tuple(stored["names"]), sizes, weights)


def fit_shared(fit: PooledFit) -> Shared | None:
    """Common offsets of a fit's cells; ``None`` where no input but tokens tells cells apart."""
    names = tuple(name for name in fit.sweep.inputs if name != "tokens")
    if not names:
        return None
    sizes = fit.sweep.x[:, [fit.sweep.inputs.index(name) for name in names]]
    matrix = _alike(sizes, sizes) + (1.0 - _SHARE) * np.eye(len(sizes))
    return Shared(names, sizes, np.asarray(np.linalg.solve(matrix, fit.offsets)))


def _alike(a: Array, b: Array) -> Array:
    """Correlation of the offsets of different cells. Shapes ``(m, k)`` and ``(n, k)``, result ``(m, n)``."""
    apart = ((a[:, None, :] - b[None, :, :]) ** 2).sum(axis=-1)
    return np.asarray(_SHARE * np.exp(-0.5 * apart / _RANGE**2))
