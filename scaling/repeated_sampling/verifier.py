"""Resampling until an imperfect verifier accepts: accuracy, reward, and how many samples are best.

Setting of Stroebl, Kapoor and Narayanan, "Inference Scaling fLaws: The Limits of LLM Resampling with Imperfect
Verifiers", arXiv 2411.17501. On one problem a sample is right and accepted with chance p, wrong and yet accepted
with chance q, and rejected with chance s = 1 - p - q. Sample i is looked at only if the i - 1 before it were
rejected, so the first accepted of at most K samples is right with chance

    sum_{i=1..K} s^(i-1) p  =  p (1 - s^K) / (1 - s),

wrong with q (1 - s^K) / (1 - s), and none is accepted with s^K. The survival s^(i-1) enters once: it is the chance of
getting to sample i, and p is the chance of what happens there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scaling.errors import InputError

__all__ = ["BestSamples", "Outcome", "best_samples", "resample"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """What comes of at most K samples, averaged over the problems; each of the shape of K.

    Attributes:
        correct: Share of problems answered rightly.
        wrong: Share answered wrongly: the verifier accepted a false positive.
        unanswered: Share without an accepted sample.
        samples: Mean number of samples drawn.
    """

    correct: Array
    wrong: Array
    unanswered: Array
    samples: Array

    def reward(self, cost_of_wrong: float, cost_of_sample: float = 0.0) -> Array:
        """1 for a right answer, minus the costs of wrong answers and of samples; 0 for no answer."""
        result: Array = self.correct - cost_of_wrong * self.wrong - cost_of_sample * self.samples
        return result


def resample(right: ArrayLike, false_positive: ArrayLike, k: ArrayLike) -> Outcome:
    """Outcome of resampling up to ``k`` times.

    Args:
        right: p of each problem: the sample is right and accepted. Shape ``(problems,)`` or a number.
        false_positive: q of each problem: the sample is wrong and accepted. Shape ``(problems,)`` or a number.
        k: Most samples; 0 is to give no answer. Any shape.

    Raises:
        InputError: Chances that are negative or sum to more than one, or a negative k.
    """
    p, q = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(x, dtype=np.float64)) for x in (right, false_positive))
    )
    most = np.asarray(k, dtype=np.float64)
    if not ((p >= 0) & (q >= 0) & (p + q <= 1 + 1e-12)).all():
        raise InputError("chances must be at least 0 and p + q at most 1", key="right")
    if not (most >= 0).all():
        raise InputError("a negative number of samples", key="k")
    accept = p + q
    with np.errstate(divide="ignore", invalid="ignore"):
        stopped = -np.expm1(most[..., None] * np.log1p(-np.minimum(accept, 1.0)))
        stopped = np.where(most[..., None] == 0, 0.0, stopped)
        each = np.where(accept > 0, stopped / np.where(accept > 0, accept, 1.0), 0.0)
        drawn = np.where(accept > 0, each, most[..., None])
    return Outcome((p * each).mean(-1), (q * each).mean(-1), (1.0 - stopped).mean(-1), drawn.mean(-1))


@dataclass(frozen=True)
class BestSamples:
    """The best number of samples and what it earns; ``k`` is ``largest`` where more is better still."""

    k: int
    reward: float
    bounded: bool


def best_samples(
    right: ArrayLike,
    false_positive: ArrayLike,
    *,
    cost_of_wrong: float = 1.0,
    cost_of_sample: float = 0.0,
    largest: int = 10_000,
) -> BestSamples:
    """How many samples are best, 0 (answer nothing) to ``largest``.

    On one problem every further sample adds ``s^(K) (p - cost q)``, of one sign for all K: more is always better, or
    always worse. A finite best number comes from problems that differ: easy ones are settled by the first samples, and
    what is left has ever more false positives; or from a cost of each sample.
    """
    k = np.arange(largest + 1)
    reward = np.concatenate(
        [
            resample(right, false_positive, part).reward(cost_of_wrong, cost_of_sample)
            for part in np.array_split(k, 50)
        ]
    )
    best = int(np.argmax(reward))
    return BestSamples(best, float(reward[best]), bool(reward[best] > reward[-1] + 1e-12))
