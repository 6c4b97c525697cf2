"""A law's prediction as the prior of a search: where the optimum probably is, and how surely.

The search starts at the prediction and looks around it as far as the law is unsure. Its acquisition is multiplied by
the prior to a power that fades as runs come in (piBO: Hvarfner et al. 2022, "piBO: Augmenting Acquisition Functions
with User Beliefs for Bayesian Optimization", eq. 6), so that a law that is wrong costs a few runs and no more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from scaling.errors import InputError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

__all__ = ["Prior", "prior_from_law"]

Array = npt.NDArray[np.float64]

#: Standard deviation in octaves of a prediction that comes without an interval.
UNKNOWN_OCTAVES = 1.0
#: Least standard deviation: recipes differ by more than any fit admits.
LEAST_OCTAVES = 0.25
#: Weight of "anywhere in the space", so that no configuration is ruled out.
ANYWHERE = 0.1
#: Power of the prior is this over the number of configurations measured (beta of piBO).
STRENGTH = 3.0
_LEVEL = 0.9


class Prior:
    """Independent log-normal beliefs about where the best values of some parameters lie.

    Args:
        centres: Parameter to its predicted best value.
        octaves: Parameter to the standard deviation of log2 of it.
        space: Distributions of the search space; predictions outside are moved to its edge.
    """

    def __init__(
        self,
        centres: Mapping[str, float],
        octaves: Mapping[str, float],
        space: Mapping[str, BaseDistribution],
    ) -> None:
        self.centres = {
            name: min(max(value, _ends(space[name])[0]), _ends(space[name])[1])
            for name, value in centres.items()
        }
        self.octaves = {name: max(float(octaves[name]), LEAST_OCTAVES) for name in centres}
        self._space = dict(space)

    def place(self, configuration: Mapping[str, Any], unit: Mapping[str, float]) -> dict[str, Any]:
        """A configuration with the parameters that the law speaks of drawn from it, at quantiles ``unit`` in (0, 1)."""
        placed = dict(configuration)
        for name, centre in self.centres.items():
            step = NormalDist(0.0, self.octaves[name]).inv_cdf(min(max(unit[name], 1e-6), 1 - 1e-6))
            low, high = _ends(self._space[name])
            value = min(max(centre * 2.0**step, low), high)
            placed[name] = round(value) if type(self._space[name]).__name__ == "IntDistribution" else value
        return placed

    def log_density(self, configurations: Sequence[Mapping[str, Any]]) -> Array:
        """Log of the prior over its greatest value, at least ``log(ANYWHERE)`` a parameter. Shape: ``(n,)``."""
        total = np.zeros(len(configurations))
        for name, centre in self.centres.items():
            values = np.array([float(configuration.get(name, centre)) for configuration in configurations])
            distance = np.log2(values / centre) / self.octaves[name]
            total += np.log((1 - ANYWHERE) * np.exp(-0.5 * distance**2) + ANYWHERE)
        return total

    def power(self, measured: int) -> float:
        """The power that the prior is raised to once so many configurations have been measured."""
        return STRENGTH / max(measured, 1)


def prior_from_law(
    law: str | Path | Any,
    inputs: Mapping[str, Any],
    space: Mapping[str, BaseDistribution],
    *,
    source: str | None = None,
) -> Prior:
    """What a fitted or published law says of the parameters of a space.

    Args:
        law: A law file, a published law's name, or a fitted law.
        inputs: ``params``, ``tokens`` and whatever else the study holds fixed; the law takes what it knows, and answers
            with the best beside a hyperparameter that is held there.
        space: Distributions by parameter.
        source: Of the study, for error messages.

    Raises:
        InputError: The law cannot be read, lacks an input, or predicts no numeric parameter of the space.
    """
    import scaling
    from scaling.published.ask import open_law

    numbers = {
        name: float(value)
        for name, value in inputs.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0
    }
    try:
        fitted = law if hasattr(law, "answer") else open_law(str(law))
        # Anything else in `fixed` is the objective's own; a hyperparameter that the study holds, the law holds too.
        asked = {"params", "tokens", "flops", *getattr(fitted, "inputs", ())}
        asked |= {one.name for one in getattr(fitted, "hypers", ()) if one.name not in space}
        known = {name: value for name, value in numbers.items() if name in asked}
        answer = scaling.predict(fitted, level=_LEVEL, **known)
    except InputError as error:
        raise InputError(
            error.message, source=source or error.source, key="sampler.prior", remedy=error.remedy
        ) from None
    centres, octaves = {}, {}
    for name, prediction in answer["predictions"].items():
        if name in space and hasattr(space[name], "low") and prediction.get("value"):
            centres[name] = float(prediction["value"])
            octaves[name] = _octaves(prediction)
    if not centres:
        raise InputError(
            f"predicts {', '.join(answer['predictions'])}, none of which is a numeric parameter of the space",
            source=source,
            key="sampler.prior",
            remedy=f"give a law for one of {', '.join(space)}",
        )
    return Prior(centres, octaves, space)


def _octaves(prediction: Mapping[str, Any]) -> float:
    low, high = prediction.get("low"), prediction.get("high")
    if not low or not high:
        return UNKNOWN_OCTAVES
    return math.log2(high / low) / (2 * NormalDist().inv_cdf(0.5 + _LEVEL / 2))


def _ends(distribution: BaseDistribution) -> tuple[float, float]:
    return float(distribution.low), float(distribution.high)  # type: ignore[attr-defined]
