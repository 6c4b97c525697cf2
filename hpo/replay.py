"""Schedules of hyperparameters: what a population finds, trained again from the start on any seed.

A member of a population changes its values on the way, and goes on from the checkpoint of a better one: what made its
network is the schedule of that one up to there, then its own. Such a schedule is a configuration as any other: the
values it begins with, and under :data:`SCHEDULE` what it changes to, and when. To train it is to train with the first
values until the objective reports the step of the next, and to call it anew with those from its checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hpo.trial import Pruned, Trial
from scaling.errors import ForetuneError, InputError

if TYPE_CHECKING:
    from hpo.incumbent import Incumbent
    from hpo.ledger import Ledger, RunRecord
    from hpo.objective import Objective

__all__ = [
    "FINALISTS",
    "SCHEDULE",
    "chosen_schedule",
    "describe",
    "extended",
    "finalists",
    "in_words",
    "replay",
]

#: Key of a configuration, and metric of a member, that holds a schedule: ``[{"step": 0, "values": {...}}, ...]``.
SCHEDULE = "hyperparameter_schedule"
#: So many of a population's schedules are trained on all tuning seeds before one is chosen, unless said otherwise.
FINALISTS = 3


def extended(
    schedule: Sequence[Mapping[str, Any]], step: int, values: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """``schedule`` as far as ``step``, and ``values`` from there on, if they are others."""
    kept = [dict(part) for part in schedule if part["step"] < step]
    if kept and kept[-1]["values"] == dict(values):
        return kept
    return [*kept, {"step": int(step), "values": dict(values)}]


def describe(schedule: Sequence[Mapping[str, Any]]) -> str:
    """``from 512: lr=0.01; from 1024: lr=0.003``, the first part left out."""
    parts = [f"from {part['step']}: {in_words(part['values'])}" for part in schedule[1:]]
    return "; ".join(parts) or "never changed"


def in_words(config: Mapping[str, Any]) -> str:
    """``lr=0.01 batch_size=64``, its schedule in brackets where it has one."""
    said = []
    for name, value in config.items():
        if name == SCHEDULE:
            said.append(f"({describe(value)})")
        else:
            said.append(f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}")
    return " ".join(said)


class _Change(Pruned):
    """The step has come at which the values change."""


def replay(objective: Objective, config: Mapping[str, Any], *, seed: int, trial: Trial) -> Any:
    """Call an objective along the schedule in its configuration; what its last call returns.

    Args:
        objective: Saves a checkpoint before each report, and goes on from it.
        config: With :data:`SCHEDULE`; without, the objective is called once.
        seed: Of all calls.
        trial: Keeps the checkpoint between them. What an earlier attempt left in it is dropped.

    Raises:
        InputError: The schedule is not one.
    """
    plain = {name: value for name, value in config.items() if name != SCHEDULE}
    if SCHEDULE not in config:
        return objective(plain, seed=seed, trial=trial)
    schedule = _checked(config[SCHEDULE])
    trial.forget()
    ends = [*(part["step"] for part in schedule[1:]), math.inf]
    listener = trial.on_report
    for part, end in zip(schedule, ends, strict=True):

        def report(step: int, metrics: dict[str, float], end: float = end) -> None:
            if listener is not None:
                listener(step, metrics)
            if step >= end:
                raise _Change(f"values change at step {step}")

        trial.on_report = report
        try:
            return objective({**plain, **part["values"]}, seed=seed, trial=trial)
        except _Change:
            if trial.restore() is None:
                raise ForetuneError(
                    f"the schedule changes at step {end}, and the objective has saved nothing to go on from"
                ) from None
        finally:
            trial.on_report = listener
    raise AssertionError("the last part of a schedule has no end")


def _checked(schedule: Any) -> list[dict[str, Any]]:
    whole = isinstance(schedule, Sequence) and all(
        isinstance(part, Mapping)
        and isinstance(part.get("step"), int)
        and isinstance(part.get("values"), Mapping)
        for part in schedule
    )
    steps = [part["step"] for part in schedule] if whole else []
    if not steps or steps[0] != 0 or steps != sorted(set(steps)):
        raise InputError(
            f"{schedule!r} is no schedule",
            key=SCHEDULE,
            remedy='write [{"step": 0, "values": {...}}, {"step": 512, "values": {...}}], steps rising from 0',
        )
    return [dict(part) for part in schedule]


def finalists(
    ledger: Ledger, direction: str, fixed: Mapping[str, Any], count: int = FINALISTS
) -> list[tuple[str, dict[str, Any]]]:
    """The schedules of a population's best members as configurations, each with words on where it comes from.

    A member has one seed, and the best of many is the luckiest: which is best is not said here.

    Args:
        ledger: The population's runs.
        direction: ``minimize`` or ``maximize``.
        fixed: Values of every run.
        count: How many, at most.

    Raises:
        ForetuneError: No member has come to its end.
    """
    sign = 1.0 if direction == "minimize" else -1.0
    ended = [run for run in ledger if run.status == "complete" and SCHEDULE in run.metrics]
    if not ended:
        raise ForetuneError("no member of the population has a value; see its errors with `hpo status`")
    found: list[tuple[str, dict[str, Any]]] = []
    for run in sorted(ended, key=lambda run: sign * float(run.value or 0.0)):
        schedule = run.metrics[SCHEDULE]
        config = {**fixed, **schedule[0]["values"], SCHEDULE: schedule}
        if all(config != known for _, known in found):
            found.append((f"member {run.atom.configuration} of seed {run.atom.seed}", config))
    return found[:count]


def chosen_schedule(
    ledger: Ledger, direction: str, fixed: Mapping[str, Any], *, level: float = 0.95
) -> Incumbent:
    """Of the finalists, the one with the best mean over the tuning seeds; its interval is that of Student's t.

    Args:
        ledger: Runs of the finalists.
        direction: ``minimize`` or ``maximize``.
        fixed: Values of every run, which are no part of what is chosen.
        level: Of the interval.

    Raises:
        ForetuneError: None has completed on every seed.
    """
    from hpo.incumbent import Incumbent

    sign = 1.0 if direction == "minimize" else -1.0
    seeds = max((len(ledger.of(number)) for number in ledger.configurations()), default=0)
    whole: dict[int, list[float]] = {}
    for number in ledger.configurations():
        values = _values(ledger.of(number))
        if values and len(values) == seeds:
            whole[number] = values
    if not whole:
        raise ForetuneError("no schedule of the population has completed on every tuning seed")
    number = min(whole, key=lambda key: sign * sum(whole[key]) / len(whole[key]))
    config = {name: value for name, value in ledger.params[number].items() if name not in fixed}
    return Incumbent(number, config, _estimate(whole[number], level), seeds)


def _values(runs: Sequence[RunRecord]) -> list[float]:
    """Of a configuration's runs; none if one of them has failed."""
    values = [run.value for run in runs if run.status == "complete" and run.value is not None]
    return values if len(values) == len(runs) else []


def _estimate(values: Sequence[float], level: float) -> Any:
    import statistics

    from scipy.stats import t

    from hpo.incumbent import Estimate

    mean, count = sum(values) / len(values), len(values)
    if count < 2:
        return Estimate(mean, math.nan, math.nan, level)
    half = float(t.ppf(0.5 + level / 2, count - 1)) * statistics.stdev(values) / math.sqrt(count)
    return Estimate(mean, mean - half, mean + half, level)
