"""Intervals of fitted laws: rules that hold for all of them, and coverage where the truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling.errors import InputError
from scaling.fitted import FittedLaw, fit_law
from scaling.uncertainty import predictive, predictive_interval


def runs(seed: int, count: int, *, noise: float = 0.01, bend: float = 0.0, top: float = 21.0) -> pd.DataFrame:
    """Chinchilla's law with lognormal noise; ``bend`` is the size of a wave along log compute."""
    rng = np.random.default_rng(seed)
    flops, ratio = 10 ** rng.uniform(18, top, count), 10 ** rng.uniform(0.7, 1.9, count)
    params = np.sqrt(flops / 6 / ratio)
    tokens = params * ratio
    loss = 1.8 + 480 / params**0.348 + 2090 / tokens**0.366
    wrong = bend * np.sin(2.5 * (np.log10(flops) - 18))
    return pd.DataFrame(
        {
            "params": params,
            "tokens": tokens,
            "loss": loss * np.exp(wrong + noise * rng.standard_normal(count)),
        }
    )


def fitted(seed: int = 0, count: int = 40, **options: float) -> FittedLaw:
    return fit_law(runs(seed, count, **options), bootstrap=0, checks=False)


POINTS = {"params": np.array([1e9, 5e9, 2.5e10, 1.2e11]), "tokens": np.array([2e10, 1e11, 5e11, 2.4e12])}
LAW = fitted()
WRONG = fitted(bend=0.03)


@given(st.integers(0, 500), st.floats(0.05, 0.9))
@settings(max_examples=6, deadline=None)
def test_intervals_hold_the_prediction_and_widen_with_the_level(seed: int, level: float) -> None:
    law = fitted(seed, 25, bend=0.02 * (seed % 3))
    narrow, wide = predictive(law, POINTS, level), predictive(law, POINTS, level + 0.09)
    assert ((narrow.low < narrow.value) & (narrow.value < narrow.high)).all()
    assert ((wide.low < narrow.low) & (narrow.high < wide.high)).all()
    assert np.allclose(narrow.value, wide.value)
    assert (narrow.low > 0).all()


def test_intervals_widen_with_the_distance() -> None:
    found = predictive(WRONG, POINTS, 0.9)
    assert (np.diff(np.log(found.high / found.low)) > 0).all()


def test_a_wrong_law_has_wider_intervals_than_a_right_one() -> None:
    right, wrong = predictive(LAW, POINTS, 0.9), predictive(WRONG, POINTS, 0.9)
    # The first point lies among the runs, where they pin the law's error down.
    assert (np.log(wrong.high / wrong.low) > 1.5 * np.log(right.high / right.low))[1:].all()


def test_the_same_fit_gives_the_same_interval() -> None:
    one, two = predictive(fitted(3), POINTS, 0.9), predictive(fitted(3), POINTS, 0.9)
    assert (one.low == two.low).all()
    assert (one.high == two.high).all()


def test_each_point_is_answered_by_itself() -> None:
    together = predictive(LAW, POINTS, 0.9)
    for k in range(4):
        alone = predictive(LAW, {name: column[k : k + 1] for name, column in POINTS.items()}, 0.9)
        assert np.allclose([alone.low[0], alone.high[0]], [together.low[k], together.high[k]], rtol=1e-6)


def test_units_do_not_matter() -> None:
    frame = runs(7, 40)
    law = fit_law(
        frame,
        bootstrap=0,
        checks=False,
        law="E + A*x**-a + B*y**-b",
        inputs=["x", "y"],
        columns={"x": "params", "y": "tokens"},
    )
    scaled = frame.assign(params=frame["params"] / 1e6, tokens=frame["tokens"] / 1e9)
    other = fit_law(
        scaled,
        bootstrap=0,
        checks=False,
        law="E + A*x**-a + B*y**-b",
        inputs=["x", "y"],
        columns={"x": "params", "y": "tokens"},
    )
    here = predictive_interval(law, {"x": POINTS["params"], "y": POINTS["tokens"]}, 0.9)
    there = predictive_interval(other, {"x": POINTS["params"] / 1e6, "y": POINTS["tokens"] / 1e9}, 0.9)
    assert np.allclose(here, there, rtol=1e-3)


def test_fitted_laws_use_it() -> None:
    table = LAW.predict(pd.DataFrame(POINTS), level=0.8)
    low, high = predictive_interval(LAW, POINTS, 0.8)
    assert np.allclose(table["loss_low"], low)
    assert np.allclose(table["loss_high"], high)


def test_a_parameter_at_its_bound_stays_there() -> None:
    x = np.geomspace(1e6, 1e8, 30)
    y = 400 * x**-0.35 * np.exp(-0.01 * np.log(x / 1e6) ** 2 + 0.01 * np.sin(9 * np.log(x)))
    law = fit_law({"params": x, "loss": y}, law="power-law", bootstrap=0, checks=False)
    assert law.params["E"] < 1e-6
    found = predictive(law, {"params": np.array([1e9])}, 0.95)
    assert found.low[0] < 400 * 1e9**-0.35 * np.exp(-0.01 * np.log(1e3) ** 2) < found.high[0]
    assert found.high[0] / found.low[0] < 2


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0, 90.0, float("nan")])
def test_levels_that_make_no_sense_are_refused(level: float) -> None:
    with pytest.raises(InputError, match="level"):
        predictive(LAW, POINTS, level)


@pytest.mark.slow
def test_coverage_one_decade_beyond_where_the_law_is_right() -> None:
    inside = []
    for seed in range(60):
        new = runs(10_000 + seed, 8, top=22.0)
        found = predictive(fitted(seed, 40), {n: new[n].to_numpy() for n in ("params", "tokens")}, 0.95)
        inside.append(((new["loss"] >= found.low) & (new["loss"] <= found.high)).mean())
    assert 0.91 < np.mean(inside) < 0.99
