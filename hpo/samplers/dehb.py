"""DEHB's search: differential evolution in subpopulations by fidelity, as an ordinary Optuna sampler.

Awad, Mallik, Hutter, "DEHB: Evolutionary Hyperband for Scalable, Robust and Efficient Hyperparameter Optimization"
(IJCAI 2021, arXiv 2105.09821): Hyperband says how far each configuration is trained, differential evolution (Storn &
Price 1997) proposes it. Here the one part is the scheduler's or pruner's (``scheduler: {name: hyperband}`` or
``asha`` with as many ``brackets`` as rungs, or Optuna's ``HyperbandPruner``; ``reduction_factor: 1.9``), the other
this sampler's. What differs from the authors' program: a configuration is stopped at a rung rather than started anew
at the next one, so that no step is trained twice, and an offspring's rung is known when it has ended rather than when
it is proposed.

Without early stopping it is plain differential evolution.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from hpo.samplers.encoding import Encoding

__all__ = ["DEHBSampler"]

#: System attribute of an offspring's trial: the slot of the population whose member it challenges.
_TARGET = "dehb:target"


@dataclass(frozen=True)
class _Member:
    """A configuration as far as it has been trained. ``cost`` is to be minimised; ``fidelity`` is infinite at the
    end.
    """

    vector: NDArray[np.float64]
    fidelity: float
    cost: float

    def beats(self, other: _Member) -> bool:
        """Whether it takes the other's slot: trained further, or as far and no worse."""
        return self.fidelity > other.fidelity or (self.fidelity == other.fidelity and self.cost <= other.cost)


class DEHBSampler(BaseSampler):
    """Differential evolution ``rand/1/bin`` whose parents come from the best of the rung below.

    All it knows is in the storage (each offspring's slot is a system attribute), so that it resumes and can be asked
    from several processes. Conditional parameters, on which no two configurations agree, are drawn at random.

    Args:
        seed: Of what it draws.
        mutation: Factor on the difference of two parents; the paper of Eimer et al. (2023) uses 0.2, DEHB itself 0.5.
        crossover: Probability that a parameter comes from the mutant.
        eta: Reduction factor of the brackets: parents are the best ``1 / eta`` of the rung below.
        population: Slots; as many configurations are drawn at random first.
    """

    def __init__(
        self,
        seed: int | None = None,
        *,
        mutation: float = 0.2,
        crossover: float = 0.5,
        eta: float = 1.9,
        population: int = 6,
    ) -> None:
        if population < 4:
            raise ValueError(
                "differential evolution needs a population of 4 or more: a target and three parents"
            )
        if not (0 <= crossover <= 1 and mutation > 0 and eta > 1):
            raise ValueError("crossover lies in [0, 1], mutation above 0, eta above 1")
        self.mutation = mutation
        self.crossover = crossover
        self.eta = eta
        self.population = population
        self._rng = np.random.default_rng(seed)
        self._random = RandomSampler(seed=seed)
        self._space = IntersectionSearchSpace(include_pruned=True)

    def reseed_rng(self) -> None:
        """As Optuna asks of samplers in new processes."""
        self._rng = np.random.default_rng()
        self._random.reseed_rng()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The parameters that all finished trials have."""
        found = self._space.calculate(study)
        return {name: distribution for name, distribution in found.items() if not distribution.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The next offspring; nothing while the first population is being drawn at random."""
        if not search_space:
            return {}
        encoding = Encoding(search_space)
        slots, everyone, offspring = self._replay(study, encoding)
        if len(slots) < self.population:
            return {}
        target = offspring % self.population
        study._storage.set_trial_system_attr(trial._trial_id, _TARGET, target)
        first, second, third = self._parents(slots[target], slots, everyone)
        mutant = first + self.mutation * (second - third)
        outside = (mutant < 0) | (mutant > 1)
        mutant[outside] = self._rng.uniform(size=int(outside.sum()))
        chosen = self._rng.uniform(size=len(mutant)) < self.crossover
        chosen[self._rng.integers(len(mutant))] = True  # an offspring differs from its target
        return encoding.decode(np.where(chosen, mutant, slots[target].vector))

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """At random: the first population, and parameters that only some configurations have."""
        return self._random.sample_independent(study, trial, param_name, param_distribution)

    def _replay(self, study: Study, encoding: Encoding) -> tuple[list[_Member], list[_Member], int]:
        """The population as selection has left it, all members ever, and how many offspring have been proposed."""
        sign = -1.0 if study.direction == StudyDirection.MAXIMIZE else 1.0
        slots: list[_Member] = []
        everyone: list[_Member] = []
        offspring = 0
        for trial in study.get_trials(deepcopy=False):
            target = trial.system_attrs.get(_TARGET)
            offspring += target is not None
            member = _member(trial, encoding, sign)
            if member is None:
                continue
            everyone.append(member)
            if target is not None and target < len(slots):
                if member.beats(slots[target]):
                    slots[target] = member
            elif len(slots) < self.population:
                slots.append(member)
        return slots, everyone, offspring

    def _parents(
        self, target: _Member, slots: Sequence[_Member], everyone: Sequence[_Member]
    ) -> tuple[NDArray[np.float64], ...]:
        """Three different parents: the best of the rung below the target's, filled up from the population and all."""
        below = [member for member in everyone if member.fidelity < target.fidelity]
        rung = max((member.fidelity for member in below), default=None)
        ranked = sorted((m for m in everyone if m.fidelity >= rung), key=_rank) if rung is not None else []
        pool = ranked[: math.ceil(len(ranked) / self.eta)]
        for further in (slots, everyone):
            if len(pool) < 3:
                pool += [member for member in further if not any(member is other for other in pool)]
        picked = self._rng.choice(len(pool), size=3, replace=False)
        return tuple(pool[int(index)].vector for index in picked)


def _rank(member: _Member) -> tuple[float, float]:
    return -member.fidelity, member.cost


def _member(trial: FrozenTrial, encoding: Encoding, sign: float) -> _Member | None:
    """A finished trial as a member; ``None`` for one that failed, lacks parameters, or is not finished."""
    if any(name not in trial.params for name in encoding.names):
        return None
    if trial.state == TrialState.COMPLETE and trial.value is not None:
        fidelity, value = math.inf, trial.value
    elif trial.state == TrialState.PRUNED and trial.intermediate_values:
        step = max(trial.intermediate_values)
        fidelity, value = float(step), trial.intermediate_values[step]
    else:
        return None
    return _Member(encoding.unit(trial.params), fidelity, sign * value) if math.isfinite(value) else None
