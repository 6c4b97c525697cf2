"""The protocol: tune on tuning seeds, choose, then test the choice and the baseline on sealed seeds."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo.allocation.base import Allocation
from hpo.config import StudyConfig, load_config
from hpo.config.model import Resources, SamplerConfig, TunedBaseline
from hpo.definition import check_unchanged, definition_of, section_name
from hpo.execution import Executor, Source, Task, make_executor
from hpo.incumbents import choose
from hpo.objective import Objective, load_objective
from hpo.progress import Bar, Progress, Quiet
from hpo.provenance import describe, who
from hpo.samplers import NAMES as SAMPLERS
from hpo.schedulers import check_scheduler
from hpo.seeds import derive
from hpo.space import Space
from hpo.store import Section, folder_of, name_of, open_storage
from hpo.study import Study
from hpo.tuning import Given, InTurn, Together, Tuning, sampler_for
from scaling.errors import ForetuneError, InputError

if TYPE_CHECKING:
    import pandas as pd
    from optuna.storages import BaseStorage

__all__ = ["evaluate", "run", "test"]


def run(
    study: str | Path | Mapping[str, Any] | StudyConfig,
    *,
    storage: str | Path | BaseStorage | None = None,
    address: str | None = None,
    overrides: Iterable[str] = (),
    progress: bool = True,
    test: bool = True,
) -> Study:
    """Tune, then test the incumbent and the baseline. Goes on where an interrupted study was, and repeats no finished run.

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
    session = _Session(config, source, storage, address)
    session.prepare()
    watcher = session.bar(test=test) if progress else Quiet()
    with watcher, session.executor() as executor:
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
        _check_names(config, source)
        objective = load_objective(config.objective, config.command, source=source)
        self.storage = open_storage(storage)
        self.task = _task(
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
            if config.baseline is not None and config.baseline.tune is not None:
                parts[section_name(config.name, label, part="baseline")] = runs
            if test and config.seeds.testing:
                tested = 1 if config.baseline is None else 2
                parts[section_name(config.name, label, sealed=True)] = tested * len(config.seeds.testing)
            planned |= parts
            weights |= dict.fromkeys(parts, _weight(fixed))
        return Bar(config.name, planned, weights, config.metric, config.direction)

    def executor(self) -> Executor:
        """The study's engine."""
        return make_executor(self.config.engine, address=self.address)

    def prepare(self) -> None:
        """Make or find the sections; refuse a changed definition before anything is written."""
        opened = {
            entry.study_name: entry.user_attrs.get("foretune", {}) for entry in self.storage.get_all_studies()
        }
        names = [section_name(self.config.name, label) for label in self.config.labels]
        for name, fixed in zip(names, self.config.variants, strict=True):
            for section, sealed in ((name, False), (f"{name}::testing", True)):
                if opened.get(section):
                    new = {**definition_of(self.config, sealed=sealed), "fixed": fixed}
                    old = {**opened[section].get("definition", {}), "fixed": opened[section].get("fixed")}
                    check_unchanged(
                        old,
                        json.loads(json.dumps(new)),
                        study=self.config.name,
                        source=self.source,
                        where=self.where,
                    )
        for label, fixed in zip(self.config.labels, self.config.variants, strict=True):
            self.tuning.append(self._section(label, fixed, "tuning"))
            self.sealed.append(self._section(label, fixed, "testing") if self.config.seeds.testing else None)
        first = self.tuning[0]
        sampler, scheduler = self.config.sampler.model_dump(), self.config.scheduler.model_dump()
        entry = {**describe(), "sampler": sampler, "scheduler": scheduler, "engine": self.config.engine}
        first.set_attribute("provenance", [*(first.attribute("provenance") or []), entry])

    def _section(self, label: str, fixed: dict[str, Any], phase: str) -> Section:
        sealed = phase == "testing"
        name = section_name(self.config.name, label, sealed=sealed, part="" if phase == "tuning" else phase)
        attributes = {
            "study": self.config.name,
            "phase": phase,
            "label": label,
            "fixed": fixed,
            "metric": self.config.metric,
            "direction": self.config.direction,
            "definition": definition_of(self.config, sealed=sealed),
        }
        return Section.create(self.storage, name, self.config.direction, attributes)

    def tune_and_test(self, executor: Executor, watcher: Progress, *, test: bool) -> None:
        """All scales; without early stopping as one stream of jobs, so that no slot is idle between their ends."""
        scales = range(len(self.tuning))
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
        tuned = config.baseline.tune if config.baseline is not None else None
        if tuned is not None:

            def baseline() -> Source:
                section = self._section(label, {**fixed, **tuned.fixed}, "baseline")
                return _tuning(
                    config,
                    section,
                    tuned.space or config.space,
                    {**fixed, **tuned.fixed},
                    tuned.sampler,
                    watcher,
                )

            steps.append(baseline)
        sealed = self.sealed[index]
        if test and sealed is not None:

            def testing() -> Source:
                configs = candidates(config, self.tuning[index], fixed, self._baseline_section(label, tuned))
                _open(sealed, configs, again=False)
                given = Given(sealed, configs, config.seeds.testing, watcher.finished)
                watcher.resumed(sealed.name, given.ledger)
                return given

            steps.append(testing)
        return steps

    def _baseline_section(self, label: str, tuned: TunedBaseline | None) -> Section | None:
        return (
            Section(self.storage, section_name(self.config.name, label, part="baseline")) if tuned else None
        )


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
        _allocation(config),
        config.seeds.tuning,
        lambda number: sampler_for(sampler, space, number),
        watcher.finished,
    )
    watcher.resumed(section.name, source.ledger)
    return source


