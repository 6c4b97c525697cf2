"""What a seed does to all configurations alike, and how unsure it leaves the level of an estimate.

A seed may decide more than the noise of training: which data are held out, which level is played. All configurations
meet the tuning seeds in the same order, so that most runs of a race share the first one. What that one does to all of
them does not average out over configurations, and is not in what the surrogate calls noise. On seed j, configuration i
measures y_ij = m_i + s_j + e_ij; runs of the same configurations on several seeds tell the s_j apart from the m_i.

Source: a two-way mixed model, the configurations' means being profiled out (restricted likelihood: Patterson and
Thompson, "Recovery of inter-block information when block sizes are unequal", Biometrika 58, 1971), averaged over the
ratio of both variances.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["seed_variance"]

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.intp]

# Variance of the s_j over that of the e_ij. That there is none is nineteen times as likely beforehand as all others
# together: of most training, seeds are only noise, and an interval must not grow for nothing.
_RATIOS = np.array([0.0, 0.1, 0.3, 1.0, 3.0, 10.0])
_PRIOR = np.array([0.95, *[0.01] * 5])
# Fewer differences within configurations say nothing of seeds.
_LEAST = 4


def seed_variance(rows: Labels, seeds: Labels, values: Array, weights: Array) -> float:
    """Mean square of what the seeds met add to an estimate that is to hold for any seed.

    Args:
        rows: ``r``; the configuration of each run.
        seeds: ``r``; its seed.
        values: ``r``; its value.
        weights: ``r``; its weight in the estimate.

    Returns:
        In the unit of the values, squared; 0 where seeds cannot be told apart from configurations.
    """
    members, counts = np.unique(rows, return_inverse=True, return_counts=True)[1:]
    labels = np.unique(seeds, return_inverse=True)[1]
    spare = len(values) - len(counts)
    if labels.max(initial=0) < 1 or spare < _LEAST:
        return 0.0
    deviation = values - (np.bincount(members, values) / counts)[members]
    total = float(deviation @ deviation)
    if total <= 0:
        return 0.0
    met = np.zeros((len(values), labels.max() + 1))
    met[np.arange(len(values)), labels] = 1
    held = np.zeros((len(counts), met.shape[1]))
    np.add.at(held, members, met)
    sizes, vectors = np.linalg.eigh(met.T @ met - held.T @ (held / counts[:, None]))
    turned = vectors.T @ (met.T @ deviation)
    share = (weights @ met) @ vectors
    shrink = _RATIOS[:, None] / (1 + _RATIOS[:, None] * np.maximum(sizes, 0.0))
    # Residual sum of squares and evidence for each ratio, the variance of noise being profiled out.
    rest = np.maximum(total - shrink @ turned**2, 1e-12 * total)
    determinant = np.log1p(_RATIOS[:, None] * np.maximum(sizes, 0.0)).sum(1)
    log_evidence = np.log(_PRIOR) - 0.5 * (spare * np.log(rest) + determinant)
    chance = np.exp(log_evidence - log_evidence.max())
    squares = (shrink @ (turned * share)) ** 2 + (shrink @ share**2) * rest / spare
    return float(chance @ squares / chance.sum())
