"""Bayesian optimisation as an ordinary Optuna sampler."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from optuna.distributions import CategoricalDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import StudyDirection

from hpo.samplers.landscape import Active, Landscape, learned_activity
from hpo.samplers.observations import Observation, observe
from hpo.samplers.threads import one_thread

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from hpo.samplers.acquisition import FeasibleLogEI
    from hpo.samplers.prior import Prior

__all__ = ["BayesianSampler"]

Array = npt.NDArray[np.float64]
Space = dict[str, "BaseDistribution"]

# From this share of explained variance on the surrogate alone decides where to go.
_SEEING = 0.1
_SCREENED = 512
_CLIMBED = 4


class BayesianSampler(BaseSampler):
    """Proposes where improvement on the best *expected* value is largest, for noisy and failing runs.

    Starts with a Sobol sequence, and goes on with it as long as the parameters tell nothing; then a Gaussian process
    (:mod:`hpo.samplers.surrogate`) and noise-aware log expected improvement on BoTorch
    (:mod:`hpo.samplers.acquisition`). Configurations under way are taken into account, so that many workers may ask at
    once. Repeated runs in a trial's user attributes (:mod:`hpo.ledger`) enter with their mean and count, before the
    trial is finished. Failed runs lower the probability of success around them and have
    no value. Float, integer, logarithmic, categorical and conditional parameters; one objective.

    A proposal depends on the seed, the trial's number and the trials before it alone: a study that was interrupted
    goes on as it would have.

    Args:
        seed: Seed of all draws; ``None`` takes one from the system.
        startup: Length of the Sobol sequence; ``None``: twice the number of parameters, within 4 and 12.
        space: The search space if known beforehand, so that the first trials already follow the Sobol sequence.
            Otherwise it is the union of what trials have suggested.
        active: For conditional parameters; ``None`` learns from the trials which choices activate which parameters.
        candidates: Propose only these configurations, each once, as long as there are any.
        prior: Where the best values probably lie, from a law (:mod:`hpo.samplers.prior`): the first configuration is
            its prediction, the others of the start are drawn from it, and the search leans towards it ever less.
    """

    def __init__(
        self,
        seed: int | None = None,
        *,
        startup: int | None = None,
        space: Mapping[str, BaseDistribution] | None = None,
        active: Active | None = None,
        candidates: Sequence[Mapping[str, Any]] | None = None,
        prior: Prior | None = None,
    ) -> None:
        self.seed = secrets.randbits(63) if seed is None else seed
        self.startup = startup
        self.prior = prior
        self._space = None if space is None else dict(space)
        self.active = active
        self.candidates = None if candidates is None else [dict(candidate) for candidate in candidates]
        self.keys = [_key(candidate) for candidate in self.candidates or ()]
        # A parameter that candidates lack is conditional from the start, so that their features never change.
        self.lacking = {
            name for name in space or () if any(name not in candidate for candidate in self.candidates or ())
        }
        self.features: dict[tuple[str, ...], Array] = {}
        self._random = RandomSampler(seed=self.seed % 2**32)

    def reseed_rng(self) -> None:
        """Give independent draws a new seed. Proposals need none: no two trials share a number."""
        self._random.reseed_rng()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> Space:
        """The union of all parameters, each as last suggested."""
        if self._space is not None:
            return dict(self._space)
        union: Space = {}
        for past in study.get_trials(deepcopy=False):
            union.update({name: d for name, d in past.distributions.items() if not d.single()})
        return dict(sorted(union.items()))

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A parameter that no trial before had, at random."""
        return self._random.sample_independent(study, trial, param_name, param_distribution)

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: Space) -> dict[str, Any]:
        """The next configuration.

        Raises:
            ValueError: The study has several objectives.
        """
        if len(study.directions) > 1:
            raise ValueError(
                "BayesianSampler has one objective; use optuna.samplers.NSGAIISampler for several"
            )
        if not search_space:
            return {}
        past = [other for other in study.get_trials(deepcopy=False) if other.number != trial.number]
        observations = observe(past)
        proposal = _Proposal(
            self, search_space, observations, trial.number, study.direction == StudyDirection.MAXIMIZE
        )
        with one_thread():
            return proposal.make()


