"""Thresholdout: a fixed validation set that may be looked at again and again without being overfitted.

Choosing by a validation set uses it up: after enough looks its score says more about the choices than about the
model. Thresholdout (Dwork, Feldman, Hardt, Pitassi, Reingold, Roth, "The reusable holdout: Preserving validity in
adaptive data analysis", Science 349, 2015; "Generalization in Adaptive Data Analysis and Holdout Reuse", algorithm 1,
arXiv 1506.02629) answers each look with the *training* score while that agrees with the holdout up to a noisy
threshold, and otherwise with the holdout's score plus noise, which spends one unit of a budget. When the budget is
spent it answers no more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from scaling.errors import ForetuneError

__all__ = ["Answer", "HoldoutSpent", "Thresholdout"]


class HoldoutSpent(ForetuneError):
    """The budget of looks that disagree with the training set is spent: the holdout can no longer be trusted."""


@dataclass(frozen=True)
class Answer:
    """What a look is told.

    Attributes:
        value: Estimate of the true mean.
        overfitted: Whether training and holdout disagreed, so that a unit of budget was spent.
        left: Units that are left.
    """

    value: float
    overfitted: bool
    left: int


class Thresholdout:
    """Guards a holdout of ``size`` examples.

    Scores must lie in [0, 1] (accuracies, or losses scaled to it): noise is in their unit. State is plain and can be
    kept between processes (:meth:`to_dict`): a guard that forgets its budget guards nothing.

    Args:
        budget: Looks that may disagree with the training set before it answers no more.
        threshold: Disagreement that is let pass, T. Default: four standard errors of a mean of ``size`` values, which
            is what adaptivity and chance may look like.
        noise: Scale of the Laplace noise, sigma. Default a tenth of the threshold: a look that agrees spends
            budget by bad luck one time in twenty.
        size: Examples in the holdout.
        seed: Of the noise. Keep it from whoever asks.
    """

    def __init__(
        self,
        budget: int,
        *,
        size: int,
        threshold: float | None = None,
        noise: float | None = None,
        seed: int | None = None,
    ) -> None:
        if budget < 1 or size < 1:
            raise ValueError("budget and size are at least 1")
        self.budget = budget
        self.size = size
        self.threshold = threshold if threshold is not None else 4 * 0.5 / np.sqrt(size)
        self.noise = noise if noise is not None else self.threshold / 10
        self.looks = 0
        self.spent = 0
        self._rng = np.random.default_rng(seed)
        self._offset = self._laplace(2)

    def look(self, training: ArrayLike, holdout: ArrayLike) -> Answer:
        """Estimate the mean that ``training`` and ``holdout`` both estimate.

        Args:
            training: Scores in [0, 1] of each training example, or their mean.
            holdout: The same of each holdout example, or their mean.

        Raises:
            HoldoutSpent: The budget is spent.
        """
        if self.spent >= self.budget:
            raise HoldoutSpent(
                f"{self.looks} looks have spent the holdout's budget of {self.budget}\n"
                "  judge what is left on fresh data, or report the scores as those of a set that was tuned on"
            )
        train, held = _mean(training), _mean(holdout)
        if not (0 <= train <= 1 and 0 <= held <= 1):
            raise ValueError(f"scores lie in [0, 1]: the noise is in their unit (got {train:g} and {held:g})")
        self.looks += 1
        if abs(held - train) <= self.threshold + self._offset + self._laplace(4):
            return Answer(train, False, self.budget - self.spent)
        self.spent += 1
        self._offset = self._laplace(2)  # a fresh threshold after each answer from the holdout
        return Answer(float(np.clip(held + self._laplace(1), 0, 1)), True, self.budget - self.spent)

    def guard(self, evaluate: Callable[[Any], tuple[ArrayLike, ArrayLike]]) -> Callable[[Any], Answer]:
        """``evaluate(model) -> (training scores, holdout scores)`` made into a function that only answers."""
        return lambda model: self.look(*evaluate(model))

    def _laplace(self, scale: float) -> float:
        return float(self._rng.laplace(0.0, scale * self.noise))

    def to_dict(self) -> dict[str, Any]:
        """State as plain values; holds the secret of the noise, so do not show it to whoever asks."""
        return {
            "budget": self.budget,
            "size": self.size,
            "threshold": float(self.threshold),
            "noise": float(self.noise),
            "looks": self.looks,
            "spent": self.spent,
            "offset": self._offset,
            "generator": self._rng.bit_generator.state,
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Thresholdout:
        """Back from :meth:`to_dict`, as if nothing had happened."""
        guard = cls(
            stored["budget"],
            size=stored["size"],
            threshold=stored["threshold"],
            noise=stored["noise"],
            seed=0,
        )
        guard.looks, guard.spent, guard._offset = stored["looks"], stored["spent"], stored["offset"]
        guard._rng.bit_generator.state = stored["generator"]
        return guard


def _mean(scores: ArrayLike) -> float:
    return float(np.asarray(scores, dtype=float).mean())
