"""Spaces: every configuration that is drawn is one that the study file allows."""

from __future__ import annotations

import math
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo.space import Space

optuna.logging.set_verbosity(optuna.logging.WARNING)


def parameters() -> st.SearchStrategy[dict[str, Any]]:
    bounds = st.tuples(st.integers(1, 50), st.integers(51, 1000))
    real = bounds.flatmap(
        lambda b: st.builds(
            lambda log: {"type": "float", "low": b[0] / 7, "high": b[1] / 7, "log": log}, st.booleans()
        )
    )
    whole = bounds.flatmap(
        lambda b: st.builds(lambda log: {"type": "int", "low": b[0], "high": b[1], "log": log}, st.booleans())
    )
    choice = st.lists(
        st.sampled_from(["a", "b", 3, 4.5, True, None]), min_size=1, max_size=4, unique_by=repr
    ).map(lambda choices: {"type": "categorical", "choices": choices})
    return st.one_of(real, whole, choice)


@given(st.lists(parameters(), min_size=1, max_size=4), st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_what_is_drawn_lies_within(entries: list[dict[str, Any]], seed: int) -> None:
    space = Space.model_validate({f"p{i}": entry for i, entry in enumerate(entries)})
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    config = space.suggest(study.ask())
    assert list(config) == list(space.root)
    for name, entry in zip(space.root, entries, strict=True):
        value = config[name]
        if entry["type"] == "categorical":
            assert value in entry["choices"]
        else:
            assert entry["low"] <= value <= entry["high"] and math.isfinite(value)
            assert isinstance(value, int) == (entry["type"] == "int")


CONDITIONAL = Space.model_validate(
    {
        "beta2": {"type": "float", "low": 0.9, "high": 0.999, "when": {"optimizer": "adam"}},
        "nesterov": {"type": "categorical", "choices": [True, False], "when": {"momentum_on": [True]}},
        "optimizer": {"type": "categorical", "choices": ["adam", "sgd"]},
        "momentum_on": {"type": "categorical", "choices": [True, False], "when": {"optimizer": "sgd"}},
    }
)


def test_conditions_are_followed_however_they_are_ordered() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    seen = set()
    for _ in range(40):
        config = CONDITIONAL.suggest(study.ask())
        seen.add(frozenset(config))
        assert ("beta2" in config) == (config["optimizer"] == "adam")
        assert ("momentum_on" in config) == (config["optimizer"] == "sgd")
        assert ("nesterov" in config) == (config.get("momentum_on") is True)
    assert len(seen) == 3


def test_active_names_of_a_full_assignment() -> None:
    full = {"beta2": 0.95, "nesterov": True, "optimizer": "adam", "momentum_on": True}
    assert set(CONDITIONAL.active(full)) == {"optimizer", "beta2"}
    assert set(CONDITIONAL.active({**full, "optimizer": "sgd"})) == {"optimizer", "momentum_on", "nesterov"}


def test_distributions_are_optunas() -> None:
    space = Space.model_validate({"lr": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True}})
    assert space.distributions() == {"lr": optuna.distributions.FloatDistribution(1e-4, 1e-1, log=True)}
    with pytest.raises(KeyError):
        space.active({})