class _Proposal:
    """One ask: what is known, and where to go next."""

    def __init__(
        self,
        sampler: BayesianSampler,
        space: Space,
        observations: list[Observation],
        number: int,
        maximize: bool,
    ) -> None:
        self.landscape = Landscape(
            observations,
            space,
            maximize=maximize,
            conditional=sampler.lacking,
            checked=sampler.candidates is not None,
        )
        self.encoding = self.landscape.encoding
        self.number = number
        self.active = sampler.active or learned_activity(self.landscape.observations, space)
        self.rng = np.random.default_rng([sampler.seed, number])
        self.seed = sampler.seed
        self.prior = sampler.prior
        self.startup = sampler.startup or min(max(2 * len(space), 4), 12)
        self.tried = {_key(o.params) for o in self.landscape.observations}
        everything = sampler.candidates or []
        left = [row for row, key in enumerate(sampler.keys) if key not in self.tried]
        self.candidates = [everything[row] for row in left]
        if left:
            key = (*self.encoding.names, *self.encoding.conditional)
            if key not in sampler.features:
                sampler.features[key] = self.encoding.encode(everything)
            self.features = sampler.features[key][left]

    def make(self) -> dict[str, Any]:
        """The configuration to try, inactive parameters included, so that Optuna finds each it asks for."""
        if self.number < self.startup or len(self.landscape.measured) < 2 or self._blind():
            return self._sobol()
        if self.candidates:
            from hpo.samplers.acquisition import evaluate

            scores = evaluate(self._acquisition(), self.features) + self._leaning(self.candidates)
            return self.candidates[int(np.argmax(scores))]
        return self._search()

    def _blind(self) -> bool:
        """Whether to go on with the Sobol sequence: the less the surrogate explains, the more often.

        Where nearly all configurations are equally bad, it would look for the best of them in the noise.
        """
        return bool(self.rng.random() > self.landscape.surrogate.skill() / _SEEING)

    def _sobol(self) -> dict[str, Any]:
        from scipy.stats import qmc

        engine = qmc.Sobol(len(self.encoding.names), scramble=True, rng=np.random.default_rng(self.seed))
        if self.number:  # scipy cannot forward by nothing
            engine.fast_forward(self.number)
        unit = engine.random(1)[0]
        drawn = self.encoding.decode(unit)
        if self.prior is not None:
            if self.number == 0:
                unit = np.full_like(unit, 0.5)  # the prediction itself
            drawn = self.prior.place(drawn, dict(zip(self.encoding.names, unit.tolist(), strict=True)))
        if not self.candidates:
            return drawn
        distance = self.features - self.encoding.encode([drawn])
        return self.candidates[int(np.argmin((distance**2).sum(1)))]

    def _acquisition(self) -> FeasibleLogEI:
        from hpo.samplers.acquisition import FeasibleLogEI

        waiting = [o.params for o in self.landscape.observations if o.pending and not o.count]
        return FeasibleLogEI(self.landscape, self.encoding.encode(waiting))

    def _search(self) -> dict[str, Any]:
        """Screen many configurations, look around the best of them twice, then follow the gradient."""
        from hpo.samplers.acquisition import climb, evaluate

        acquisition = self._acquisition()
        ranked = sorted(self.landscape.measured, key=lambda o: -self.landscape.sign * o.mean)
        leaders = np.array([self.encoding.unit(self._full(o.params)) for o in ranked[:5]])
        drawn = self.rng.random((_SCREENED, len(self.encoding.names)))
        pool = np.vstack([drawn, self._around(leaders, _SCREENED // 2, 0.1)])
        for radius in (0.05, 0.02, 0.0):
            scores = evaluate(acquisition, self._place(pool))
            if self.prior is not None:
                scores = scores + self._leaning([self.encoding.decode(unit) for unit in pool])
            order = np.argsort(-scores, kind="stable")
            if radius:
                leaders = pool[order[:5]]
                pool = np.vstack([leaders, self._around(leaders, _SCREENED // 4, radius)])
        fresh = (u for u in pool[order] if _key(self._visible(self.encoding.decode(u))) not in self.tried)
        best = np.array(list(islice(fresh, _CLIMBED)) or drawn[:1])
        smooth = self.encoding.continuous
        proposals = [self.encoding.decode(unit) for unit in best]
        if not smooth.any():
            return proposals[0]
        ends = climb(acquisition, self._place(best), smooth)
        proposals += [
            self.encoding.move(proposal, end) for proposal, end in zip(proposals, ends, strict=True)
        ]
        scores = evaluate(acquisition, self.encoding.encode([self._visible(c) for c in proposals]))
        scores = scores + self._leaning(proposals)
        return proposals[int(np.argmax(scores))]

    def _leaning(self, configurations: Sequence[Mapping[str, Any]]) -> Array:
        """What the prior adds to the log acquisition. Shape: ``(n,)``."""
        if self.prior is None:
            return np.zeros(len(configurations))
        return self.prior.power(len(self.landscape.measured)) * self.prior.log_density(configurations)

    def _place(self, units: Array) -> Array:
        if self.active is None:
            return self.encoding.place(units)
        return self.encoding.encode([self._visible(self.encoding.decode(unit)) for unit in units])

    def _around(self, centres: Array, size: int, radius: float) -> Array:
        """Points near others: some coordinates moved by a normal step, at least one value; choices redrawn."""
        dimensions = len(self.encoding.names)
        categorical = [isinstance(d, CategoricalDistribution) for d in self.encoding.space.values()]
        near = centres[self.rng.integers(len(centres), size=size)]
        share = self.rng.choice([1 / dimensions, 0.5, 1.0], size=(size, 1))
        moved = self.rng.random((size, dimensions)) < share
        moved[np.arange(size), self.rng.integers(dimensions, size=size)] = True
        step = self.rng.normal(size=(size, dimensions)) * radius
        step += np.sign(step) * self.encoding.resolution()
        redrawn = np.where(categorical, self.rng.random((size, dimensions)), np.clip(near + step, 0, 1))
        return np.where(moved, redrawn, near)

    def _full(self, configuration: dict[str, Any]) -> dict[str, Any]:
        missing = [name for name in self.encoding.names if name not in configuration]
        if not missing:
            return configuration
        drawn = self.encoding.decode(self.rng.random(len(self.encoding.names)))
        return {**configuration, **{name: drawn[name] for name in missing}}

    def _visible(self, configuration: dict[str, Any]) -> dict[str, Any]:
        """The configuration without parameters that are not active."""
        if self.active is None:
            return configuration
        names = set(self.active(configuration))
        return {name: value for name, value in configuration.items() if name in names}


def _key(configuration: Mapping[str, Any]) -> frozenset[tuple[str, Any]]:
    return frozenset(configuration.items())
