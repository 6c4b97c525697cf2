"""What may be learned from a study: each configuration with its values, failures and pending runs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hpo.ledger import RUN_PREFIX, Ledger, RunRecord

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

__all__ = ["Observation", "observe", "observe_ledger"]


@dataclass(frozen=True)
class Observation:
    """One configuration and what is known of it.

    Attributes:
        number: Number of its trial.
        params: Its hyperparameters, those that are active.
        values: Metric of each run that has one, in the metric's own direction. Never a stand-in for a failure.
        times: When each of these runs started, in seconds; only their order counts.
        failures: Number of runs that failed or diverged.
        stopped: Number of runs whose value is that of a run stopped early.
        pending: Number of runs under way.
        seeds: Seed of each value; empty where it is not known.
    """

    number: int
    params: dict[str, Any]
    values: tuple[float, ...]
    times: tuple[float, ...] = ()
    failures: int = 0
    stopped: int = 0
    pending: int = 0
    seeds: tuple[int, ...] = ()

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

    Trials with runs of ours (user attributes ``run:SEED``) bring the value of each run, also while they are still in
    the race. Trials of a plain Optuna study bring their one value; pruned ones their last report; failed ones a
    failure.
    """
    return [_of_trial(trial) for trial in trials if trial.state.name != "WAITING" and trial.params]


def observe_ledger(ledger: Ledger) -> list[Observation]:
    """Observations of all configurations of a ledger."""
    under_way: dict[int, int] = {}
    for atom in ledger.running():
        under_way[atom.configuration] = under_way.get(atom.configuration, 0) + 1
    return [
        _from_records(number, params, ledger.of(number), under_way.get(number, 0))
        for number, params in ledger.params.items()
    ]


def _of_trial(trial: FrozenTrial) -> Observation:
    running = int(not trial.state.is_finished())
    records = [
        RunRecord.from_dict(value) for key, value in trial.user_attrs.items() if key.startswith(RUN_PREFIX)
    ]
    if records:
        return _from_records(trial.number, trial.params, records, running)
    value: float | None = None
    state = trial.state.name
    if state == "COMPLETE" and trial.values:
        value = trial.values[0]
    elif state == "PRUNED" and trial.intermediate_values:
        value = trial.intermediate_values[max(trial.intermediate_values)]
    finite = value is not None and math.isfinite(value)
    return Observation(
        number=trial.number,
        params=dict(trial.params),
        values=(float(value),) if value is not None and finite else (),
        times=(trial.datetime_complete.timestamp() if trial.datetime_complete else 0.0,) if finite else (),
        failures=int(state == "FAIL" or (value is not None and not finite)),
        stopped=int(state == "PRUNED"),
        pending=running,
    )


def _from_records(
    number: int, params: Mapping[str, Any], records: Iterable[RunRecord], pending: int
) -> Observation:
    # Of a seed that was trained to several lengths, the longest counts.
    longest: dict[int, RunRecord] = {}
    failures = 0
    for record in records:
        if record.value is None or not math.isfinite(record.value):
            failures += 1
            continue
        known = longest.get(record.atom.seed)
        if known is None or record.atom.fidelity > known.atom.fidelity:
            longest[record.atom.seed] = record
    kept = list(longest.values())
    return Observation(
        number=number,
        params=dict(params),
        values=tuple(float(record.value) for record in kept if record.value is not None),
        times=tuple(record.started for record in kept),
        failures=failures,
        stopped=sum(record.status == "pruned" for record in kept),
        pending=pending,
        seeds=tuple(record.atom.seed for record in kept),
    )
