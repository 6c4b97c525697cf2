"""Many configurations on one seed, more seeds for those still in the race, new ones as long as they are worth more.

Two rules, both read off the ledger alone:

- A configuration leaves the race for good when a paired test on the seeds it shares with the leader says that it is
  worse, or when a run of it failed, diverged or was stopped early.
- The next run goes where it is expected to raise most the value of the configuration that would be chosen: to one more
  seed of a configuration in the race, or to a new configuration (the knowledge gradient: Frazier, Powell and
  Dayanik, "The Knowledge-Gradient Policy for Correlated Normal Beliefs", INFORMS Journal on Computing 21, 2009).
  What a run would teach comes from :mod:`hpo.samplers.surrogate`, whichever sampler proposes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hpo.allocation.base import Allocation, Done, Move, Propose, Repeat, Wait
from hpo.ledger import Ledger, RunRecord
from scaling.errors import InputError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

    from hpo.samplers.landscape import Landscape

__all__ = ["Race", "Racing", "value_of_new", "value_of_repeats"]

Array = npt.NDArray[np.float64]

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(11)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()
# Draws of the space that stand for what a sampler might propose.
_DRAWS = 256
# Pairs of runs that the spread of differences must rest on before anybody leaves the race.
_PAIRS = 4


class Racing(Allocation):
    """Racing over (configuration, seed) pairs.

    Args:
        seeds: Tuning seeds, in the order that all configurations meet them.
        runs: Training runs that tuning may spend.
        direction: ``minimize`` or ``maximize``.
        space: Distribution of each parameter; ``None`` infers it from the configurations.
        startup: Configurations before the first repeat; ``None``: a fifth of the runs, within 4 and 12.
        share: At least this share of the later runs are repeats.
        level: Level of the one-sided test by which a configuration leaves the race.

    Raises:
        InputError: No seeds, fewer than one run, an unknown direction, or a level outside (0, 0.5).
    """

    def __init__(
        self,
        seeds: Sequence[int],
        runs: int,
        direction: str,
        *,
        space: Mapping[str, BaseDistribution] | None = None,
        startup: int | None = None,
        share: float = 0.2,
        level: float = 0.005,
    ) -> None:
        if not seeds:
            raise InputError("a race needs at least one tuning seed", key="seeds.tuning")
        if runs < 1:
            raise InputError(f"{runs} runs are none", key="budget.runs", remedy="give at least 1")
        if direction not in ("minimize", "maximize"):
            raise InputError(
                f"no direction {direction!r}", key="direction", remedy="choose minimize or maximize"
            )
        if not 0 < level < 0.5:
            raise InputError(
                f"{level} is no level of a test", key="seeds.options.level", remedy="such as 0.005"
            )
        self.seeds = tuple(seeds)
        self.runs = runs
        self.direction = direction
        self.space = None if space is None else dict(space)
        self.startup = min(max(runs // 5, 4), 12) if startup is None else startup
        self.share = share
        self.level = level
        self._race: Race | None = None
        self._ledger: Ledger | None = None

    def next(self, ledger: Ledger) -> Move:
        """One more seed for a configuration in the race or a new configuration, whichever promises more."""
        if len(ledger) + len(ledger.running()) >= self.runs:
            return Wait() if ledger.running() else Done()
        if len(ledger.params) < self.startup:
            return Propose(self.seeds[0])
        from hpo.samplers.threads import one_thread

        owed = self._owed(ledger)
        with one_thread():
            return self._most_promising(ledger, owed)

    def _most_promising(self, ledger: Ledger, owed: Mapping[int, int]) -> Move:
        landscape = self._landscape(ledger)
        rows = [row for row, o in enumerate(landscape.measured) if o.number in owed]
        if rows:
            values = value_of_repeats(landscape, rows)
            best = int(np.argmax(values))
            if self._starved(ledger) or values[best] >= value_of_new(landscape):
                number = landscape.measured[rows[best]].number
                return Repeat(number, owed[number])
        return Propose(self.seeds[0])

    def settled(self, ledger: Ledger, configuration: int) -> bool:
        """Once it has left the race, or has been trained on all tuning seeds."""
        if ledger.running(configuration):
            return False
        runs = ledger.of(configuration)
        return configuration in self.race(ledger).out or len({run.atom.seed for run in runs}) >= len(
            self.seeds
        )

    def race(self, ledger: Ledger) -> Race:
        """The race as the ledger tells it, run by run in the order of their starts."""
        if self._race is None or self._ledger is not ledger or self._race.seen > len(ledger):
            self._race, self._ledger = Race(self.direction, self.level), ledger
        records = list(ledger)
        if self._race.seen == 0:  # read from a storage, where runs stand by configuration
            records.sort(key=lambda record: record.started)
        for record in records[self._race.seen :]:
            self._race.add(record)
        return self._race

    def _owed(self, ledger: Ledger) -> dict[int, int]:
        """The next seed of each configuration that may have one: no run of it is under way, and it is in the race."""
        out = self.race(ledger).out
        busy = {atom.configuration for atom in ledger.running()}
        owed = {}
        for number in ledger.params:
            if number not in out and number not in busy:
                met = {run.atom.seed for run in ledger.of(number)}
                missing = [seed for seed in self.seeds if seed not in met]
                if met and missing:
                    owed[number] = missing[0]
        return owed

    def _starved(self, ledger: Ledger) -> bool:
        """Whether too few runs were repeats: without any, noise is not known, and nothing seems worth repeating."""
        begun = len(ledger) + len(ledger.running())
        return begun - len(ledger.params) < self.share * (begun - self.startup + 1)

    def _landscape(self, ledger: Ledger) -> Landscape:
        from hpo.samplers.landscape import Landscape, infer_space
        from hpo.samplers.observations import observe_ledger

        space = self.space or infer_space(list(ledger.params.values()))
        return Landscape(
            observe_ledger(ledger),
            space,
            maximize=self.direction == "maximize",
            checked=self.space is not None,
        )


class Race:
    """Who is still in the race, told one finished run after the other.

    The difference between a configuration and the leader, on the seeds that both have met, is compared with the spread
    of such differences pooled over all pairs that share two seeds or more: what a seed does to all alike cancels.

    Attributes:
        out: Configurations that have left.
        seen: Runs told so far.
    """

    def __init__(self, direction: str, level: float) -> None:
        from statistics import NormalDist

        self.out: set[int] = set()
        self.seen = 0
        self._sign = 1.0 if direction == "maximize" else -1.0
        self._bound = NormalDist().inv_cdf(1 - level)
        self._values: dict[int, dict[int, float]] = {}

    def add(self, record: RunRecord) -> None:
        """A finished run."""
        self.seen += 1
        number = record.atom.configuration
        if record.status != "complete" or record.value is None:
            self.out.add(number)
            return
        self._values.setdefault(number, {})[record.atom.seed] = self._sign * record.value
        leader = self._leader()
        spread = self._spread()
        if leader is None or spread is None:
            return
        ahead = self._values[leader]
        for other in self._values.keys() - self.out - {leader}:
            shared = ahead.keys() & self._values[other].keys()
            if shared:
                difference = sum(ahead[seed] - self._values[other][seed] for seed in shared) / len(shared)
                if difference > self._bound * spread / math.sqrt(len(shared)):
                    self.out.add(other)

    def _leader(self) -> int | None:
        """The best mean among those with the most seeds."""
        inside = [number for number in self._values if number not in self.out]
        if not inside:
            return None
        most = max(len(self._values[number]) for number in inside)
        longest = [number for number in inside if len(self._values[number]) == most]
        return max(longest, key=lambda number: sum(self._values[number].values()) / most)

    def _spread(self) -> float | None:
        """Standard deviation of the difference of two configurations on one seed; ``None`` while too few are known."""
        repeated = [values for values in self._values.values() if len(values) > 1]
        squares, degrees = 0.0, 0
        for index, one in enumerate(repeated):
            for other in repeated[:index]:
                shared = one.keys() & other.keys()
                differences = [one[seed] - other[seed] for seed in shared]
                if len(differences) > 1:
                    mean = sum(differences) / len(differences)
                    squares += sum((d - mean) ** 2 for d in differences)
                    degrees += len(differences) - 1
        return math.sqrt(squares / degrees) if degrees >= _PAIRS and squares > 0 else None


def value_of_repeats(landscape: Landscape, rows: Sequence[int]) -> Array:
    """Expected rise of the best posterior mean by one more run of each configuration.

    Args:
        landscape: What is known.
        rows: Which of its measured configurations.

    Returns:
        One value each, never negative.
    """
    surrogate = landscape.surrogate
    mean, covariance = surrogate.tried()
    chosen = np.flatnonzero(landscape.acceptable)
    chances = landscape.success(landscape.features[list(rows)])
    noise = surrogate.hyper.noise * surrogate.scale**2
    picked = np.asarray(rows)
    moved = covariance[np.ix_(chosen, picked)] / np.sqrt(covariance[picked, picked] + noise)
    best = (mean[chosen, None, None] + moved[:, :, None] * _NODES).max(0)
    return np.asarray(chances * np.maximum(best @ _WEIGHTS - mean[chosen].max(), 0.0))


def value_of_new(landscape: Landscape) -> float:
    """Expected rise of the best posterior mean by one run of a new configuration, the best of many draws.

    Args:
        landscape: What is known.
    """
    from scipy.special import ndtr

    busy = [o.params for o in landscape.observations if o.pending and not o.count]
    surrogate = landscape.surrogate.with_pending(landscape.encoding.encode(busy))
    features = landscape.encoding.draw(_DRAWS, landscape.measured_params())
    mean, spread = surrogate.predict(features)
    # A run shows the true value through noise: the posterior mean moves by less than the value may.
    moved = spread**2 / np.sqrt(spread**2 + surrogate.hyper.noise * surrogate.scale**2)
    u = (mean - landscape.best) / moved
    gain = moved * (np.exp(-0.5 * u * u) / math.sqrt(2 * math.pi) + u * ndtr(u))
    return float((gain * landscape.success(features)).max())
