"""What the runs of a study say about its search space: the surrogate, the failures, the best configuration so far."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from hpo.samplers.encoding import Encoding
from hpo.samplers.surrogate import Data, Hyperparameters, Surrogate, fit

if TYPE_CHECKING:
    from hpo.samplers.observations import Observation

__all__ = ["FAILURE_LENGTHS", "PRIOR_WEIGHT", "Active", "Landscape", "infer_space", "learned_activity"]

Array = npt.NDArray[np.float64]
#: Given a full assignment of all parameters, the names of those that are active.
Active = Callable[[Mapping[str, Any]], Collection[str]]

#: Configurations this far apart in each parameter share 60 % of what is known about failing: at each scale, what
#: the coarser one says counts where no run is near.
FAILURE_LENGTHS = (0.2, 0.05, 0.0125)
#: Runs that the coarser scale weighs, beside those that are near.
PRIOR_WEIGHT = 0.05
# Hyperparameters are fitted anew when the number of runs has grown by this factor: they change slowly.
_REFIT = 1.15
_REFIT_FROM = 12
_REMEMBERED = 8
_hypers: OrderedDict[bytes, Hyperparameters] = OrderedDict()
_fitted: OrderedDict[bytes, Surrogate] = OrderedDict()


class Landscape:
    """Everything known, with values turned so that larger is better.

    Configurations worse than the median are drawn towards it logarithmically: how bad a bad one is must not set the
    scale on which good ones are told apart. Better ones stay as they are. Noise is taken to grow where values fall, but
    less than the map shrinks it: its variance, once mapped, falls with the map's slope. (Were it taken to be the same
    everywhere, the noise of good configurations would be underestimated, and with it how lucky the best one was.)

    Args:
        observations: Configurations tried.
        space: Distribution of each parameter.
        maximize: Whether larger values are better.
        conditional: Parameters that a configuration may lack, beside those that one does lack.
        checked: All observations are known to lie in the space.
        noisy: Runs differ from seed to seed; so they do where any configuration was run twice.

    Attributes:
        observations: Those that lie in the space.
        measured: Those of them that have a value.
        encoding: Features of the space.
        sign: Value times sign: larger is better.
    """

    def __init__(
        self,
        observations: Sequence[Observation],
        space: Mapping[str, BaseDistribution],
        *,
        maximize: bool,
        conditional: Collection[str] = (),
        checked: bool = False,
        noisy: bool = False,
    ) -> None:
        self.observations = [o for o in observations if checked or _fits(o, space)]
        self.measured = [o for o in self.observations if o.values]
        self.noisy = noisy or any(o.count > 1 for o in self.measured)
        self.sign = 1.0 if maximize else -1.0
        self.conditional = {name for name in space for o in observations if name not in o.params}
        self.conditional.update(conditional)
        self.encoding = Encoding(space, sorted(self.conditional))

    @cached_property
    def features(self) -> Array:
        """``n x m``; of the measured configurations."""
        return self.encoding.encode(self.measured_params())

    def measured_params(self) -> list[dict[str, Any]]:
        """The measured configurations."""
        return [o.params for o in self.measured]

    @cached_property
    def surrogate(self) -> Surrogate:
        """Fitted to the measured configurations; needs at least one."""
        rows = np.repeat(np.arange(len(self.measured)), [o.count for o in self.measured])
        values = self.sign * np.array([value for o in self.measured for value in o.values])
        times = np.array([time for o in self.measured for time in o.times or (0.0,) * o.count])
        first = np.argsort(times, kind="stable")[: _refit_point(len(times))]
        everything = self._data(rows, values)
        early = everything if len(first) == len(times) else self._data(rows[first], values[first])
        return _remembered(everything, early)

    @cached_property
    def acceptable(self) -> npt.NDArray[np.bool_]:
        """``n``; measured configurations that never failed and were never stopped early; if all did, all of them.

        A mean over the seeds that survived would reward fragile configurations.
        """
        sound = np.array([not o.failures and not o.stopped for o in self.measured], dtype=bool)
        if not sound.any():
            sound = np.array([not o.failures for o in self.measured], dtype=bool)
        return sound if sound.any() else np.ones(len(self.measured), dtype=bool)

    @cached_property
    def best(self) -> float:
        """Largest posterior mean of an acceptable configuration."""
        return float(self.surrogate.tried()[0][self.acceptable].max())

    @cached_property
    def ended(self) -> tuple[Array, Array, Array]:
        """Features ``k x m`` of all configurations with a finished run, and each one's good and failed runs."""
        ended = [o for o in self.observations if o.values or o.failures]
        return (
            self.encoding.encode([o.params for o in ended]),
            np.array([o.count for o in ended], dtype=float),
            np.array([o.failures for o in ended], dtype=float),
        )

    @cached_property
    def failed(self) -> Array:
        """``f x m``; features of the configurations that have only failed."""
        return self.encoding.encode([o.params for o in self.observations if o.failures and not o.values])

    @property
    def any_failed(self) -> bool:
        """Whether any run failed or diverged."""
        return any(o.failures for o in self.observations)

    @property
    def failure_widths(self) -> list[float]:
        """Twice the squared length scales of failures, over all parameters."""
        return [2 * length**2 * max(len(self.encoding.names), 1) for length in FAILURE_LENGTHS]

    @property
    def share(self) -> float:
        """Share of runs that end well, over the whole space."""
        _, good, failed = self.ended
        return float((good.sum() + 1) / (good.sum() + failed.sum() + 1))

    def success(self, features: Array) -> Array:
        """Probability that a run ends well.

        The share of good runs among the neighbours, weighted by Gaussian kernels from a wide to a narrow one; each
        starts from what the wider says. Failures repel without ever having been given a value.

        Args:
            features: ``q x m``

        Returns:
            ``q``
        """
        if not self.any_failed:
            return np.ones(len(features))
        where, good, failed = self.ended
        squared = ((features[:, None, :] - where[None, :, :]) ** 2).sum(-1)
        chance = np.full(len(features), self.share)
        for width in self.failure_widths:
            weight = np.exp(-squared / width)
            chance = (weight @ good + PRIOR_WEIGHT * chance) / (weight @ (good + failed) + PRIOR_WEIGHT)
        return np.asarray(chance)

    def _data(self, rows: npt.NDArray[np.intp], values: Array) -> Data:
        """Counts, means and squares of some runs, given the configuration (as row) and value of each."""
        kept, places, counts = np.unique(rows, return_inverse=True, return_counts=True)
        means = np.bincount(places, values) / counts
        compressed, slopes = _compress(means)
        return Data(
            features=self.features[kept],
            groups=self.encoding.groups,
            means=compressed,
            counts=counts.astype(float),
            squares=float((((values - means[places]) * slopes[places]) ** 2 / slopes[places]).sum()),
            noisy=self.noisy,
            relative=slopes,
        )


