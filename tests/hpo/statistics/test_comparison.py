"""Methods against each other: what is clear is said to be clear, and what is unfair is said loudly."""

import math

import numpy as np
import pytest

from hpo.statistics import Method, compare


def method(name, values, seeds=range(100, 110), **known):
    return Method(name, {"task": dict(zip(seeds, values, strict=False))}, **known)


RNG = np.random.default_rng(0)
GOOD, BAD = RNG.normal(10, 1, 10), RNG.normal(5, 1, 10)


@pytest.mark.parametrize(("direction", "better"), [("maximize", "good"), ("minimize", "bad")])
def test_a_clear_difference_is_found_in_the_right_direction(direction, better):
    found = compare([method("good", GOOD), method("bad", BAD)], direction=direction)
    (effect,) = found.effects
    assert effect.verdict.startswith(f"{better} is better than")
    assert (effect.difference.value > 0) == (better == "good")
    assert effect.difference.excludes(0)
    assert (effect.probability.value > 0.9) == (better == "good")
    assert effect.seeds_needed is not None
    assert effect.seeds_needed <= 5


def test_the_same_runs_show_no_difference():
    (effect,) = compare([method("a", GOOD), method("b", GOOD)], direction="maximize").effects
    assert effect.verdict.startswith("No clear difference")
    assert effect.probability.value == 0.5


def test_clear_differences_are_rare_where_there_is_none():
    rng = np.random.default_rng(1)
    clear = 0
    for _ in range(150):
        runs = [method(name, rng.normal(size=10)) for name in "ab"]
        clear += compare(runs, direction="maximize", replicates=500).effects[0].difference.excludes(0)
    assert clear / 150 <= 0.08


def test_summaries_are_in_the_metrics_own_direction():
    found = compare([method("a", GOOD), method("b", BAD)], direction="minimize", target=4.0)
    summary = found.summaries[0]
    assert summary.mean.value == pytest.approx(GOOD.mean())
    assert summary.mean.low < summary.mean.value < summary.mean.high
    assert summary.optimality_gap.value == pytest.approx(np.maximum(GOOD - 4.0, 0).mean())


def test_failures_are_counted_and_never_averaged_away():
    values = [10.0, None, math.nan, *[10.0] * 7]
    found = compare([method("fragile", values), method("plain", [9.0] * 10)], direction="maximize")
    fragile, _ = found.summaries
    assert fragile.failed == 2
    assert math.isinf(fragile.mean.value)
    assert fragile.interquartile_mean.value == 10.0
    assert found.effects[0].probability.value == pytest.approx(0.8)


def test_a_method_that_mostly_fails_loses_to_one_that_does_not():
    values = [1e9, *[None] * 9]
    (effect,) = compare(
        [method("fragile", values), method("plain", [0.0] * 10)], direction="maximize"
    ).effects
    assert "fragile fails on more than a quarter" in effect.verdict


def test_pairs_by_seed_not_by_position():
    seeds = list(range(10))
    values = np.arange(10.0)
    shuffled = Method("b", {"task": {seed: values[seed] - 0.5 for seed in reversed(seeds)}})
    first = Method("a", {"task": dict(zip(seeds, values, strict=True))})
    (effect,) = compare([first, shuffled], direction="maximize").effects
    assert effect.paired
    assert effect.difference.low > 0.3


def test_different_seeds_are_not_paired_and_it_says_so():
    found = compare([method("a", GOOD), method("b", BAD, seeds=range(10))], direction="maximize")
    assert not found.effects[0].paired
    assert any("not paired" in note for note in found.notes)


def test_unequal_budgets_hardware_and_tuning_are_said_loudly():
    methods = [
        method("a", GOOD, budget={"runs": 50}, hardware="8 cores"),
        method("b", BAD, budget={"runs": 10}, hardware="1 GPU"),
        method("defaults", BAD, tuned=False),
    ]
    notes = " ".join(compare(methods, direction="maximize").notes)
    assert "UNEQUAL BUDGETS" in notes
    assert "DIFFERENT HARDWARE" in notes
    assert "NOT TUNED: defaults" in notes


def test_equal_budgets_need_no_note():
    methods = [method(name, GOOD, budget={"runs": 50}, hardware="x") for name in "ab"]
    assert compare(methods, direction="maximize").notes == ()


def test_methods_with_different_tasks_are_refused():
    other = Method("b", {"elsewhere": {1: 1.0}})
    with pytest.raises(ValueError, match="task"):
        compare([method("a", GOOD), other], direction="maximize")


def test_with_early_stopping_equal_flops_are_an_equal_budget():
    methods = [
        method("whole", GOOD, budget={"runs": 40, "flops": 1e12}),
        method("stopped", GOOD, budget={"runs": 90, "flops": 1.05e12}),
    ]
    assert compare(methods, direction="maximize").notes == ()


def test_testing_on_tuning_seeds_is_said_loudly():
    methods = [method("a", GOOD, tuning_seeds=frozenset({0, 105})), method("b", GOOD)]
    assert "TESTED ON TUNING SEEDS: 105" in compare(methods, direction="maximize").notes[0]


def test_ten_wins_out_of_ten_are_not_certainty():
    (effect,) = compare([method("a", GOOD + 100), method("b", GOOD)], direction="maximize").effects
    assert effect.probability.value == effect.probability.high == 1.0
    assert effect.probability.low == pytest.approx(0.025 ** (1 / 10))
