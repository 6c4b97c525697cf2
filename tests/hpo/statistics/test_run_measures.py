"""The measures against their published definitions, as written in the paper's own library."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hpo.statistics import (
    interquartile_mean,
    mean,
    median,
    optimality_gap,
    oriented,
    performance_profile,
    probability_of_improvement,
)

numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40)


@given(numbers)
def test_interquartile_mean_is_the_trimmed_mean_of_scipy(values):
    expected = stats.trim_mean(values, proportiontocut=0.25, axis=None)
    assert interquartile_mean(values) == pytest.approx(expected, rel=1e-12, abs=1e-9)


@given(numbers, st.floats(-1e6, 1e6))
def test_optimality_gap_is_target_less_mean_of_scores_cut_at_target(values, target):
    expected = target - np.mean(np.minimum(values, target))
    assert optimality_gap(values, target) == pytest.approx(expected, rel=1e-9, abs=1e-6)


@given(numbers, numbers)
def test_probability_of_improvement_is_the_mann_whitney_statistic(first, second):
    expected = stats.mannwhitneyu(first, second).statistic / (len(first) * len(second))
    assert probability_of_improvement([first], [second]) == pytest.approx(expected)
    assert probability_of_improvement([second], [first]) == pytest.approx(1 - expected)


def test_probability_of_improvement_averages_over_tasks_not_over_pairs():
    first, second = [[1.0], [0.0] * 10], [[0.0], [1.0] * 10]
    assert probability_of_improvement(first, second) == 0.5


@given(numbers, st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=5))
def test_performance_profile_counts_runs_strictly_above(values, thresholds):
    expected = [np.mean(np.array(values) > threshold) for threshold in thresholds]
    assert performance_profile(values, thresholds) == pytest.approx(expected)


def test_measures_take_replicates_at_once():
    scores = np.random.default_rng(0).normal(size=(7, 9))
    for measure in (interquartile_mean, median, mean):
        assert measure(scores) == pytest.approx([measure(row) for row in scores])
    assert performance_profile(scores, [0.0, 1.0]).shape == (7, 2)


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize("bad", [None, float("nan"), float("inf"), float("-inf")])
def test_a_failed_run_ranks_below_every_number_in_both_directions(direction, bad):
    scores = oriented([bad, -1e300, 1e300], direction)
    assert np.isneginf(scores[0])
    assert np.isfinite(scores[1:]).all()
    assert scores[0] < scores[1:].min()


def test_no_mean_over_the_survivors():
    scores = oriented([10.0, 10.0, None], "maximize")
    assert mean(scores) == -np.inf
    assert optimality_gap(scores, 10.0) == np.inf


def test_failures_are_the_first_that_the_interquartile_mean_leaves_out():
    assert interquartile_mean(oriented([None, 1.0, 2.0, 3.0], "maximize")) == 1.5
    assert interquartile_mean(oriented([None, None, 2.0, 3.0], "maximize")) == -np.inf


def test_a_configuration_that_fails_never_beats_the_same_one_that_does_not():
    rng = np.random.default_rng(0)
    for _ in range(200):
        whole = rng.normal(size=10).tolist()
        broken = [None if rng.random() < 0.4 else value for value in whole]
        scores, partly = oriented(whole, "maximize"), oriented(broken, "maximize")
        for measure in (interquartile_mean, median, mean):
            assert measure(partly) <= measure(scores) + 1e-12


def test_an_unknown_direction_is_refused():
    with pytest.raises(ValueError, match="minimize"):
        oriented([1.0], "up")
