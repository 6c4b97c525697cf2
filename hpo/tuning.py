"""The loop of a study: the allocation says what is next, the sampler proposes, the record is kept; engines run jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hpo.allocation.base import Allocation, Done, Propose, Repeat, Wait
from hpo.execution.base import Job, Source
from hpo.execution.worker import MISSING_METRIC
from hpo.ledger import Atom, Ledger, RunRecord
from hpo.seeds import derive
from hpo.space import Space
from scaling.errors import InputError

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from hpo.config.model import SamplerConfig
    from hpo.store import Section

__all__ = ["Given", "InTurn", "Together", "Tuning", "sampler_for"]

Listener = Callable[[Job, RunRecord], None]


def sampler_for(
    config: SamplerConfig, space: Space, number: int, fixed: Mapping[str, Any] | None = None
) -> BaseSampler:
    """The sampler that draws configuration ``number``.

    Made anew for each from the study's seed and the number, so that a resumed study draws what an uninterrupted one
    would have, and none twice. Sobol's sequence and our own sampler find their place by the number: they keep one seed.
    """
    from hpo.samplers import make_sampler

    options = config.options
    if config.name == "bayesian":
        options = {"space": space.distributions(), **options}
        if space.conditional:
            options.setdefault("active", space.active)
        if options.get("prior") is not None:
            from hpo.samplers.prior import prior_from_law

            options["prior"] = prior_from_law(options["prior"], fixed or {}, space.distributions())
    seed = config.seed if config.name in ("bayesian", "sobol") else derive(config.seed, number)
    sampler = make_sampler(config.name, seed, **options)
    if config.name == "sobol" and not space.conditional:
        # Without it Optuna draws at random until a first trial has completed; with several workers those are many.
        sampler._initial_search_space = space.distributions()  # type: ignore[attr-defined]
    return sampler


class Tuning(Source):
    """Tunes one section: inversion of control for both engines.

    Args:
        section: Where it is recorded; what is there already is taken up again.
        space: Of its configurations.
        fixed: Values that every run is handed beside the sampled ones.
        allocation: Which run comes next.
        seeds: Tuning seeds, in order.
        sampler: Gives the sampler for a configuration's number.
        listener: Told of each finished run after it has been committed.
    """

    def __init__(
        self,
        section: Section,
        space: Space,
        fixed: Mapping[str, Any],
        allocation: Allocation,
        seeds: Sequence[int],
        sampler: Callable[[int], BaseSampler],
        listener: Listener | None = None,
    ) -> None:
        self.section = section
        self.ledger: Ledger = section.ledger()
        self._space = space
        self._fixed = dict(fixed)
        self._allocation = allocation
        self._seeds = tuple(seeds)
        self._sampler = sampler
        self._listener = listener
        self._open = section.unfinished()
        self._proposed = len(section.trials())
        # Proposed by a driver that died before their first run had finished: same configuration, same seed, again.
        self._orphans = self._repair()

    def _repair(self) -> list[int]:
        orphans = []
        for number in sorted(self._open):
            params = self.ledger.params[number]
            if params.keys() != set(self._complete_names(params)):
                self.section.settle(number, [])  # killed between two parameters: it never was a configuration
                self._open.discard(number)
                self.ledger.withdraw(number)
            elif not self.ledger.of(number):
                orphans.append(number)
        return orphans

    def _complete_names(self, params: Mapping[str, Any]) -> list[str]:
        """The names that a configuration with these values must have."""
        there: dict[str, Any] = {}
        for name in self._space.order():
            if self._space.root[name].active(there):
                there[name] = params.get(name)
        return list(there)

    def ask(self) -> Job | Wait | Done:
        """The next run."""
        while self._orphans:
            number = self._orphans.pop(0)
            return self._job(Atom(number, self._seeds[0]))
        move = self._allocation.next(self.ledger)
        if isinstance(move, Propose):
            number, params = self.section.propose(self._space, self._sampler(self._proposed))
            self._proposed = number + 1
            self.ledger.propose(number, params)
            self._open.add(number)
            return self._job(Atom(number, move.seed))
        if isinstance(move, Repeat):
            return self._job(Atom(move.configuration, move.seed), judged=False)
        if isinstance(move, Done):
            self._settle(self._open)
        return move

    def tell(self, job: Job, record: RunRecord) -> None:
        """Commit a finished run; end its configuration if no further run of it can come."""
        _refuse_missing_metric(record, self.ledger)
        self._allocation.check(self.ledger, record)
        self.section.commit(record)
        self.ledger.add(record)
        self._settle({number for number in self._open if self._allocation.settled(self.ledger, number)})
        if self._listener:
            self._listener(job, record)

    def _job(self, atom: Atom, *, judged: bool = True) -> Job:
        self.ledger.start(atom)
        params = self.ledger.params[atom.configuration]
        return Job(self.section.name, atom, {**self._fixed, **params}, params, judged)

    def _settle(self, numbers: set[int]) -> None:
        for number in sorted(numbers):
            if not self.ledger.running(number):
                self.section.settle(number, self.ledger.of(number))
                self._open.discard(number)


class Given(Source):
    """Runs configurations that are given on seeds that are given; those already recorded are not run again.

    Args:
        section: Where they are recorded.
        configs: Whole configurations with the role of each, in order; seeds are paired across them.
        seeds: Each configuration is run on each.
        listener: Told of each finished run after it has been committed.
        single_roles: Whether one configuration alone has a role, as the incumbent has, and the one before loses it.
    """

    def __init__(
        self,
        section: Section,
        configs: Sequence[tuple[str, Mapping[str, Any]]],
        seeds: Sequence[int],
        listener: Listener | None = None,
        *,
        single_roles: bool = False,
    ) -> None:
        self.section = section
        self.ledger = section.ledger()
        self._single_roles = single_roles
        self.numbers = [self._number(role, config) for role, config in configs]
        self._todo = [
            Atom(number, seed)
            for seed in seeds
            for number in dict.fromkeys(self.numbers)
            if Atom(number, seed) not in self.ledger
        ]
        self._listener = listener

    def _number(self, role: str, config: Mapping[str, Any]) -> int:
        for number, known in self.ledger.params.items():
            if known == dict(config):
                if role and self._single_roles:
                    self.section.give_role(number, role)
                return number
        number = self.section.enter(config, "" if self._single_roles else role)
        if self._single_roles:
            self.section.give_role(number, role)
        self.ledger.propose(number, dict(config))
        return number

    @property
    def outstanding(self) -> int:
        """Runs that have not been started."""
        return len(self._todo)

    def ask(self) -> Job | Wait | Done:
        """The next run."""
        if not self._todo:
            return Wait() if self.ledger.running() else Done()
        atom = self._todo.pop(0)
        self.ledger.start(atom)
        return Job(self.section.name, atom, self.ledger.params[atom.configuration])

    def tell(self, job: Job, record: RunRecord) -> None:
        """Commit a finished run."""
        _refuse_missing_metric(record, self.ledger)
        self.section.commit(record)
        self.ledger.add(record)
        if self._listener:
            self._listener(job, record)


class InTurn(Source):
    """One source after another; each is made when the one before is done."""

    def __init__(self, makers: Sequence[Callable[[], Source]]) -> None:
        self._makers = list(makers)
        self._current: Source | None = None

    def ask(self) -> Job | Wait | Done:
        """The current source's next run."""
        while True:
            if self._current is None:
                if not self._makers:
                    return Done()
                self._current = self._makers.pop(0)()
            move = self._current.ask()
            if not isinstance(move, Done):
                return move
            self._current = None

    def tell(self, job: Job, record: RunRecord) -> None:
        """To the current source: it is not done before its last run has been told."""
        assert self._current is not None
        self._current.tell(job, record)


class Together(Source):
    """Several sources at once, earlier ones first: while one waits for its last runs, the next has work."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = list(sources)
        self._owner: dict[tuple[str, Atom], Source] = {}

    def ask(self) -> Job | Wait | Done:
        """A run of the first source that has one."""
        waiting = False
        for source in list(self._sources):
            move = source.ask()
            if isinstance(move, Job):
                self._owner[move.section, move.atom] = source
                return move
            if isinstance(move, Done):
                self._sources.remove(source)
            else:
                waiting = True
        return Wait() if waiting else Done()

    def tell(self, job: Job, record: RunRecord) -> None:
        """To the source that the job came from."""
        self._owner.pop((job.section, job.atom)).tell(job, record)


def _refuse_missing_metric(record: RunRecord, ledger: Ledger) -> None:
    """A first run without the metric means that the study asks for the wrong one: stop before anything is recorded."""
    if (
        record.error
        and record.error.startswith(MISSING_METRIC)
        and not any(run.status == "complete" for run in ledger)
    ):
        raise InputError(
            record.error.partition(": ")[2],
            key="metric",
            remedy="name a metric that the objective returns, or have the objective return this one",
        )
