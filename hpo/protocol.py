"""The protocol: tune on tuning seeds, choose, then test the choice and the baseline on sealed seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo.allocation.fixed import Fixed
from hpo.budget import Budget
from hpo.config import StudyConfig, load_config
from hpo.config.model import Resources, SamplerConfig
from hpo.definition import section_name
from hpo.driver import sole_driver
from hpo.execution import Executor, Source, Task, make_executor
from hpo.incumbent import Incumbent, choose
from hpo.ladder import LADDER, Ladder, is_target, predicted_config
from hpo.objective import Objective, load_objective
from hpo.preflight import allocation_of, check_names, naming
from hpo.progress import Bar, Progress, Quiet
from hpo.provenance import describe, who
from hpo.replay import FINALISTS, chosen_schedule, finalists
from hpo.samplers.given import GivenSampler
from hpo.schedulers import POPULATION
from hpo.sections import check_sections, open_section
from hpo.seeds import derive
from hpo.space import Space
from hpo.storage import folder_of, name_of, open_storage
from hpo.store import Section
from hpo.study import Study
from hpo.tuning import Given, InTurn, Together, Tuning, sampler_for

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

__all__ = ["candidates", "open_testing", "run", "task_of", "weight_of"]


def run(
    study: str | Path | Mapping[str, Any] | StudyConfig,
    *,
    storage: str | Path | BaseStorage | None = None,
    address: str | None = None,
    overrides: Iterable[str] = (),
    progress: bool = True,
    test: bool = True,
) -> Study:
    """Tune, then test the incumbent and the baseline.

    Goes on where an interrupted study was, and repeats no finished run.

    Args:
        study: A study file, or the same as a mapping, whose objective may be the function itself.
        storage: Where it is recorded: a database URL or a SQLite file; ``foretune.db`` if not said.
        address: Of a Ray cluster; this machine if not said.
        overrides: ``key=value`` each.
        progress: Whether to show a progress bar.
        test: Whether to open the testing seeds when tuning is done.

    Raises:
        InputError: The study cannot be right, or differs from what the storage holds under its name.
    """
    source = str(study) if isinstance(study, (str, Path)) else "study"
    config = load_config(study, overrides)
    with naming(source):
        session = _Session(config, source, storage, address)
        session.prepare()
        watcher = session.bar(test=test) if progress else Quiet()
        with sole_driver(session.tuning[0]), watcher, session.executor() as executor:
            session.tune_and_test(executor, watcher, test=test)
    for sealed in filter(None, session.sealed if test else ()):
        sealed.set_attribute("closed", len(sealed.attribute("openings")))
    return Study(session.storage, config.name, where=session.where)


class _Session:
    """One call of :func:`run`."""

    def __init__(self, config: StudyConfig, source: str, storage: Any, address: str | None) -> None:
        self.config = config
        self.source = source
        self.where = name_of(storage)
        self.address = address
        check_names(config, source)
        allocation_of(config, config.space)
        objective = load_objective(config.objective, config.command, source=source)
        self.storage = open_storage(storage)
        self.task = task_of(
            objective,
            config,
            self.storage,
            metric=config.metric,
            direction=config.direction,
            resources=config.resources,
        )
        self.tuning: list[Section] = []
        self.sealed: list[Section | None] = []

    def bar(self, *, test: bool) -> Bar:
        """The progress bar of everything that will be run."""
        config = self.config
        planned: dict[str, int | None] = {}
        weights: dict[str, float] = {}
        for label, fixed in zip(config.labels, config.variants, strict=True):
            runs = config.budget.runs_planned(len(config.seeds.tuning))
            parts: dict[str, int | None] = {section_name(config.name, label): runs}
            if config.scheduler.name in POPULATION:
                finals = config.scheduler.options.get("finalists", FINALISTS) * len(config.seeds.tuning)
                parts[section_name(config.name, label, part="schedules")] = finals
            if config.baseline is not None and config.baseline.tune is not None:
                parts[section_name(config.name, label, part="baseline")] = runs
            if test and config.seeds.testing and not self._climbs(fixed):
                tested = 1 if config.baseline is None else 2
                parts[section_name(config.name, label, sealed=True)] = tested * len(config.seeds.testing)
            planned |= parts
            weights |= dict.fromkeys(parts, weight_of(fixed))
        return Bar(config.name, planned, weights, config.metric, config.direction)

    def _climbs(self, fixed: Mapping[str, Any]) -> bool:
        """Whether a scale is only a rung on the way to the target, not compared with anything itself."""
        return self.config.sampler.name == LADDER and not is_target(self.config, fixed)

    def executor(self) -> Executor:
        """The study's engine."""
        return make_executor(self.config.engine, address=self.address)

    def prepare(self) -> None:
        """Make or find the sections; refuse a changed definition before anything is written."""
        check_sections(self.config, self.storage, source=self.source, where=self.where)
        for label, fixed in zip(self.config.labels, self.config.variants, strict=True):
            self.tuning.append(self._section(label, fixed, "tuning"))
            tested = bool(self.config.seeds.testing) and not self._climbs(fixed)
            self.sealed.append(self._section(label, fixed, "testing") if tested else None)
        first = self.tuning[0]
        sampler, scheduler = self.config.sampler.model_dump(), self.config.scheduler.model_dump()
        entry = {**describe(), "sampler": sampler, "scheduler": scheduler, "engine": self.config.engine}
        first.set_attribute("provenance", [*(first.attribute("provenance") or []), entry])

    def _section(self, label: str, fixed: dict[str, Any], phase: str) -> Section:
        return open_section(self.config, self.storage, label, fixed, phase)

    def tune_and_test(self, executor: Executor, watcher: Progress, *, test: bool) -> None:
        """All scales; without early stopping as one stream of jobs, so that no slot is idle between their ends."""
        scales = range(len(self.tuning))
        if self.config.sampler.name == LADDER:
            executor.run(InTurn(self._climb(watcher, test=test)), self.task)
            return
        if self.config.scheduler.name == "none":
            executor.run(
                Together([InTurn(self._steps(index, watcher, test=test)) for index in scales]), self.task
            )
            return
        for index in scales:
            # A scheduler compares the runs it is shown: those of one scale, and never those on testing seeds.
            tuning, *rest = self._steps(index, watcher, test=test)
            executor.run(tuning(), self.task, self.config.scheduler)
            executor.run(InTurn(rest), self.task)

    def _climb(self, watcher: Progress, *, test: bool) -> list[Callable[[], Source]]:
        """The ladder; then, where the target is a scale, the law's prediction there, tested as any incumbent is."""
        config, last = self.config, len(self.tuning) - 1
        ladder = Ladder(config, self.tuning, watcher.finished, watcher.resumed)
        if not is_target(config, config.variants[last]):
            return [lambda: ladder]

        def target() -> Source:
            return Tuning(
                self.tuning[last],
                config.space,
                config.variants[last],
                Fixed(config.seeds.tuning, Budget(trials=1)),
                config.seeds.tuning,
                lambda _: GivenSampler(predicted_config(config, ladder.runs())),
                watcher.finished,
            )

        return [lambda: ladder, target, *self._steps(last, watcher, test=test)[1:]]

    def _steps(self, index: int, watcher: Progress, *, test: bool) -> list[Callable[[], Source]]:
        config, label, fixed = self.config, self.config.labels[index], self.config.variants[index]
        steps: list[Callable[[], Source]] = []

        def tuning() -> Source:
            section = self.tuning[index]
            sampler = config.sampler
            if label:  # other draws at each scale: together they cover more of the space
                sampler = sampler.model_copy(update={"seed": derive(sampler.seed, label)})
            return _tuning(config, section, config.space, fixed, sampler, watcher)

        steps.append(tuning)
        if config.scheduler.name in POPULATION:

            def schedules() -> Source:
                section = self._section(label, fixed, "schedules")
                count = config.scheduler.options.get("finalists", FINALISTS)
                best = finalists(self.tuning[index].ledger(), config.direction, fixed, count)
                given = Given(section, best, config.seeds.tuning, watcher.finished)
                watcher.resumed(section.name, given.ledger)
                return given

            steps.append(schedules)
        tuned = config.baseline.tune if config.baseline is not None else None
        if tuned is not None:

            def baseline() -> Source:
                section = self._section(label, {**fixed, **tuned.fixed}, "baseline")
                # Draws of its own: from the study's seed it could find what the study finds.
                seed = derive(tuned.sampler.seed, "baseline", label)
                sampler = tuned.sampler.model_copy(update={"seed": seed})
                space = tuned.space or config.space
                return _tuning(config, section, space, {**fixed, **tuned.fixed}, sampler, watcher)

            steps.append(baseline)
        sealed = self.sealed[index]
        if test and sealed is not None:

            def testing() -> Source:
                tuned_section = self._part(label, "baseline") if tuned else None
                configs = candidates(config, self._incumbent(index), fixed, tuned_section)
                open_testing(sealed, configs, again=False)
                given = Given(sealed, configs, config.seeds.testing, watcher.finished, single_roles=True)
                watcher.resumed(sealed.name, given.ledger)
                return given

            steps.append(testing)
        return steps

    def _incumbent(self, index: int) -> Incumbent:
        config, label = self.config, self.config.labels[index]
        if config.scheduler.name in POPULATION:
            ledger = self._part(label, "schedules").ledger()
            return chosen_schedule(ledger, config.direction, config.variants[index])
        return choose(self.tuning[index].ledger(), config.direction, space=config.space.distributions())

    def _part(self, label: str, part: str) -> Section:
        return Section(self.storage, section_name(self.config.name, label, part=part))


