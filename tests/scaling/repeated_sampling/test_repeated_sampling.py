"""pass@k, its law over problems, and resampling against an imperfect verifier."""

from __future__ import annotations

import math
from math import comb

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling.errors import InputError
from scaling.repeated_sampling import (
    PYTHIA_MATH,
    Settings,
    best_samples,
    beta_pass_at_k,
    fit_pass_at_k,
    pass_at_k,
    power_law_pass_at_k,
    resample,
)
from tests.scaling.public import public_table


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_the_estimator_is_the_exact_ratio(case: tuple[int, int, int]) -> None:
    n, c, k = case
    assert pass_at_k(n, c, k) == pytest.approx(1 - comb(n - c, k) / comb(n, k), rel=1e-9, abs=1e-12)


def test_the_estimator_is_unbiased() -> None:
    p, n, k = 0.07, 30, 10
    c = np.arange(n + 1)
    chance = np.array([comb(n, int(i)) * p**i * (1 - p) ** (n - i) for i in c])
    assert (chance * pass_at_k(n, c, k)).sum() == pytest.approx(1 - (1 - p) ** k, rel=1e-10)


def test_the_estimator_keeps_small_chances_and_large_counts() -> None:
    assert pass_at_k(10**7, 1, 1) == pytest.approx(1e-7, rel=1e-3)
    assert np.isfinite(pass_at_k(10**7, 10**3, 10**6))


def test_nothing_is_said_beyond_the_samples() -> None:
    with pytest.raises(InputError, match="cannot be estimated"):
        pass_at_k(128, 0, 10_000)
    with pytest.raises(InputError):
        pass_at_k(10, 11, 1)


def test_the_beta_law_has_a_power_law_tail() -> None:
    k = np.array([1e5, 1e6])
    missed = 1 - beta_pass_at_k(0.3, 50.0, k)
    assert np.log(missed[0] / missed[1]) / np.log(10) == pytest.approx(0.3, abs=1e-3)


@pytest.mark.parametrize(
    ("a", "b", "k"), [(0.1, 2300.0, 100), (0.3, 1e6, 40), (0.4, 0.01, 5), (2.0, 5.0, 30)]
)
def test_the_beta_law_loses_no_digits_where_success_is_rare(a: float, b: float, k: int) -> None:
    """By hand: after i failures the next succeeds with chance a / (a + b + i)."""
    missed = sum(math.log1p(-a / (a + b + i)) for i in range(k))
    assert beta_pass_at_k(a, b, k) == pytest.approx(-math.expm1(missed), rel=1e-8)


def test_an_exact_curve_moves_the_tail_only_as_far_as_it_bends() -> None:
    """A tail far from what is expected is believed where the curve is exact, and not where it is noise."""
    rate = beta_quantiles(0.1, 2300.0, 400)
    n = np.full(rate.size, 100_000.0)
    correct = np.round(n * rate)
    exact = fit_pass_at_k(n, correct, largest=100, settings=PYTHIA_MATH, exact=True, bootstrap=0)
    assert exact.a == pytest.approx(0.1, rel=0.15)
    rng = np.random.default_rng(0)
    noisy = fit_pass_at_k(100, rng.binomial(100, rate), settings=PYTHIA_MATH, bootstrap=0)
    assert noisy.a == pytest.approx(np.exp(PYTHIA_MATH.tail), rel=0.15)


def test_without_a_pull_the_fit_finds_the_law_that_made_the_curve() -> None:
    rate = beta_quantiles(0.6, 40.0, 4000)
    n = np.full(rate.size, 1e7)
    free = Settings(spread=1e6, weight=0.0)
    found = fit_pass_at_k(n, np.round(n * rate), largest=30, exact=True, settings=free, bootstrap=0)
    assert found.a == pytest.approx(0.6, rel=0.05)
    assert found.b == pytest.approx(40.0, rel=0.05)


