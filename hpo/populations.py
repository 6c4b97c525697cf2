"""What Ray Tune's population schedulers need to serve a study: values within its space, and draws from a seed.

Population-based training (Jaderberg et al. 2017, arXiv 1711.09846) multiplies a member's values by .8 or 1.2, and so
leaves any space it is given. Population-based bandits (PB2: Parker-Holder et al. 2020, arXiv 2002.02518) model values
as they are, and cut whole numbers off; here they are shown the logarithm of what is searched by it, and whole numbers
are rounded.
"""

# ruff: noqa: NPY002 - Ray's schedulers draw from numpy's global generator.

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hpo.space import Categorical

if TYPE_CHECKING:
    from hpo.space import Space

__all__ = ["continued", "explore", "from_model", "repeatable", "to_model", "unblocked", "within"]

Explore = Callable[[dict[str, Any]], dict[str, Any] | None]


def within(space: Space, values: Mapping[str, Any]) -> dict[str, Any]:
    """``values`` with each number of ``space`` brought into its range, on its step, whole where it must be."""
    found = dict(values)
    for name, parameter in space.root.items():
        if name not in found or isinstance(parameter, Categorical):
            continue
        value = float(found[name])
        if parameter.step is not None:
            highest = math.floor((parameter.high - parameter.low) / parameter.step + 1e-9)
            count = min(max(round((value - parameter.low) / parameter.step), 0), highest)
            value = parameter.low + count * parameter.step
        value = min(max(value, parameter.low), parameter.high)
        found[name] = round(value) if parameter.type == "int" else value
    return found


def to_model(space: Space, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as PB2's model is shown them: logarithms of those on log scales, every number a real one."""
    found = dict(values)
    for name, parameter in space.root.items():
        if name in found and not isinstance(parameter, Categorical):
            found[name] = math.log(found[name]) if parameter.log else float(found[name])
    return found


def from_model(space: Space, values: Mapping[str, Any]) -> dict[str, Any]:
    """Undo :func:`to_model`; what comes out lies within the space."""
    found = dict(values)
    for name, parameter in space.root.items():
        if name in found and not isinstance(parameter, Categorical) and parameter.log:
            # PB2 computes in single precision, and a rounded-up logarithm may overflow past the upper bound.
            found[name] = math.exp(min(float(found[name]), math.log(parameter.high)))
    return within(space, found)


def explore(space: Space, own: Explore | None = None, *, modelled: bool = False) -> Explore:
    """The last step of a member's exploration, for Ray's ``custom_explore_fn``: back into the space.

    Args:
        space: Of the study.
        own: The user's own ``custom_explore_fn``, called first, with values as the study knows them.
        modelled: Whether the scheduler holds values as :func:`to_model` gives them.
    """

    def explored(config: dict[str, Any]) -> dict[str, Any] | None:
        changed: dict[str, Any] | None = from_model(space, config) if modelled else dict(config)
        if own is not None and changed is not None:
            changed = own(changed)
        if changed is None:
            return None  # which Ray reports
        changed = within(space, changed)
        return to_model(space, changed) if modelled else changed

    return explored


def continued(rule: Any, step_of: Callable[[Any], int]) -> None:
    """Have a scheduler take up members of an interrupted population where they were.

    It would think that all of them begin, and change each at its first report, whenever that comes.

    Args:
        rule: Ray's PBT or PB2.
        step_of: The step that one of its trials goes on from.
    """
    add, steps = rule.on_trial_add, list[int]()

    def on_trial_add(controller: Any, trial: Any) -> None:
        add(controller, trial)
        interval, step = rule._perturbation_interval, step_of(trial)
        steps.append(step)
        rule._trial_state[trial].last_perturbation_time = step // interval * interval
        rule._next_perturbation_sync = max((min(steps) // interval + 1) * interval, rule._burn_in_period)

    rule.on_trial_add = on_trial_add


def unblocked(rule: Any) -> None:
    """Have a population that changes in step go on where the member that all others wait for fails or ends.

    Ray looks whether all have come only when one of them reports: the others would wait for ever.

    Args:
        rule: Ray's PBT or PB2.
    """
    choose = rule.choose_trial_to_run

    def choose_trial_to_run(controller: Any) -> Any:
        trial = choose(controller)
        if trial is not None or not rule._synch:
            return trial
        waiting = list(controller.get_live_trials())
        due = rule._next_perturbation_sync
        if waiting and all(
            member.status == "PAUSED" and rule._trial_state[member].last_train_time >= due
            for member in waiting
        ):
            rule.on_trial_result(controller, waiting[-1], rule._trial_state[waiting[-1]].last_result)
            return choose(controller)
        return None

    rule.choose_trial_to_run = choose_trial_to_run


def repeatable(rule: Any, seed: int) -> None:
    """Have a scheduler draw from ``seed`` rather than from the process's global generators, which it leaves alone.

    With ``synch: true`` a study then repeats itself; otherwise as far as its members' reports come in the same order.
    """
    state: list[Any] = []

    def seeded(handle: Callable[..., Any]) -> Callable[..., Any]:
        def drawing(*given: Any) -> Any:
            with _drawing(state, seed):
                return handle(*given)

        return drawing

    rule.on_trial_add = seeded(rule.on_trial_add)
    rule.on_trial_result = seeded(rule.on_trial_result)


@contextmanager
def _drawing(state: list[Any], seed: int) -> Iterator[None]:
    """Python's and numpy's global generators, which Ray's schedulers draw from, as they were left in ``state``."""
    import numpy as np

    before = random.getstate(), np.random.get_state()
    if state:
        random.setstate(state[0])
        np.random.set_state(state[1])
    else:
        random.seed(seed)
        np.random.seed(seed % 2**32)
    try:
        with warnings.catch_warnings():
            # PB2 fits a Gaussian process to a handful of points; that its scales end at a bound helps nobody.
            warnings.filterwarnings("ignore", module="sklearn")
            yield
    finally:
        state[:] = random.getstate(), np.random.get_state()
        random.setstate(before[0])
        np.random.set_state(before[1])
