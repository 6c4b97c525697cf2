"""Quality against cost: a planted factor is found again, and nothing is claimed beyond what was measured."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.statistics import CostCurve, Point, trade_off

COSTS = [1.0, 2.0, 4.0, 8.0, 16.0]


def points(noise, seeds=10, seed=0):
    rng = np.random.default_rng(seed)
    return [Point(f"{cost:g}", cost, np.log2(cost) + noise * rng.normal(size=seeds)) for cost in COSTS]


def test_a_method_twice_as_cheap_is_found_to_be():
    # The baseline gains one unit a doubling: twice as cheap is one unit better.
    rng = np.random.default_rng(5)
    method = Point("method", 4.0, 3 + 0.1 * rng.normal(size=10))
    found = trade_off(method, points(0.1), replicates=500)
    assert found.cheaper.value == pytest.approx(2, rel=0.1)
    assert found.cheaper.low < 2 < found.cheaper.high
    assert found.better.value == pytest.approx(1, abs=0.15)
    assert found.above == "yes"


@pytest.mark.slow
def test_intervals_hold_the_planted_factor():
    hits = 0
    for seed in range(40):
        rng = np.random.default_rng(1000 + seed)
        method = Point("method", 4.0, 3 + 0.3 * rng.normal(size=8))
        found = trade_off(method, points(0.3, 8, seed), replicates=120)
        hits += found.cheaper.low <= 2 <= found.cheaper.high
    assert hits >= 35


def test_beyond_the_baselines_best_only_a_bound_is_claimed():
    found = trade_off(Point("method", 4.0, [9.0] * 5), points(0.0, 5), replicates=50)
    assert math.isinf(found.cheaper.value)
    assert "more than 4 times cheaper." in found.statement


def test_a_bound_says_how_sure_it_is():
    rng = np.random.default_rng(6)
    found = trade_off(Point("method", 8.0, 4.1 + 0.8 * rng.normal(size=10)), points(0.3), replicates=300)
    assert math.isinf(found.cheaper.value) and found.cheaper.low < 2
    assert (
        f"more than 2 times cheaper as measured, with 95% at least {found.cheaper.low:.3g}" in found.statement
    )


def test_outside_the_costs_measured_the_gain_is_not_identified():
    found = trade_off(Point("method", 64.0, [3.0] * 5), points(0.0, 5), replicates=50)
    assert found.better is None
    assert "not identified" in found.statement
    assert found.cheaper.value == pytest.approx(8 / 64)


def test_a_point_under_the_curve_is_said_to_be():
    found = trade_off(Point("worse", 4.0, [1.0] * 5), points(0.01, 5), replicates=100)
    assert found.above == "no"
    assert found.cheaper.value == pytest.approx(0.5, rel=0.05)


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=8))
def test_the_curve_rises_whatever_was_measured(qualities):
    costs = 2.0 ** np.arange(len(qualities))
    curve = CostCurve(costs, qualities)
    grid = curve.quality_at(np.geomspace(costs[0], costs[-1] * (1 - 1e-12), 50))
    assert (np.diff(grid) >= -1e-9 * (1 + np.abs(grid[1:]))).all()


@given(st.floats(1.0, 16.0))
def test_cost_and_quality_are_inverse(cost):
    curve = CostCurve(COSTS, [0, 1, 2, 3, 4])
    assert curve.cost_at(float(curve.quality_at(cost))) == pytest.approx(cost, rel=1e-6)


def test_one_cost_is_no_curve():
    with pytest.raises(ValueError, match="two or more"):
        CostCurve([1.0, 1.0], [0.0, 1.0])
