"""pass@k of one problem, without bias, from n samples of which c are correct."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scaling.errors import InputError

__all__ = ["pass_at_k"]

Array = NDArray[np.float64]


def pass_at_k(samples: ArrayLike, correct: ArrayLike, k: ArrayLike) -> Array:
    """Chance that at least one of ``k`` samples is correct: ``1 - C(n - c, k) / C(n, k)``.

    Chen et al., "Evaluating Large Language Models Trained on Code", arXiv 2107.03374, equation 1; as a sum of
    ``log1p``, so that neither large ``n`` overflows nor small chances are lost to cancellation.

    Args:
        samples: n, samples drawn a problem. Broadcasts with the others.
        correct: c, how many were correct.
        k: Samples allowed; at most ``n``: the estimator knows nothing beyond (published code that returns 1 wherever
            ``n - c < k`` counts problems without a single success as solved when ``k > n``).

    Returns:
        Shape of the arguments broadcast together.

    Raises:
        InputError: ``c`` outside 0 to ``n``, or ``k`` outside 1 to ``n``.
    """
    n, c, allowed = np.broadcast_arrays(
        *(np.asarray(part, dtype=np.float64) for part in (samples, correct, k))
    )
    if not ((c >= 0) & (c <= n)).all():
        raise InputError("more correct samples than samples, or fewer than none", key="correct")
    if not ((allowed >= 1) & (allowed <= n)).all():
        raise InputError(
            f"pass@{np.max(allowed):g} cannot be estimated from {np.min(n):g} samples",
            key="k",
            remedy="draw more samples, or predict it with scaling.repeated_sampling.fit_pass_at_k",
        )
    # C(n-c, k) / C(n, k) is the product of 1 - k / (n - i) over i < c, or of 1 - c / (n - i) over i < k.
    few, many = np.minimum(c, allowed), np.maximum(c, allowed)
    log_none = np.zeros(n.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        for i in range(int(few.max(initial=0.0))):
            log_none += np.where(i < few, np.log1p(-np.minimum(many / (n - i), 1.0)), 0.0)
    result: Array = -np.expm1(log_none)
    return result