def _tuning(
    config: StudyConfig,
    section: Section,
    space: Space,
    fixed: Mapping[str, Any],
    sampler: SamplerConfig,
    watcher: Progress,
) -> Source:
    source = Tuning(
        section,
        space,
        fixed,
        allocation_of(config, space),
        config.seeds.tuning,
        lambda number: sampler_for(sampler, space, number, fixed),
        watcher.finished,
    )
    watcher.resumed(section.name, source.ledger)
    return source


def weight_of(fixed: Mapping[str, Any]) -> float:
    """Relative cost of one run: N times D where the study says both."""
    try:
        return float(fixed["params"]) * float(fixed["tokens"])
    except (KeyError, TypeError, ValueError):
        return 1.0


def task_of(
    objective: Objective,
    config: StudyConfig | None,
    storage: BaseStorage,
    *,
    metric: str,
    direction: str,
    resources: Resources,
) -> Task:
    """What executors need to know of a study or an evaluation."""
    folder = folder_of(storage)
    return Task(
        objective,
        metric,
        direction,
        resources.cpu,
        resources.gpu,
        config.time_limit if config is not None else None,
        folder / ".foretune-checkpoints" if folder is not None else None,
        config.energy if config is not None else False,
        (str(Path.cwd()),),
        config.space if config is not None else None,
    )


