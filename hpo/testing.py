"""Opening the sealed testing seeds of a study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hpo.config import StudyConfig, load_config
from hpo.execution import Source, make_executor
from hpo.objective import load_objective
from hpo.progress import Bar, Quiet
from hpo.protocol import candidates, open_testing, task_of, weight_of
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
    task = task_of(
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
        chosen = candidates(config, scale.incumbent, scale.fixed, scale.baseline)
        chosen += [(role, {**scale.fixed, **values}) for role, values in (configs or {}).items()]
        open_testing(scale.testing, chosen, again=True)
        sources.append(
            Given(scale.testing, chosen, config.seeds.testing, watcher.finished, single_roles=True)
        )
    with watcher, make_executor(engine or config.engine, address=address) as executor:
        executor.run(Together(sources), task)
    for scale in study.scales:
        assert scale.testing is not None
        scale.testing.set_attribute("closed", len(scale.testing.attribute("openings")))
    return Study(study.storage, study.name, where=study.where)


def _test_bar(study: Study, config: StudyConfig, further: int) -> Bar:
    tested = 1 + (config.baseline is not None) + further
    names = {scale.testing.name: scale for scale in study.scales if scale.testing is not None}
    planned: dict[str, int | None] = dict.fromkeys(names, tested * len(config.seeds.testing))
    weights = {name: weight_of(scale.fixed) for name, scale in names.items()}
    return Bar(f"{study.name} on testing seeds", planned, weights, config.metric, config.direction)
