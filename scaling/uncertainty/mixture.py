"""Mixtures of Student's t distributions: what is believed of a new run once all hyperparameters are averaged out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Mixture"]

Array = NDArray[np.float64]
#: Components with less weight than this change no quantile that anyone would read.
NEGLIGIBLE = 1e-4


@dataclass(frozen=True)
class Mixture:
    """For each of ``m`` points, a mixture of ``k`` shifted and scaled t distributions.

    Attributes:
        weights: Of the components, shape ``(k,)``, summing to one.
        centres: Shape ``(k, m)``.
        scales: Shape ``(k, m)``.
        degrees: Degrees of freedom, shared by all components.
    """

    weights: Array
    centres: Array
    scales: Array
    degrees: float

    def cdf(self, values: Array) -> Array:
        """Probability of a smaller value, for one value a point: shape ``(m,)`` to ``(m,)``."""
        from scipy.special import stdtr

        result: Array = self.weights @ stdtr(self.degrees, (values - self.centres) / self.scales)
        return result

    def quantiles(self, levels: ArrayLike) -> Array:
        """Quantiles of every point, shape ``(levels, m)``, by bisection between the components' own quantiles."""
        from scipy.special import stdtrit

        kept = self._trimmed()
        rows = []
        for level in np.atleast_1d(np.asarray(levels, dtype=np.float64)):
            ends = kept.centres + kept.scales * stdtrit(kept.degrees, level)
            # At the smallest of the components' quantiles, the mixture's probability is at most `level`.
            low, high = ends.min(axis=0), ends.max(axis=0)
            for _ in range(26):
                middle = 0.5 * (low + high)
                below = kept.cdf(middle) < level
                low, high = np.where(below, middle, low), np.where(below, high, middle)
            rows.append(0.5 * (low + high))
        return np.array(rows)

    def _trimmed(self) -> Mixture:
        kept = self.weights > NEGLIGIBLE
        weights = self.weights[kept] / self.weights[kept].sum()
        return Mixture(weights, self.centres[kept], self.scales[kept], self.degrees)
