"""The factors that bend the straight law: found where they are, absent where they are not, faded far ahead."""

import numpy as np
import pytest

import scaling
from scaling.runs import load_runs
from scaling.sweep.features import FEW_TOKENS, SHORT_TRAINING, design, features
from scaling.sweep.problem import Prior, Problem
from scaling.sweep.table import build_sweep


def test_models_of_few_tokens_leave_the_law_and_well_trained_ones_do_not(make_sweep):
    sizes = [(n, ratio * n) for n in (6e7, 1.2e8, 2.4e8, 4.8e8) for ratio in (4.0, 15.0, 60.0)]
    table = make_sweep(sizes=sizes)
    few = np.log2(1.0 + 20.0 * table["params"] / table["tokens"])
    bent = table.assign(lr=table["lr"] * 2.0 ** (-0.3 * few))
    assert scaling.fit(bent, law="lr-batch", joint=False).params["lr.few_tokens"] < -0.02  # shrunk
    law = scaling.fit(
        bent, law="lr-batch", joint=False, prior=Prior(bends={"other": {FEW_TOKENS: (0.0, 2.0)}})
    )
    assert law.params["lr.few_tokens"] == pytest.approx(-0.3, abs=0.15)
    assert "(1 + 20 N/D)^-0." in law.formula
    size = {"params": 2e9, "tokens": 2e11}
    straight = -8.5 - 0.6 * np.log2(2e9 / 2e8) + 0.3 * np.log2(2e11 / 5e9) - 0.3 * np.log2(1.2)
    assert np.log2(law.answer(size)["predictions"]["lr"]["value"]) == pytest.approx(straight, abs=0.35)
    above = make_sweep(sizes=[(n, 1.5 * d) for n, d in sizes if d > 25 * n] + [(3e7, 1e9), (3e7, 3e9)])
    assert "lr.few_tokens" not in scaling.fit(above, law="lr-batch", joint=False).params


def test_the_factor_for_few_tokens_is_the_one_printed_and_fades():
    ratio = np.array([0.5, 4.0, 20.0, 300.0, 1e5])  # tokens a parameter
    x = np.stack([np.full(5, np.log2(1e8)), np.log2(1e8 * ratio)], axis=-1)
    (found,) = features((FEW_TOKENS,), ("params", "tokens"), x, np.log2(20.0)).T
    assert found == pytest.approx(np.log2(1 + 20 / ratio))
    assert found[-1] < 1e-3, "a law that is straight where models are well trained"


def test_the_batch_size_of_short_training_leaves_the_law(make_sweep):
    sizes = [(n, d) for n in (6e7, 1.2e8, 2.4e8) for d in (1e9, 2e9, 4e9, 8e9, 1.6e10)]
    table = make_sweep(sizes=sizes)
    short = np.log2(1.0 + 4e9 / table["tokens"])
    bent = table.assign(batch_size=table["batch_size"] * 2.0**short)
    prior = Prior(bends={"batch_size": {SHORT_TRAINING: (0.0, 2.0)}, "other": {}})
    law = scaling.fit(bent, law="lr-batch", joint=False, prior=prior)
    assert law.params["batch_size.short_training"] == pytest.approx(1.0, abs=0.35)
    assert "(1 + 4e+09/D)^" in law.formula
    straight = scaling.fit(table, law="lr-batch", joint=False, prior=prior)
    assert straight.params["batch_size.short_training"] == pytest.approx(0.0, abs=0.35)
    one = make_sweep(sizes=[(n, 4e9) for n in (6e7, 8e7, 1.2e8, 2.4e8, 3e8, 4e8)])
    assert "batch_size.short_training" not in scaling.fit(one, law="lr-batch", joint=False).params


def test_a_batch_size_that_does_not_bend_is_still_found_and_far_ahead_the_interval_knows(make_sweep):
    sizes = [(n, d) for n in (6e7, 1.2e8, 2.5e8) for d in (1e9, 2.5e9, 6e9, 1.6e10)]
    near, far = {"params": 2e9, "tokens": 4e10}, {"params": 7e9, "tokens": 1.4e12}
    for seed in range(3):
        law = scaling.fit(make_sweep(sizes=sizes, seed=seed), law="lr-batch", joint=False, level=False)
        for size, within in ((near, 0.35), (far, 1.6)):
            truth = 18.0 - 0.1 * np.log2(size["params"] / 2e8) + 0.5 * np.log2(size["tokens"] / 5e9)
            said = law.answer(size)["predictions"]["batch_size"]
            assert np.log2(said["value"]) == pytest.approx(truth, abs=within)
            assert np.log2(said["low"]) < truth < np.log2(said["high"])


def test_prior_slopes_are_those_in_the_middle_whatever_bends(make_sweep):
    sweep = build_sweep(
        load_runs(make_sweep(sizes=[(n, d) for n in (6e7, 1.2e8, 5e8) for d in (1e9, 4e9, 9e9)]))
    )
    prior = Prior()
    problem = Problem(sweep, design(sweep, {hyper: prior.bends_of(hyper) for hyper in sweep.hypers}), prior)
    assert problem.design.names[1] == ("constant", "params", "tokens", FEW_TOKENS, SHORT_TRAINING)
    beta = problem.mean[len(problem.design.names[0]) : problem.beta_size]
    for axis, name in enumerate(sweep.inputs):
        steps = np.zeros((2, len(sweep.inputs)))
        steps[:, axis] = -1e-4, 1e-4
        low, high = features(problem.design.names[1], sweep.inputs, steps, problem.design.ratio_mid) @ beta
        assert (high - low) / 2e-4 == pytest.approx(prior.slopes["batch_size"][name], abs=1e-6)


def test_a_law_fitted_without_bends_is_straight(make_sweep):
    law = scaling.fit(make_sweep(), law="lr-batch", joint=False, bend=False)
    assert {name for hyper in law.hypers for name in hyper.features} == {"constant", "params", "tokens"}


def test_the_factor_for_short_training_is_the_one_printed_and_fades():
    tokens = np.array([1e8, 4e9, 1e13])
    x = np.log2(tokens / 4e9)[:, None]
    (found,) = features((SHORT_TRAINING,), ("tokens",), x, 0.0).T
    assert found == pytest.approx(np.log2(1 + 4e9 / tokens))
    assert found[-1] < 1e-3, "a law that is straight where training is long"
