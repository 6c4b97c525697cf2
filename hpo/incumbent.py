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

from hpo.ledger import Ledger
from scaling.errors import ForetuneError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

    from hpo.samplers.observations import Observation

__all__ = ["Estimate", "Incumbent", "choose", "choose_among"]


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
        posteriors = [process.tried() for process in draws(landscape.surrogate)]
    means = np.array([mean for mean, _ in posteriors])
    mean = means.mean(axis=0)
    variance = np.mean([np.diagonal(covariance) for _, covariance in posteriors], axis=0) + means.var(axis=0)
    rows = np.flatnonzero(landscape.acceptable)
    row = int(rows[np.argmax(mean[rows])])
    chosen = landscape.measured[row]
    degrees = max(sum(o.count for o in landscape.measured) - 3, 1)
    half = float(t.ppf(0.5 + level / 2, degrees)) * math.sqrt(max(float(variance[row]), 0.0))
    value = landscape.sign * float(mean[row])
    return Incumbent(
        chosen.number,
        dict(chosen.params),
        Estimate(value, value - half, value + half, level),
        chosen.count,
        chosen.failures,
    )