@pytest.mark.parametrize(("a", "b"), [(1.0, 5.0), (0.5, 2.0), (0.6, 30.0)])
def test_problems_of_another_kind_are_not_held_to_the_expected_tail(a: float, b: float) -> None:
    rate = beta_quantiles(a, b, 200)
    fitted = fit_pass_at_k(100, np.random.default_rng(0).binomial(100, rate), bootstrap=0)
    assert float(fitted.value(1)) == pytest.approx(rate.mean(), abs=0.05)
    truth = float((1 - (1 - rate) ** 1000).mean())
    assert float(fitted.value(1000)) == pytest.approx(truth, abs=0.06)
    free = fit_pass_at_k(100, np.full(20, 3), settings=Settings(spread=1e6), bootstrap=5)
    assert np.isfinite(free.interval(1000)).all()


def beta_quantiles(a: float, b: float, size: int) -> np.ndarray:
    from scipy.stats import beta

    return np.asarray(beta.ppf((np.arange(size) + 0.5) / size, a, b), dtype=np.float64)


def test_predicts_a_hundred_times_beyond_the_samples() -> None:
    rng = np.random.default_rng(0)
    rate = rng.beta(0.35, 60.0, 2000)
    fitted = fit_pass_at_k(100, rng.binomial(100, rate), bootstrap=60)
    truth = float((1 - (1 - rate) ** 10_000).mean())
    assert float(fitted.value(10_000)) == pytest.approx(truth, abs=0.03)
    low, high = fitted.interval(10_000)
    assert low < truth < high
    assert abs(float(power_law_pass_at_k([1, 10, 100], fitted.value([1, 10, 100]), 10_000)) - truth) > 0.05


def test_without_a_success_it_says_so() -> None:
    fitted = fit_pass_at_k(100, np.zeros(20))
    assert float(fitted.value(10_000)) == 0.0
    low, high = fitted.interval(10_000)
    assert float(low) == 0.0 and float(high) == 1.0
    with pytest.raises(InputError):
        fit_pass_at_k(100, [3])


@pytest.mark.data
def test_a_model_out_of_line_is_predicted_from_its_curve() -> None:
    """Pythia 160M: a tail exponent of 0.1 where the other models have 0.3 to 0.4."""
    frame = monkeys()
    rows = frame[
        (frame["Model"] == "Pythia 160M")
        & (frame["Scaling Parameter"] == 1)
        & (frame["Num. Samples"] >= 10_000)
    ]
    n, c = rows["Num. Samples"].to_numpy(float), rows["Num. Samples Correct"].to_numpy(float)
    fitted = fit_pass_at_k(n, c, largest=100, settings=PYTHIA_MATH, exact=True, bootstrap=0)
    assert float(fitted.value(10_000)) == pytest.approx(float(pass_at_k(n, c, 10_000).mean()), abs=0.02)


@pytest.mark.data
def test_released_scores_beyond_the_samples_are_an_artefact() -> None:
    """Pythia 70M solves no problem in any sample, and the released pass@10,000 is 0.75."""
    frame = monkeys()
    none = frame[(frame["Model"] == "Pythia 70M") & (frame["Scaling Parameter"] == 10_000)]
    assert none["Num. Samples Correct"].sum() == 0
    assert none["Score"].mean() == 0.75
    assert (none[none["Num. Samples"] >= 10_000]["Score"] == 0).all()


@pytest.mark.data
def test_released_scores_follow_from_the_estimator_within_the_samples() -> None:
    frame = monkeys()
    frame = frame[frame["Scaling Parameter"] <= frame["Num. Samples"]]
    ours = pass_at_k(frame["Num. Samples"], frame["Num. Samples Correct"], frame["Scaling Parameter"])
    assert np.abs(ours - frame["Score"]).max() < 1e-6


def monkeys() -> pd.DataFrame:
    frame = public_table("monkeys_pythia_pass_at_k.parquet")
    return frame[frame["Benchmark"] == "MATH"]


@given(st.floats(0.0, 0.6), st.floats(0.0, 0.4), st.integers(0, 50))
def test_shares_sum_to_one_and_match_the_sum(p: float, q: float, k: int) -> None:
    found = resample(p, q, k)
    assert float(found.correct + found.wrong + found.unanswered) == pytest.approx(1.0)
    by_hand = sum((1 - p - q) ** i * p for i in range(k))
    assert float(found.correct) == pytest.approx(by_hand, abs=1e-9)


