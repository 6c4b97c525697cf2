"""Population schedulers within a study's space."""

# ruff: noqa: NPY002 - Ray's schedulers draw from numpy's global generator.

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo.config.model import SchedulerConfig
from hpo.populations import continued, explore, from_model, repeatable, to_model, within
from hpo.schedulers import make_scheduler
from hpo.space import Space
from scaling.errors import InputError

SPACE = Space.model_validate(
    {
        "rate": {"type": "float", "low": 1e-6, "high": 0.1, "log": True},
        "clip": {"type": "float", "low": 0.0, "high": 0.5},
        "step": {"type": "float", "low": 0.0, "high": 1.0, "step": 0.25},
        "epochs": {"type": "int", "low": 5, "high": 20},
        "width": {"type": "int", "low": 8, "high": 64, "step": 8},
        "kind": {"type": "categorical", "choices": ["a", "b"]},
    }
)
INSIDE = {"rate": 1e-3, "clip": 0.2, "step": 0.25, "epochs": 10, "width": 16, "kind": "b"}


def test_what_lies_within_the_space_is_left_as_it_is() -> None:
    assert within(SPACE, INSIDE) == INSIDE
    assert from_model(SPACE, to_model(SPACE, INSIDE)) == pytest.approx(INSIDE)


def test_what_a_scheduler_pushed_out_comes_back() -> None:
    outside = {"rate": 0.12, "clip": -0.1, "step": 1.2, "epochs": 24.4, "width": 70.0, "kind": "a", "else": 7}
    back = explore(SPACE)(dict(outside))
    assert back == {"rate": 0.1, "clip": 0.0, "step": 1.0, "epochs": 20, "width": 64, "kind": "a", "else": 7}
    assert back is not None and type(back["epochs"]) is int and type(back["width"]) is int


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["rate", "clip", "step", "epochs", "width"]), st.floats(-1e6, 1e6)))
def test_nothing_outside_the_space_reaches_an_objective(values: dict[str, float]) -> None:
    for found in (within(SPACE, values), from_model(SPACE, values)):
        for name, value in found.items():
            parameter: Any = SPACE.root[name]
            assert parameter.low <= value <= parameter.high
            assert parameter.distribution()._contains(value)


def test_a_users_own_exploration_comes_first_and_sees_the_studys_values() -> None:
    seen: list[dict[str, Any]] = []

    def own(config: dict[str, Any]) -> dict[str, Any]:
        seen.append(dict(config))
        return {**config, "rate": 5.0, "clip": 0.3}

    assert explore(SPACE, own)(dict(INSIDE)) == {**INSIDE, "rate": 0.1, "clip": 0.3}
    held = explore(SPACE, own, modelled=True)(to_model(SPACE, INSIDE))
    assert held == to_model(SPACE, {**INSIDE, "rate": 0.1, "clip": 0.3})
    assert seen[1] == pytest.approx(INSIDE)
    assert explore(SPACE, lambda config: None)(dict(INSIDE)) is None


def test_both_schedulers_explore_within_the_space() -> None:
    options = {"perturbation_interval": 1}
    pbt = make_scheduler(SchedulerConfig(name="pbt", **options), "loss", "minimize", SPACE)
    assert pbt._custom_explore_fn({"rate": 9.0})["rate"] == 0.1
    bounds = {"rate": [1e-5, 1e-2]}
    own = SchedulerConfig.model_validate({"name": "pb2", "hyperparam_bounds": bounds, **options})
    pb2 = make_scheduler(own, "loss", "minimize", SPACE)
    assert pb2._hyperparam_bounds == {"rate": pytest.approx([np.log(1e-5), np.log(1e-2)])}
    assert pb2._custom_explore_fn({"rate": 9.0})["rate"] == pytest.approx(np.log(0.1))


def test_draws_come_from_a_seed_and_leave_the_processs_own_alone() -> None:
    class Rule:
        def on_trial_add(self, controller: Any, trial: Any) -> float:
            return random.random()

        def on_trial_result(self, controller: Any, trial: Any, result: Any) -> tuple[float, float]:
            return random.random(), float(np.random.uniform())

    def drawn(seed: int) -> list[Any]:
        rule = Rule()
        repeatable(rule, seed)
        return [rule.on_trial_add(None, None), *(rule.on_trial_result(None, None, {}) for _ in range(3))]

    random.seed(1)
    np.random.seed(1)
    alone = random.random(), float(np.random.uniform())
    random.seed(1)
    np.random.seed(1)
    first = drawn(0)
    assert (random.random(), float(np.random.uniform())) == alone
    assert first == drawn(0) and first != drawn(1) and len(set(first)) == 4


def test_early_stopping_deals_its_brackets_from_a_seed() -> None:
    class Run:
        def __init__(self, number: int) -> None:
            self.trial_id = str(number)

    def dealt(seed: int) -> list[int]:
        config = {"name": "asha", "max_t": 100, "grace_period": 10, "brackets": 3, "seed": seed}
        rule = make_scheduler(SchedulerConfig.model_validate(config), "loss", "minimize")
        for number in range(30):
            rule.on_trial_add(None, Run(number))
        return [rule._brackets.index(rule._trial_info[str(number)]) for number in range(30)]

    assert dealt(0) == dealt(0) != dealt(1)
    assert set(dealt(0)) == {0, 1, 2}


def test_a_scheduler_that_lacks_a_library_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(**options: Any) -> None:
        raise RuntimeError("Please install GPy to use PB2.")

    monkeypatch.setattr("ray.tune.schedulers.pb2.PB2", lacking)
    config = SchedulerConfig.model_validate({"name": "pb2", "perturbation_interval": 2})
    with pytest.raises(InputError, match="install GPy"):
        make_scheduler(config, "loss", "minimize", SPACE)


def test_hyperband_counts_in_the_steps_that_its_grace_period_says() -> None:
    def rungs(**options: Any) -> list[tuple[int, int]]:
        config = SchedulerConfig.model_validate({"name": "hyperband", "reduction_factor": 3, **options})
        rule = make_scheduler(config, "loss", "minimize")
        return [(rule._get_n0(s), rule._get_r0(s)) for s in range(rule._s_max_1)]

    assert rungs(max_t=27) == [(4, 27), (6, 9), (12, 3), (27, 1)]
    assert rungs(max_t=20000, grace_period=2000) == [(3, 20000), (5, 6666), (9, 2222)]
    with pytest.raises(InputError, match="grace_period"):
        rungs(max_t=27, grace_period=28)


def test_members_taken_up_again_change_when_their_time_has_come() -> None:
    class Member:
        def __init__(self, step: int) -> None:
            self.step = step

    def begun(*steps: int, **options: Any) -> tuple[list[int], int]:
        config = SchedulerConfig.model_validate({"name": "pbt", "perturbation_interval": 4, **options})
        rule = make_scheduler(config, "loss", "minimize", SPACE)
        members = [Member(step) for step in steps]

        class State:
            last_perturbation_time = 0

        rule.on_trial_add = lambda _, member: rule._trial_state.update({member: State()})
        continued(rule, lambda member: member.step)
        for member in members:
            rule.on_trial_add(None, member)
        return [rule._trial_state[m].last_perturbation_time for m in members], rule._next_perturbation_sync

    assert begun(0, 0) == ([0, 0], 4)
    assert begun(0, 0, burn_in_period=6) == ([0, 0], 6)
    assert begun(9, 8, 10) == ([8, 8, 8], 12)
    assert begun(4, 3) == ([4, 0], 4), "one of them has not come to the change that the other waits for"
