"""Opening the sealed testing seeds of a study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hpo.config import StudyConfig, load_config
from hpo.driver import sole_driver
from hpo.execution import Source, Task, make_executor
from hpo.objective import load_objective
from hpo.progress import Bar, Progress, Quiet
from hpo.protocol import candidates, open_testing, task_of, weight_of
from hpo.replay import SCHEDULE
from hpo.study import Study
from hpo.tuning import Given, Together
from scaling.errors import InputError

__all__ = ["test"]


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

    Raises:
        InputError: The study has no testing seeds, or a configuration holds a value that the study does not know.
        ForetuneError: Nothing has a value to choose by, or another process is running the study.
    """
    if not study.scales:
        raise InputError(
            "these are runs of given configurations, which have no sealed seeds",
            source=study.name,
            key="name",
            remedy="name a study that has been tuned, or run hpo.evaluate on further seeds",
        )
    definition = dict(study.definition)
    if objective is not None:
        definition["objective"] = objective
    config = load_config(definition)
    if not config.seeds.testing:
        raise InputError(
            "the study has no testing seeds",
            source=study.name,
            key="seeds.testing",
            remedy="start a study that has some",
        )
    function = load_objective(config.objective, config.command, source=study.name)
    task = task_of(
        function,
        config,
        study.storage,
        metric=config.metric,
        direction=config.direction,
        resources=config.resources,
    )
    watcher = _test_bar(study, config, len(configs or {})) if progress else Quiet()
    _check_known(config, study, configs or {})
    with sole_driver(study.scales[0].tuning):
        return _opened(study, config, configs or {}, task, watcher, engine or config.engine, address)


def _check_known(config: StudyConfig, study: Study, configs: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse what the study does not know before the seeds are opened: it was mistyped, and would be looked at."""
    known = {SCHEDULE, *config.space.root, *(name for scale in study.scales for name in scale.fixed)}
    tuned = config.baseline.tune if config.baseline is not None else None
    if tuned is not None:
        known |= {*tuned.fixed, *(tuned.space.root if tuned.space else ())}
    for role, values in configs.items():
        for name in values:
            if name not in known:
                raise InputError(
                    f"{name!r} is neither in the space nor fixed",
                    source=study.name,
                    key=f"--config {role}",
                    remedy=f"there are {', '.join(sorted(known - {SCHEDULE}))}",
                )


def _opened(
    study: Study,
    config: StudyConfig,
    configs: Mapping[str, Mapping[str, Any]],
    task: Task,
    watcher: Progress,
    engine: str,
    address: str | None,
) -> Study:
    sources: list[Source] = []
    sealed = [(scale, scale.testing) for scale in study.scales if scale.testing is not None]
    for scale, testing in sealed:
        chosen = candidates(config, scale.incumbent, scale.fixed, scale.baseline)
        chosen += [(role, {**scale.fixed, **values}) for role, values in configs.items()]
        open_testing(testing, chosen, again=True)
        sources.append(Given(testing, chosen, config.seeds.testing, watcher.finished, single_roles=True))
    with watcher, make_executor(engine, address=address) as executor:
        executor.run(Together(sources), task)
    for _, testing in sealed:
        testing.set_attribute("closed", len(testing.attribute("openings")))
    return Study(study.storage, study.name, where=study.where)


def _test_bar(study: Study, config: StudyConfig, further: int) -> Bar:
    tested = 1 + (config.baseline is not None) + further
    names = {scale.testing.name: scale for scale in study.scales if scale.testing is not None}
    planned: dict[str, int | None] = dict.fromkeys(names, tested * len(config.seeds.testing))
    weights = {name: weight_of(scale.fixed) for name, scale in names.items()}
    return Bar(f"{study.name} on testing seeds", planned, weights, config.metric, config.direction)