def infer_space(configurations: Sequence[Mapping[str, Any]]) -> dict[str, BaseDistribution]:
    """A space that holds given configurations, where nobody says what was searched.

    Positive numbers that span a factor above 30 are taken as logarithmic.
    """
    names = sorted({name for configuration in configurations for name in configuration})
    return {name: _inferred([c[name] for c in configurations if name in c]) for name in names}


def learned_activity(
    observations: Sequence[Observation], space: Mapping[str, BaseDistribution]
) -> Active | None:
    """Which parameters are active, judged by the trials: under a choice that never came with one, it is not.

    Only for choices that have been seen; a parameter that nothing rules out is taken as active. ``None`` where no
    parameter was ever missing.
    """
    conditional = {name for name in space for o in observations if name not in o.params}
    if not conditional:
        return None
    together: dict[tuple[str, str], set[str]] = {}
    for observation in observations:
        for name, value in observation.params.items():
            if isinstance(space.get(name), CategoricalDistribution):
                together.setdefault((name, repr(value)), set()).update(observation.params)

    def active(configuration: Mapping[str, Any]) -> Collection[str]:
        names = set(configuration)
        for name, value in configuration.items():
            seen = together.get((name, repr(value)))
            if name not in conditional and seen is not None:
                names &= seen | {other for other in names if other not in conditional}
        return names

    return active


def _remembered(data: Data, early: Data) -> Surrogate:
    """Fitted, or remembered: an ask and a race look at the same runs one after the other, and neither keeps a state."""
    key = data.key() + early.key()
    if key not in _fitted:
        hyper_key = early.key()
        if hyper_key not in _hypers:
            _hypers[hyper_key] = fit(early).hyper
        _fitted[key] = Surrogate.of(data, _hypers[hyper_key])
        for memory in (_fitted, _hypers):
            while len(memory) > _REMEMBERED:
                memory.popitem(last=False)
    return _fitted[key]


def _refit_point(runs: int) -> int:
    """The number of first runs that hyperparameters are fitted to: all of few, else the last step of a series."""
    point = _REFIT_FROM
    if runs <= point:
        return runs
    while max(point + 1, int(point * _REFIT)) <= runs:
        point = max(point + 1, int(point * _REFIT))
    return point


def _compress(means: Array) -> tuple[Array, Array]:
    """Means with those below their median drawn towards it, and the slope of the map at each.

    Means are drawn, not single runs: a bad seed of a good configuration counts in full.
    """
    median, high = (float(q) for q in np.quantile(means, [0.5, 0.9]))
    scale = high - median if high > median else float(np.std(means))
    if scale <= 0:
        return means, np.ones(len(means))
    below = np.maximum(median - means, 0) / scale
    return np.where(below > 0, median - scale * np.log1p(below), means), 1 / (1 + below)


def _inferred(values: list[Any]) -> BaseDistribution:
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in values):
        kinds: dict[str, Any] = {repr(value): value for value in values}
        return CategoricalDistribution([kinds[key] for key in sorted(kinds)])
    low, high = min(values), max(values)
    log = low > 0 and high / low > 30
    if all(isinstance(value, int) for value in values):
        return IntDistribution(low, high, log=log)
    return FloatDistribution(float(low), float(high), log=log)


def _fits(observation: Observation, space: Mapping[str, BaseDistribution]) -> bool:
    """Whether an observation lies in the space (ranges may have changed since)."""
    return all(_holds(space[name], value) for name, value in observation.params.items() if name in space)


def _holds(distribution: BaseDistribution, value: Any) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    slack = 1e-9 * max(abs(distribution.low), abs(distribution.high))
    return not math.isnan(value) and distribution.low - slack <= value <= distribution.high + slack