def _allocation(config: StudyConfig) -> Allocation:
    if config.seeds.allocation == "racing":
        from hpo.allocation.racing import Racing

        planned = config.budget.runs_planned(len(config.seeds.tuning))
        if planned is None:
            raise InputError(
                f"racing counts training runs, and the budget is in {config.budget.kind}",
                key="budget",
                remedy="give budget: {runs: N}, or allocation: fixed",
            )
        return Racing(config.seeds.tuning, planned, config.direction, **config.seeds.options)
    from hpo.allocation.fixed import Fixed

    if config.budget.runs is not None and config.budget.runs < len(config.seeds.tuning):
        raise InputError(
            f"{config.budget.runs} runs are fewer than the {len(config.seeds.tuning)} tuning seeds of one configuration",
            key="budget.runs",
            remedy="raise it, use fewer tuning seeds, or allocation: racing",
        )
    return Fixed(config.seeds.tuning, config.budget)


def _weight(fixed: Mapping[str, Any]) -> float:
    """Relative cost of one run: N times D where the study says both."""
    try:
        return float(fixed["params"]) * float(fixed["tokens"])
    except (KeyError, TypeError, ValueError):
        return 1.0


def _test_bar(study: Study, config: StudyConfig, further: int) -> Bar:
    tested = 1 + (config.baseline is not None) + further
    names = {scale.testing.name: scale for scale in study.scales if scale.testing is not None}
    planned: dict[str, int | None] = dict.fromkeys(names, tested * len(config.seeds.testing))
    weights = {name: _weight(scale.fixed) for name, scale in names.items()}
    return Bar(f"{study.name} on testing seeds", planned, weights, config.metric, config.direction)


def _task(
    objective: Objective,
    config: StudyConfig | None,
    storage: BaseStorage,
    *,
    metric: str,
    direction: str,
    resources: Resources,
) -> Task:
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
    )