def candidates(
    config: StudyConfig, incumbent: Incumbent, fixed: Mapping[str, Any], baseline: Section | None
) -> list[tuple[str, dict[str, Any]]]:
    """What is tested at the end: the incumbent, and the baseline as given or as tuned."""
    chosen = [("incumbent", {**fixed, **incumbent.config})]
    if config.baseline is None:
        return chosen
    if config.baseline.config is not None:
        chosen.append(("baseline", {**fixed, **config.baseline.config}))
    if baseline is not None and config.baseline.tune is not None:
        space = (config.baseline.tune.space or config.space).distributions()
        values = choose(baseline.ledger(), config.direction, space=space).config
        chosen.append(("baseline", {**baseline.attributes["fixed"], **values}))
    return chosen


def open_testing(sealed: Section, configs: Sequence[tuple[str, Mapping[str, Any]]], *, again: bool) -> None:
    """Put an opening of the testing seeds on the record.

    Args:
        sealed: Section of the testing runs.
        configs: What is looked at.
        again: Whether a look at what has been looked at before counts as a new one. Going on with an interrupted one
            never does.
    """
    what = [{"role": role, "config": dict(config)} for role, config in configs]
    openings = list(sealed.attribute("openings") or [])
    known = [entry["what"] for entry in openings]
    interrupted = bool(known) and known[-1] == what and sealed.attribute("closed") != len(known)
    if interrupted or (what in known and not again):
        return
    sealed.set_attribute("openings", [*openings, {**who(), "what": what}])
