"""Honest incumbents: chosen by posterior mean, with an estimate of the true value and its interval.

The best observed value belongs to the luckiest configuration. The posterior mean of the sampler's surrogate shrinks
each mean towards what its neighbours and the number of its runs make likely, and the best of these is chosen (the
"empirical Bayes" answer to the winner's curse: Efron, "Tweedie's Formula and Selection Bias", JASA 106, 2011).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hpo.ledger import Ledger
from scaling.errors import ForetuneError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

    from hpo.samplers.observations import Observation

__all__ = ["Estimate", "Incumbent", "choose", "choose_among"]

# Weight of the possibility that neighbours mislead, so that only the configuration's own runs speak for it: this share
# of the variance of their mean is added. The best of many is where the surrogate is wrong to its favour.
_DOUBT = 0.25


@dataclass(frozen=True)
class Estimate:
    """A true value: the mean over all seeds that could be drawn.

    Attributes:
        value: What is expected.
        low: Lower end of the interval.
        high: Upper end.
        level: Probability that the interval holds it.
    """

    value: float
    low: float
    high: float
    level: float = 0.95


@dataclass(frozen=True)
class Incumbent:
    """The chosen configuration.

    Attributes:
        configuration: Number of its trial.
        config: Its hyperparameters.
        estimate: Of its true value, in the metric's own direction.
        runs: Number of its runs with a value.
        failures: Number of its runs that failed or diverged; above zero only where every configuration failed.
    """

    configuration: int
    config: dict[str, Any]
    estimate: Estimate
    runs: int = 0
    failures: int = 0


def choose(
    ledger: Ledger,
    direction: str,
    *,
    space: Mapping[str, BaseDistribution] | None = None,
    level: float = 0.95,
) -> Incumbent:
    """The configuration to go on with, judged by the runs in a ledger.

    A configuration with a run that failed, diverged or was stopped early is chosen only where there is no other: its
    surviving runs are not what a new seed would give.

    Args:
        ledger: Runs on tuning seeds.
        direction: ``minimize`` or ``maximize``.
        space: Distribution of each parameter; ``None`` infers it from the configurations.
        level: Of the interval.

    Raises:
        ForetuneError: No run has a value.
    """
    from hpo.samplers.observations import observe_ledger

    return choose_among(observe_ledger(ledger), direction, space=space, level=level)


def choose_among(
    observations: Sequence[Observation],
    direction: str,
    *,
    space: Mapping[str, BaseDistribution] | None = None,
    level: float = 0.95,
) -> Incumbent:
    """As :func:`choose`, from observations: ``choose_among(observe(study.trials), "minimize")`` for an Optuna study."""
    from scipy.stats import t

    from hpo.samplers.landscape import Landscape, infer_space
    from hpo.samplers.surrogate import draws
    from hpo.samplers.threads import one_thread

    space = space or infer_space([o.params for o in observations])
    landscape = Landscape(observations, space, maximize=direction == "maximize")
    if not landscape.measured:
        raise ForetuneError("no configuration has a value; see the errors of its runs with `hpo status`")
    with one_thread():
        processes = draws(landscape.surrogate)
        posteriors = [process.tried() for process in processes]
    means = np.array([mean for mean, _ in posteriors])
    mean = means.mean(axis=0)
    rows = np.flatnonzero(landscape.acceptable)
    row = int(rows[np.argmax(mean[rows])])
    chosen = landscape.measured[row]
    spread = np.mean([covariance[row, row] for _, covariance in posteriors]) + means[:, row].var()
    alone = np.mean([(p.noise_variance()[row] - p.hyper.own) * p.scale**2 for p in processes])
    shared = _of_seeds(landscape.measured, np.mean([p.weights(row) for p in processes], axis=0))
    student = float(t.ppf(0.5 + level / 2, _degrees(landscape.measured)))
    half = student * math.sqrt(spread + _DOUBT * alone + shared)
    value = landscape.sign * float(mean[row])
    return Incumbent(
        chosen.number,
        dict(chosen.params),
        Estimate(value, value - half, value + half, level),
        chosen.count,
        chosen.failures,
    )


def _of_seeds(measured: Sequence[Observation], weights: npt.NDArray[np.float64]) -> float:
    """Variance for what the seeds met do to all configurations alike, given the weight of each mean."""
    from hpo.statistics.seed_effects import seed_variance

    if not all(observation.seeds for observation in measured):
        return 0.0
    counts = np.array([observation.count for observation in measured])
    rows = np.repeat(np.arange(len(measured)), counts)
    seeds = np.array([seed for observation in measured for seed in observation.seeds], dtype=np.intp)
    values = np.array([value for observation in measured for value in observation.values])
    return seed_variance(rows, seeds, values, (weights / counts)[rows])


def _degrees(measured: Sequence[Observation]) -> int:
    """Of freedom that the noise rests on: repeats show it, single runs only through what is expected of them."""
    repeats = sum(observation.count - 1 for observation in measured)
    return max(repeats, len(measured) // 4, 1)
