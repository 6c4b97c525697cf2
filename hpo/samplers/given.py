"""A sampler that proposes what it was handed: configurations that a plan or a law chose, on Optuna's record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from optuna.samplers import BaseSampler

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial

__all__ = ["GivenSampler"]


class GivenSampler(BaseSampler):
    """Proposes one configuration, each value moved into its parameter's range.

    Args:
        configuration: A value for every parameter that will be asked for.
    """

    def __init__(self, configuration: Mapping[str, Any]) -> None:
        self.configuration = dict(configuration)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Nothing: values are given parameter by parameter."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Nothing: values are given parameter by parameter."""
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """The value handed over, within the range.

        Raises:
            KeyError: The configuration lacks the parameter.
        """
        value = self.configuration[param_name]
        low, high = getattr(param_distribution, "low", None), getattr(param_distribution, "high", None)
        if low is None or high is None:
            return value
        value = min(max(value, low), high)
        step = getattr(param_distribution, "step", None)
        if step and not getattr(param_distribution, "log", False):
            value = min(low + step * round((value - low) / step), high)
        return round(value) if isinstance(low, int) else float(value)
