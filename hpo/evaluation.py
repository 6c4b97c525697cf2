"""Given configurations on given seeds, recorded and resumable like a study."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo.config.model import Resources
from hpo.driver import sole_driver
from hpo.execution import make_executor
from hpo.objective import load_objective
from hpo.progress import Bar, Quiet
from hpo.protocol import task_of
from hpo.provenance import describe
from hpo.storage import open_storage
from hpo.store import Section
from hpo.study import Study
from hpo.tuning import Given
from scaling.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from optuna.storages import BaseStorage

__all__ = ["evaluate"]


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
    task = task_of(
        function, None, opened, metric=metric, direction=direction, resources=Resources(**(resources or {}))
    )
    watcher = Bar(name, {name: len(configs) * len(seeds)}, {}, metric, direction) if progress else Quiet()
    source = Given(
        section, list(zip(roles or [""] * len(configs), configs, strict=True)), seeds, watcher.finished
    )
    asked = {(number, seed) for number in source.numbers for seed in seeds}
    watcher.resumed(name, [one for one in source.ledger if (one.atom.configuration, one.atom.seed) in asked])
    with sole_driver(section), watcher, make_executor(engine, address=address) as executor:
        executor.run(source, task)
    table = Study(opened, name).runs
    order = {
        (number, seed): i for i, (number, seed) in enumerate((n, s) for n in source.numbers for s in seeds)
    }
    keys = [order.get((int(n), int(s))) for n, s in zip(table["configuration"], table["seed"], strict=True)]
    mine = sorted((place, row) for row, place in enumerate(keys) if place is not None)
    return table.iloc[[row for _, row in mine]].reset_index(drop=True)
