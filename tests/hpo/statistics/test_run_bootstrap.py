"""Intervals hold what they claim, keep strata apart and pairs together."""

import math

import numpy as np
import pytest

from hpo.statistics import Interval, interquartile_mean, interval, mean, paired_interval, profile_band


def difference(first, second):
    return interquartile_mean(np.concatenate(first, 1)) - interquartile_mean(np.concatenate(second, 1))


def coverage(draw, runs, trials, replicates=800):
    truth = interquartile_mean(draw(np.random.default_rng(1), (1, 400_000)))[0]
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(trials):
        found = interval(interquartile_mean, [draw(rng, runs)], replicates=replicates)
        hits += found.low <= truth <= found.high
    return hits / trials


@pytest.mark.parametrize(
    "draw",
    [lambda rng, size: rng.normal(size=size), lambda rng, size: np.minimum(rng.normal(480, 60, size), 500)],
    ids=["normal", "capped at the best return"],
)
def test_intervals_of_ten_runs_cover_what_they_claim(draw):
    assert 0.93 <= coverage(draw, 10, 400) <= 0.995


def test_intervals_of_five_runs_are_nearly_honest():
    assert coverage(lambda rng, size: rng.normal(size=size), 5, 400) >= 0.88


def test_one_run_claims_nothing():
    found = interval(mean, [[3.0]])
    assert (found.value, found.low, found.high) == (3.0, -math.inf, math.inf)


def test_runs_are_drawn_within_their_task_only():
    # Tasks without noise of their own: only drawing across tasks could make the mean vary.
    found = interval(mean, [[0.0] * 5, [100.0] * 5])
    assert (found.low, found.value, found.high) == (50.0, 50.0, 50.0)


def test_pairing_removes_what_seeds_have_in_common():
    rng = np.random.default_rng(0)
    common = rng.normal(0, 10, 10)
    first, second = common + 1 + rng.normal(0, 0.1, 10), common + rng.normal(0, 0.1, 10)
    paired = paired_interval(difference, [first], [second], paired=True)
    apart = paired_interval(difference, [first], [second], paired=False)
    assert paired.excludes(0.0)
    assert not apart.excludes(0.0)
    assert paired.high - paired.low < (apart.high - apart.low) / 3


def test_unpaired_methods_may_have_different_numbers_of_runs():
    found = paired_interval(difference, [[5.0, 5.1, 5.2]], [[1.0, 1.1, 1.2, 1.3]], paired=False)
    assert found.low > 3


def test_the_same_seed_gives_the_same_interval():
    scores = [np.random.default_rng(0).normal(size=10)]
    assert interval(mean, scores) == interval(mean, scores)
    assert interval(mean, scores) != interval(mean, scores, seed=1)


def test_failures_on_both_sides_leave_the_difference_undefined():
    failed = [[-np.inf] * 4]
    found = paired_interval(difference, failed, failed, paired=True)
    assert math.isnan(found.value)


def test_an_interval_goes_through_a_falling_function_the_right_way_round():
    flipped = Interval(1.0, 0.5, 2.0).mapped(lambda value: -value)
    assert (flipped.value, flipped.low, flipped.high) == (-1.0, -2.0, -0.5)


def test_profile_band_holds_the_profile():
    profile, low, high = profile_band([np.arange(10.0)], [-1.0, 4.5, 20.0])
    assert profile == pytest.approx([1.0, 0.5, 0.0])
    assert (low <= profile).all()
    assert (profile <= high).all()
