"""Chained laws: a law of the loss put through a law of what follows from the loss, with both errors.

The error of a task follows from the loss (Gadre et al., arXiv 2403.08540, equation 5), and the loss from parameters and
tokens. A prediction that takes the predicted loss as if it had been measured drops the first law's uncertainty.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scaling.uncertainty.predictive import predictive_mixture

if TYPE_CHECKING:
    from scaling.fitted import FittedLaw

__all__ = ["chained", "through"]

Array = NDArray[np.float64]
#: Quantiles of the loss, and draws of the second law for each.
QUANTILES, DRAWS = 199, 40


def through(fitted: FittedLaw, points: Mapping[str, Any]) -> bool:
    """Whether these points reach the law through the one before it: they give its inputs in place of the loss."""
    before = fitted.upstream
    return before is not None and before.output not in points


def chained(fitted: FittedLaw, points: Mapping[str, Any], level: float) -> tuple[Array, Array, Array]:
    """Median and interval of one new run at each point, both laws' parameters, noise and own error counted.

    Args:
        fitted: The second law, with ``upstream`` the first.
        points: The first law's inputs, each of shape ``(m,)``.
        level: Coverage that the interval claims.

    Returns:
        Median, lower and upper end, each of shape ``(m,)``.
    """
    before = fitted.upstream
    assert before is not None
    rng = np.random.default_rng(fitted.options.seed)
    base, mixture = predictive_mixture(before, points)
    shares = (np.arange(QUANTILES) + 0.5) / QUANTILES
    moved = np.asarray(mixture.quantiles(shares), dtype=np.float64)
    losses = base * np.exp(moved) if before.law.residuals == "log" else base + moved
    rows = fitted.draws if len(fitted.draws) else fitted.theta[None]
    degrees = max(len(fitted.target) - len(fitted.theta), 1)
    noise = fitted.residuals * np.sqrt(len(fitted.target) / degrees)
    ends = np.empty((3, losses.shape[1]))
    wanted = [0.5, (1 - level) / 2, (1 + level) / 2]
    for place in range(losses.shape[1]):
        chosen = rows[rng.integers(len(rows), size=DRAWS)]
        values = fitted.law.predict(chosen, {before.output: losses[:, place]})
        drawn = rng.choice(noise, size=values.shape)
        with np.errstate(all="ignore"):
            values = values * np.exp(drawn) if fitted.law.residuals == "log" else values + drawn
        ends[:, place] = np.nanquantile(values, wanted)
    return ends[0], ends[1], ends[2]
