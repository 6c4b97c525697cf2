"""How sure parameters are: resampled runs, and the sandwich formula where there are no replicates."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from scaling.fitting.losses import get_loss
from scaling.laws.base import Law

__all__ = ["resample", "sandwich"]

Array = NDArray[np.float64]


def resample(
    runs: int, replicates: int, parameters: int, *, seed: int = 0, groups: NDArray[np.generic] | None = None
) -> Array:
    """How often each run counts in each bootstrap replicate.

    Args:
        runs: Number of runs, ``n``.
        replicates: Number of replicates, ``R``.
        parameters: Replicates with fewer distinct runs than this say nothing and are drawn again.
        seed: Of the generator.
        groups: Rows of one training run (shape ``(n,)``) are drawn together.

    Returns:
        Counts, shape ``(R, n)``.
    """
    rng = np.random.default_rng(seed)
    if groups is None:
        members = np.arange(runs)
    else:
        members = np.unique(groups.astype(str), return_inverse=True)[1]
    units = int(members.max()) + 1
    needed = min(parameters, units)
    counts = rng.multinomial(units, np.full(units, 1.0 / units), size=replicates)
    # With as many runs as parameters, nearly every draw repeats one; a draw of all of them is then the fit itself.
    for _ in range(100):
        poor = (counts > 0).sum(axis=1) < needed
        if not poor.any():
            break
        counts[poor] = rng.multinomial(units, np.full(units, 1.0 / units), size=int(poor.sum()))
    counts[(counts > 0).sum(axis=1) < needed] = 1
    return counts[:, members].astype(np.float64)


def sandwich(
    law: Law, theta: Array, inputs: Mapping[str, Array], target: Array, loss: str, delta: float
) -> Array:
    """Covariance of the parameters without replicates (Huber's sandwich), shape ``(p, p)``.

    Directions that the data do not identify get an infinite variance on the diagonal.
    """
    model = law.natural_model
    local = model.local(theta[None], model.bind(inputs))
    value, slopes = local.value[0], local.slopes[0]
    if law.residuals == "log":
        residuals, slopes = np.log(value / target), slopes / value
    else:
        residuals = value - target
    rule = get_loss(loss)
    slope = rule.terms(residuals[None], delta)[1][0]
    # Few residuals lie within a small delta. Their share is read off a wider window, as one estimates a density.
    spread = 1.06 * residuals.std() * len(residuals) ** -0.2
    window = max(delta, spread)
    bend = rule.terms(residuals[None], window)[2][0].mean()
    bend *= {"huber": delta / window, "absolute": 1.0, "soft-l1": delta / window}.get(rule.name, 1.0)
    bread = bend * (slopes @ slopes.T)
    meat = (slopes * slope**2) @ slopes.T
    n, p = len(target), len(theta)
    scale = np.sqrt(np.maximum(np.diag(bread), 1e-300))
    values, vectors = np.linalg.eigh(bread / np.outer(scale, scale))
    if values[0] < 1e-12 * values[-1]:
        return np.diag(np.full(p, np.inf))
    inverse = (vectors / values) @ vectors.T / np.outer(scale, scale)
    result: Array = inverse @ meat @ inverse * (n / max(n - p, 1))
    return result
