"""What a sampler may learn from a study: each configuration with its values, failures and pending runs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hpo.ledger import RUN_PREFIX

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

__all__ = ["Observation", "observe"]


@dataclass(frozen=True)
class Observation:
    """One configuration and what is known of it.

    Attributes:
        number: Number of its trial.
        params: Its hyperparameters, those that are active.
        distributions: The distribution of each of them.
        values: Metric of each run that has one, in the metric's own direction. Never a stand-in for a failure.
        failures: Number of runs that failed or diverged.
        pending: Whether more runs may come: the trial is still running.
    """

    number: int
    params: dict[str, Any]
    distributions: dict[str, BaseDistribution]
    values: tuple[float, ...]
    failures: int = 0
    pending: bool = False

    @property
    def count(self) -> int:
        """Number of runs with a value."""
        return len(self.values)

    @property
    def mean(self) -> float:
        """Mean of the values; NaN without any."""
        return sum(self.values) / self.count if self.values else math.nan

    @property
    def variance(self) -> float:
        """Sample variance of the values; NaN for fewer than two."""
        if self.count < 2:
            return math.nan
        return sum((value - self.mean) ** 2 for value in self.values) / (self.count - 1)


def observe(trials: Iterable[FrozenTrial]) -> list[Observation]:
    """Observations of all trials that have been asked for.

    Trials with runs of ours (user attributes ``run:SEED``) bring the value of each run, also while they are still in the race.
    Trials of a plain Optuna study bring their one value; pruned ones their last report; failed ones a failure.
    """
    return [_observation(trial) for trial in trials if trial.state.name != "WAITING" and trial.params]


def _observation(trial: FrozenTrial) -> Observation:
    records = [value for key, value in trial.user_attrs.items() if key.startswith(RUN_PREFIX)]
    if records:
        values = _best_fidelity(records)
        failures = sum(record["status"] in ("failed", "diverged") for record in records)
    else:
        values, failures = _outcome(trial)
    finite = tuple(value for value in values if math.isfinite(value))
    return Observation(
        number=trial.number,
        params=dict(trial.params),
        distributions=dict(trial.distributions),
        values=finite,
        failures=failures + len(values) - len(finite),
        pending=not trial.state.is_finished(),
    )


def _best_fidelity(records: list[dict[str, Any]]) -> list[float]:
    # Of a seed that was trained to several lengths, the longest counts.
    longest: dict[int, tuple[float, float]] = {}
    for record in records:
        if record["value"] is not None:
            atom = record["atom"]
            longest[atom["seed"]] = max(
                longest.get(atom["seed"], (0.0, 0.0)),
                (atom["fidelity"], record["value"]),
                key=lambda item: item[0],
            )
    return [value for _, value in longest.values()]


def _outcome(trial: FrozenTrial) -> tuple[list[float], int]:
    state = trial.state.name
    if state == "COMPLETE" and trial.values:
        return [trial.values[0]], 0
    if state == "PRUNED":
        return (
            [trial.intermediate_values[max(trial.intermediate_values)]] if trial.intermediate_values else []
        ), 0
    return [], int(state == "FAIL")