def test_accuracy_of_resampling_matches_simulation() -> None:
    rng = np.random.default_rng(1)
    p, q, k = rng.beta(0.5, 2, 40), rng.beta(0.3, 4, 40) / 2, 12
    p = np.minimum(p, 0.5)
    trials = 4000
    u = rng.random((trials, 40, k))
    right, accepted = u < p[:, None], u < (p + q)[:, None]
    first = np.where(accepted.any(-1), accepted.argmax(-1), -1)
    got = np.take_along_axis(right, np.maximum(first, 0)[..., None], -1)[..., 0] & (first >= 0)
    found = resample(p, q, k)
    assert float(found.correct) == pytest.approx(got.mean(), abs=0.004)
    assert float(found.unanswered) == pytest.approx((first < 0).mean(), abs=0.004)
    drawn = np.where(first < 0, k, first + 1).mean()
    assert float(found.samples) == pytest.approx(drawn, rel=0.01)


def two_kinds(cost: float, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Reward over K on the authors' example of easy and hard tasks, as their notebook sums it and as it is."""
    prior, solve = np.array([0.58, 0.42]), np.array([0.87, 0.13])
    right, wrong = solve, 0.25 * (1 - solve)
    k = np.arange(1, most + 1)[:, None]
    survive = (1 - right - wrong) ** (k - 1)
    belief = survive * prior / (survive * prior).sum(1, keepdims=True)
    gain = ((right - cost * wrong) * belief).sum(1)
    # The notebook weighs survival with beliefs that have already been updated on surviving.
    theirs = np.cumsum(gain * (survive * belief).sum(1))
    kinds = np.repeat([0, 1], [58, 42])
    ours = resample(right[kinds], wrong[kinds], np.arange(1, most + 1)).reward(cost)
    assert np.allclose(ours, np.cumsum(gain * (survive * prior).sum(1)))
    return theirs, ours


@pytest.mark.parametrize(("cost", "best"), [(0.7, 3), (1.0, 2), (2.0, 1)])
def test_the_published_notebook_counts_survival_twice(cost: float, best: int) -> None:
    theirs, ours = two_kinds(cost, 15)
    # One positive factor too many on every step: the rewards differ, the best number of samples does not.
    assert np.argmax(theirs) + 1 == np.argmax(ours) + 1 == best
    assert np.abs(theirs - ours).max() > 1e-3


def test_one_kind_of_problem_has_no_finite_best_number() -> None:
    assert best_samples(0.1, 0.02, cost_of_wrong=1.0, largest=300).bounded is False
    assert best_samples(0.02, 0.1, cost_of_wrong=1.0, largest=300).k == 0


def test_unlike_problems_have_one_that_falls_with_the_cost_of_being_wrong() -> None:
    right, wrong = np.array([0.5, 0.2, 0.02, 0.0]), np.array([0.02, 0.03, 0.02, 0.02])
    best = [best_samples(right, wrong, cost_of_wrong=cost, largest=2000).k for cost in (0.0, 1.0, 2.0, 8.0)]
    assert best == sorted(best, reverse=True)
    assert 0 < best[2] < 50


@pytest.mark.data
def test_what_follows_from_the_released_summaries_of_inference_flaws() -> None:
    """Weaker models have a larger share of false positives: precision rises with single-sample accuracy."""
    frame = public_table("inference_flaws_humaneval_17models.csv")
    best = public_table("inference_flaws_kopt.csv")
    accuracy, precision = frame["single_sample_acc_plus"], frame["acc_plus_given_base_pass"]
    assert accuracy.corr(precision, method="spearman") > 0.85
    # The limit of endless resampling on problems all alike is the precision p / (p + q).
    p = accuracy.to_numpy()
    q = p / precision.to_numpy() - p
    limit = [float(resample(a, b, 10**6).correct) for a, b in zip(p, q, strict=True)]
    assert np.allclose(limit, precision)
    # The published best numbers of samples fall as being wrong costs more, for every model.
    for _, rows in best.groupby("model"):
        assert rows.sort_values("false_positive_value", ascending=False)["K_opt"].is_monotonic_decreasing