def _check_names(config: StudyConfig, source: str) -> None:
    """Samplers and schedulers are looked up by name, their options by making one: before anything is written."""
    tuned = config.baseline.tune if config.baseline is not None else None
    given = [("sampler", config.sampler, config.space)]
    if tuned is not None:
        given.append(("baseline.tune.sampler", tuned.sampler, tuned.space or config.space))
    for key, sampler, space in given:
        if sampler.name not in SAMPLERS:
            near = difflib.get_close_matches(sampler.name, SAMPLERS, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise InputError(
                f"there is no sampler {sampler.name!r}",
                source=source,
                key=f"{key}.name",
                remedy=f"{hint}known are {', '.join(SAMPLERS)}",
            )
        try:
            sampler_for(sampler, space, 0)
        except InputError as error:
            raise InputError(
                error.message, source=source, key=error.key or key, remedy=error.remedy
            ) from None
    check_scheduler(config.scheduler, config.engine, source=source)


def candidates(
    config: StudyConfig, tuning: Section, fixed: Mapping[str, Any], baseline: Section | None
) -> list[tuple[str, dict[str, Any]]]:
    """What is tested at the end: the incumbent, and the baseline as given or as tuned."""
    chosen = [("incumbent", {**fixed, **choose(tuning.ledger(), config.direction).config})]
    if config.baseline is None:
        return chosen
    if config.baseline.config is not None:
        chosen.append(("baseline", {**fixed, **config.baseline.config}))
    if baseline is not None:
        values = choose(baseline.ledger(), config.direction).config
        chosen.append(("baseline", {**baseline.attributes["fixed"], **values}))
    return chosen


def _open(sealed: Section, configs: Sequence[tuple[str, Mapping[str, Any]]], *, again: bool) -> None:
    """Put an opening of the testing seeds on the record.

    Args:
        sealed: Section of the testing runs.
        configs: What is looked at.
        again: Whether a look at what has been looked at before counts as a new one. Going on with an interrupted one never does.
    """
    what = [{"role": role, "config": dict(config)} for role, config in configs]
    openings = list(sealed.attribute("openings") or [])
    known = [entry["what"] for entry in openings]
    interrupted = bool(known) and known[-1] == what and not sealed.attribute("closed") == len(known)
    if interrupted or (what in known and not again):
        return
    sealed.set_attribute("openings", [*openings, {**who(), "what": what}])


def test(
    study: Study,
    configs: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    objective: Any = None,
    address: str | None = None,
    engine: str | None = None,
    progress: bool = True,
) -> Study:
    """Open the sealed testing seeds of a study: its incumbent and baseline, or ``configs``, run on each of them.

    Each opening is on the record (``study.openings``); one after the first is reported as such by ``hpo test``.

    Args:
        study: A study that has been tuned.
        configs: Further configurations by a name of yours, tested as well.
        objective: The function, where the record cannot name one that imports.
        address: Of a Ray cluster.
        engine: In place of the study's own.
        progress: Whether to show a progress bar.
    """
    definition = dict(study.definition)
    if objective is not None:
        definition["objective"] = objective
    config = load_config(definition)
    if not config.seeds.testing:
        raise InputError(
            "the study has no testing seeds", key="seeds.testing", remedy="start a study that has some"
        )
    function = load_objective(config.objective, config.command, source=study.name)
    task = _task(
        function,
        config,
        study.storage,
        metric=config.metric,
        direction=config.direction,
        resources=config.resources,
    )
    watcher = _test_bar(study, config, len(configs or {})) if progress else Quiet()
    sources: list[Source] = []
    for scale in study.scales:
        assert scale.testing is not None
        chosen = candidates(config, scale.tuning, scale.fixed, scale.baseline)
        chosen += [(role, {**scale.fixed, **values}) for role, values in (configs or {}).items()]
        _open(scale.testing, chosen, again=True)
        sources.append(Given(scale.testing, chosen, config.seeds.testing, watcher.finished))
    with watcher, make_executor(engine or config.engine, address=address) as executor:
        executor.run(Together(sources), task)
    for scale in study.scales:
        assert scale.testing is not None
        scale.testing.set_attribute("closed", len(scale.testing.attribute("openings")))
    return Study(study.storage, study.name, where=study.where)


def evaluate(
    objective: str | Callable[..., Any],
    configs: Sequence[Mapping[str, Any]],
    seeds: Sequence[int],
    *,
    name: str,
    metric: str = "loss",
    direction: str = "minimize",
    storage: str | Path | BaseStorage | None = None,
    engine: str = "ray",
    address: str | None = None,
    roles: Sequence[str] | None = None,
    resources: Mapping[str, float] | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Run given configurations on given seeds, recorded and resumable like a study.

    Args:
        objective: ``module:function`` or the function.
        configs: Whole configurations.
        seeds: Each configuration is run on each.
        name: In the storage. The same name goes on where it was; further configurations and seeds may be added.
        metric: Which of the returned numbers is the value.
        direction: Whether less or more of it is better.
        storage, engine, address, progress: As in :func:`run`.
        roles: A word for each configuration, shown in the table.
        resources: ``cpu`` and ``gpu`` of one run.

    Returns:
        The runs table of these configurations on these seeds, in their order.
    """
    function = load_objective(objective, None)
    opened = open_storage(storage)
    attributes = {
        "study": name,
        "phase": "given",
        "label": "",
        "fixed": {},
        "metric": metric,
        "direction": direction,
        "definition": {
            "name": name,
            "objective": objective if isinstance(objective, str) else repr(objective),
        },
    }
    section = Section.create(opened, name, direction, attributes)
    if section.attributes.get("phase") != "given":
        raise InputError(f"{name!r} is a study already", key="name", remedy="give these runs another name")
    section.set_attribute("provenance", [*(section.attribute("provenance") or []), describe()])
    task = _task(
        function, None, opened, metric=metric, direction=direction, resources=Resources(**(resources or {}))
    )
    watcher = Bar(name, {name: len(configs) * len(seeds)}, {}, metric, direction) if progress else Quiet()
    source = Given(
        section, list(zip(roles or [""] * len(configs), configs, strict=True)), seeds, watcher.finished
    )
    watcher.resumed(name, source.ledger)
    with watcher, make_executor(engine, address=address) as executor:
        executor.run(source, task)
    table = Study(opened, name).runs
    order = {
        (number, seed): i for i, (number, seed) in enumerate((n, s) for n in source.numbers for s in seeds)
    }
    keys = [order.get((int(n), int(s))) for n, s in zip(table["configuration"], table["seed"], strict=True)]
    table = table.assign(_order=keys).dropna(subset=["_order"]).sort_values("_order")
    return table.drop(columns="_order").reset_index(drop=True)
