"""What must be right before a study's first run: sampler, scheduler, allocation of seeds and budget together."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import contextmanager

from hpo.allocation.base import Allocation
from hpo.allocation.fixed import Fixed
from hpo.config import StudyConfig
from hpo.ladder import LADDER, check_ladder
from hpo.samplers import NAMES as SAMPLERS
from hpo.schedulers import POPULATION, check_scheduler, make_scheduler
from hpo.space import Space
from hpo.tuning import sampler_for
from scaling.errors import InputError

__all__ = ["allocation_of", "check_names", "naming"]


@contextmanager
def naming(source: str, key: str | None = None) -> Iterator[None]:
    """Have an :class:`InputError` from within say which file is at fault, and which key, unless it says so itself."""
    try:
        yield
    except InputError as error:
        if error.source and (error.key or not key):
            raise
        raise InputError(
            error.message, source=error.source or source, key=error.key or key, remedy=error.remedy
        ) from error


def check_names(config: StudyConfig, source: str) -> None:
    """Samplers and schedulers are looked up by name, their options by making one: before anything is written."""
    tuned = config.baseline.tune if config.baseline is not None else None
    given = [("sampler", config.sampler, config.space)]
    if tuned is not None:
        given.append(("baseline.tune.sampler", tuned.sampler, tuned.space or config.space))
    for key, sampler, space in given:
        if sampler.name == LADDER and key == "sampler":
            check_ladder(config, source)
            continue
        if sampler.name not in SAMPLERS:
            near = difflib.get_close_matches(sampler.name, SAMPLERS, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise InputError(
                f"there is no sampler {sampler.name!r}",
                source=source,
                key=f"{key}.name",
                remedy=f"{hint}known are {', '.join((*SAMPLERS, LADDER))}",
            )
        with naming(source, key):
            for fixed in config.variants:
                sampler_for(sampler, space, 0, fixed)
    check_scheduler(config.scheduler, config.engine, source=source)
    if config.scheduler.name != "none":
        with naming(source):
            make_scheduler(config.scheduler, config.metric, config.direction, config.space)
    if config.scheduler.name in POPULATION and config.seeds.allocation == "racing":
        raise InputError(
            f"the members of a population ({config.scheduler.name}) train side by side, and cannot race",
            source=source,
            key="seeds.allocation",
            remedy="give allocation: fixed, or another scheduler",
        )
    if config.scheduler.name in POPULATION and config.budget.runs_planned(1) is None:
        raise InputError(
            f"the members of a population are trained side by side, and {config.budget.kind} do not say how many",
            source=source,
            key="budget",
            remedy="give budget: {trials: N}",
        )


def allocation_of(config: StudyConfig, space: Space) -> Allocation:
    """Who gets the next run: the study's allocation of seeds within its budget.

    Raises:
        InputError: The budget does not fit the allocation, or one of its options is none.
    """
    if config.seeds.allocation == "racing":
        from hpo.allocation.racing import Racing

        planned = config.budget.runs_planned(len(config.seeds.tuning))
        if planned is None:
            raise InputError(
                f"racing counts training runs, and the budget is in {config.budget.kind}",
                key="budget",
                remedy="give budget: {runs: N}, or allocation: fixed",
            )
        options = {"space": space.distributions(), **config.seeds.options}
        try:
            return Racing(config.seeds.tuning, planned, config.direction, **options)
        except TypeError as error:
            raise InputError(
                f"racing does not take these options: {error}", key="seeds.options", remedy="startup, level"
            ) from None
    if config.budget.runs is not None and config.budget.runs < len(config.seeds.tuning):
        raise InputError(
            f"{config.budget.runs} runs are fewer than one configuration needs, {len(config.seeds.tuning)}",
            key="budget.runs",
            remedy="raise it, use fewer tuning seeds, or allocation: racing",
        )
    judged = config.scheduler.name not in ("none", *POPULATION)
    return Fixed(config.seeds.tuning, config.budget, judged=judged)
