"""Fitting sweeps with a known law: recovered, honest, robust, saved, and clear about what cannot be known."""

import json
import sys

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

import scaling
from scaling import InputError
from scaling.runs import load_runs
from scaling.sweep.bootstrap import bootstrap_coefficients
from scaling.sweep.features import FEW_TOKENS, SHORT_TRAINING, design, features
from scaling.sweep.pooled import fit_pooled, problem_at
from scaling.sweep.problem import Prior, Problem
from scaling.sweep.table import build_sweep

TARGET = {"params": 2e9, "tokens": 4e10}


def truth(target=TARGET, lr=(-8.5, -0.6, 0.3), batch=(18.0, -0.1, 0.5)):
    n, d = np.log2(target["params"] / 2e8), np.log2(target["tokens"] / 5e9)
    return 2.0 ** (lr[0] + lr[1] * n + lr[2] * d), 2.0 ** (batch[0] + batch[1] * n + batch[2] * d)


def names(law, severity=None):
    return {check.name for check in law.checks if severity in (None, check.severity)}


def test_recovers_the_law(sweep_law):
    lr, batch = truth()
    said = sweep_law.answer(TARGET)["predictions"]
    assert said["lr"]["value"] == pytest.approx(lr, rel=0.15)
    assert said["batch_size"]["value"] == pytest.approx(batch, rel=0.2)
    assert said["lr"]["low"] < lr < said["lr"]["high"]
    assert said["batch_size"]["low"] < batch < said["batch_size"]["high"]
    assert said["batch_size"]["unit"] == "tokens"
    assert sweep_law.params["lr.params"] == pytest.approx(-0.6, abs=0.08)


def test_predicts_the_loss(sweep_law):
    loss = 1.7 + 400 / 2e9**0.34 + 410 / 4e10**0.28
    said = sweep_law.answer(TARGET)["predictions"]["loss"]
    assert said["value"] == pytest.approx(loss, rel=0.05)
    assert said["low"] < said["value"] < said["high"]


def test_few_sizes_hold_the_exponents_of_the_loss(make_sweep):
    # Five parameters through six sizes would leave next to no residual, and intervals of next to nothing.
    sizes = [(n, d) for n in (2e7, 6e7, 1.8e8) for d in (1e9, 8e9)]
    law = scaling.fit(make_sweep(sizes=sizes), law="lr-batch", bootstrap=0)
    loss = law.answer({"params": 2e9, "tokens": 4e10})["predictions"]["loss"]
    truth = 1.7 + 400 / 2e9**0.34 + 410 / 4e10**0.28
    assert loss["value"] == pytest.approx(truth, rel=0.01)


def test_intervals_cover_over_many_sweeps(make_sweep):
    lr, batch = truth()
    covered = []
    for seed in range(20):
        said = scaling.fit(make_sweep(seed=seed, runs=15), law="lr-batch", bootstrap=0, level=False).answer(
            TARGET
        )
        for name, value in (("lr", lr), ("batch_size", batch)):
            covered.append(said["predictions"][name]["low"] <= value <= said["predictions"][name]["high"])
    # The true scatter is zero, so that covering more than 90 % is what a right interval does.
    assert np.mean(covered) >= 0.9


def test_divergence_and_outliers_do_not_move_it(sweep_table, sweep_law):
    broken = sweep_table.copy()
    high = broken["lr"] > broken.groupby(["params", "tokens"])["lr"].transform(lambda v: v.quantile(0.9))
    broken.loc[high, "loss"] *= 3.0
    law = scaling.fit(broken, law="lr-batch", bootstrap=0)
    before, after = (one.answer(TARGET)["predictions"]["lr"]["value"] for one in (sweep_law, law))
    assert abs(np.log2(after / before)) < 0.35


def test_same_seed_same_law(sweep_table):
    laws = [scaling.fit(sweep_table, law="lr-batch", bootstrap=100, seed=3).answer(TARGET) for _ in range(2)]
    assert laws[0] == laws[1]


def test_round_trip_through_a_file(sweep_law, tmp_path):
    sweep_law.save(tmp_path / "law.json")
    again = scaling.load(tmp_path / "law.json")
    assert again.answer(TARGET) == sweep_law.answer(TARGET)
    assert again.answer({**TARGET, "batch_size": 1e5}) == sweep_law.answer({**TARGET, "batch_size": 1e5})
    stored = json.loads((tmp_path / "law.json").read_text())
    assert stored["kind"] == "lr-batch" and stored["runs"]["sha256"]
    del stored["hypers"]
    (tmp_path / "law.json").write_text(json.dumps(stored))
    with pytest.raises(InputError, match="damaged"):
        scaling.load(tmp_path / "law.json")


def test_fixed_batch_size_moves_the_learning_rate_along_the_valley(sweep_law):
    free = sweep_law.answer(TARGET)
    batch = free["predictions"]["batch_size"]["value"]
    small = sweep_law.answer({**TARGET, "batch_size": batch / 8})
    assert "batch_size" not in small["predictions"]
    assert small["predictions"]["lr"]["value"] < free["predictions"]["lr"]["value"]
    assert small["predictions"]["loss"]["value"] > free["predictions"]["loss"]["value"]
    assert any("costs" in warning for warning in small["warnings"])
    same = sweep_law.answer({**TARGET, "batch_size": batch})
    assert same["predictions"]["lr"]["value"] == pytest.approx(free["predictions"]["lr"]["value"], rel=1e-6)


def test_plateau_costs_what_it_says(sweep_law):
    plateau = sweep_law.plateau(TARGET)
    for name in ("lr", "batch_size"):
        ends = np.array([plateau[name]["low"], plateau[name]["high"]])
        assert sweep_law.surface(TARGET, {name: ends}) == pytest.approx(1e-3, rel=1e-3)
    curve = sweep_law.contour(TARGET)
    cost = sweep_law.surface(TARGET, {"lr": curve[:, 0], "batch_size": curve[:, 1]})
    assert cost == pytest.approx(1e-3, rel=1e-3)


def test_table_of_points(sweep_law):
    table = sweep_law.predict(pd.DataFrame({"params": [1e8, 1e9], "tokens": [4e9, 2e10]}))
    assert {"lr", "lr_low", "lr_high", "batch_size", "loss_high"} <= set(table.columns)
    assert (table["lr_low"] < table["lr"]).all()


def test_many_points_are_answered_as_one_by_one_and_at_once(sweep_law, monkeypatch):
    points = {"params": [1e9, 2e9, 7e9], "tokens": [2e10, 1e10, 1e12], "batch_size": [1e6, 2e6, 4e6]}
    single = [
        sweep_law.answer(dict(zip(points, row, strict=True))) for row in zip(*points.values(), strict=True)
    ]
    calls, ask = [], type(sweep_law.level).log_losses

    def counted(level, scales, at):
        calls.append(len(scales["params"]))
        return ask(level, scales, at)

    monkeypatch.setattr(type(sweep_law.level), "log_losses", counted)
    table = sweep_law.predict(points)
    assert calls == [3]
    for at, answer in enumerate(single):
        for name, said in answer["predictions"].items():
            got = [table[column][at] for column in (name, f"{name}_low", f"{name}_high")]
            assert got == pytest.approx([said["value"], said["low"], said["high"]], rel=1e-6)


def test_a_blank_in_a_table_of_points_leaves_its_hyperparameter_free(sweep_law):
    said = sweep_law.predict({**{k: [v, v] for k, v in TARGET.items()}, "batch_size": [1e6, np.nan]})
    assert said["lr"][1] == pytest.approx(sweep_law.answer(TARGET)["predictions"]["lr"]["value"])
    assert said["lr"][0] != said["lr"][1]


@pytest.mark.parametrize("values", [{"momentum": 0.9}, {"lr": [1e-3, 0.0]}, {"lr": -1.0}, {"lr": np.nan}])
def test_a_surface_is_asked_at_what_the_law_knows(sweep_law, values):
    with pytest.raises(InputError, match=next(iter(values))):
        sweep_law.surface(TARGET, values)


def test_a_plateau_at_a_fixed_batch_size_costs_what_it_says(sweep_table):
    law = scaling.fit(sweep_table, law="lr-batch", bootstrap=0, joint=False)
    held = {**TARGET, "batch_size": 2e6}
    said = law.answer(held)
    assert set(said["plateau"]) == {"tolerance", "lr"}
    ends = said["plateau"]["lr"]
    best = said["predictions"]["lr"]["value"]
    assert ends["low"] < best < ends["high"]
    loss = np.log1p(law.surface(TARGET, {"lr": [ends["low"], best, ends["high"]], "batch_size": 2e6}))
    assert loss - loss[1] == pytest.approx([1e-3, 0.0, 1e-3], abs=3e-5)
    assert law.answer({**held, "lr": 1e-3})["plateau"] == {}


@pytest.mark.parametrize("tolerance", [0.0, -0.01, float("nan")])
def test_a_plateau_has_a_tolerance_above_zero(sweep_law, tolerance):
    for ask in (sweep_law.plateau, sweep_law.contour):
        with pytest.raises(InputError, match="tolerance"):
            ask(TARGET, tolerance)


@pytest.mark.filterwarnings("error")
def test_absurd_sizes_are_answered_without_noise(sweep_law):
    assert sweep_law.answer({"params": 1.0, "tokens": 1.0})["warnings"]


def test_gradient_vanishes_at_the_optimum(sweep_table):
    fit = fit_pooled(build_sweep(scaling.load_runs(sweep_table)))
    problem, weight = problem_at(fit)
    start = problem.score(fit.theta, weight)[0]
    polished = minimize(
        lambda theta: problem.score(theta, weight)[0], fit.theta, method="L-BFGS-B", options={"maxiter": 50}
    )
    assert polished.fun > start - 0.02


def test_few_noisy_runs_settle_on_one_answer(make_sweep, monkeypatch):
    sizes = [(n, 20 * n) for n in (6e7, 1.2e8, 2.4e8, 4.8e8)]
    sweeps = [
        build_sweep(scaling.load_runs(make_sweep(sizes=sizes, runs=9, noise=0.004, seed=seed)))
        for seed in range(8)
    ]
    fits = [fit_pooled(sweep) for sweep in sweeps]
    assert all(fit.converged for fit in fits)
    monkeypatch.setattr(sys.modules[fit_pooled.__module__], "_OUTER_ROUNDS", 201)
    for fit, sweep in zip(fits, sweeps, strict=True):
        assert fit_pooled(sweep).beta == pytest.approx(fit.beta, abs=0.02)


def test_bootstrap_and_posterior_tell_one_story(sweep_table):
    fit = fit_pooled(build_sweep(scaling.load_runs(sweep_table)))
    draws = bootstrap_coefficients(fit, 300, 0)
    ratio = draws.std(axis=0) / np.sqrt(np.diag(fit.covariance)[: fit.design.size])
    assert (ratio[[0, 1, 2]] > 0.1).all() and (ratio < 4).all()
    assert draws.mean(axis=0) == pytest.approx(fit.beta, abs=0.1)


def test_one_line_of_sizes_is_fitted_in_one_variable_and_said(make_sweep):
    line = make_sweep(sizes=[(6e3, 1.2e5), (2.5e4, 5e5), (1e5, 2e6)], noise=0.004, seeds=2, runs=15)
    law = scaling.fit(line, law="lr-batch")
    assert law.inputs == ("params",)
    assert {"collinear-inputs", "few-cells"} <= names(law, "warning")
    answer = law.answer({"params": 2e5, "tokens": 4e6})
    assert {"lr", "batch_size", "loss"} <= set(answer["predictions"])
    off = law.answer({"params": 2e5, "tokens": 4e7})
    assert any("one line" in warning for warning in off["warnings"])
    assert law.noise == pytest.approx(0.004, rel=0.5)


def test_repeats_set_the_noise(make_sweep):
    loud = scaling.fit(make_sweep(noise=0.01, seeds=3, runs=10), law="lr-batch", bootstrap=0)
    quiet = scaling.fit(make_sweep(noise=0.0005, seeds=3, runs=10), law="lr-batch", bootstrap=0)
    assert loud.noise > 5 * quiet.noise
    widths = [one.answer(TARGET)["predictions"]["lr"] for one in (loud, quiet)]
    assert widths[0]["high"] / widths[0]["low"] > widths[1]["high"] / widths[1]["low"]


def test_one_batch_size_only_predicts_the_learning_rate(make_sweep):
    table = make_sweep(drop_batch=True, batch=(18.0, 0.0, 0.0))
    law = scaling.fit(table, law="lr-batch", bootstrap=0)
    assert set(law.answer(TARGET)["predictions"]) == {"lr", "loss"}
    assert "fixed-hyperparameter" in names(law, "warning")


def test_other_hyperparameters_and_inputs(make_sweep):
    table = (
        make_sweep().rename(columns={"batch_size": "weight_decay"}).assign(width=lambda t: t["params"] ** 0.5)
    )
    law = scaling.fit(
        table, law="lr-batch", centre={"lr": ["width", "tokens"], "weight_decay": ["tokens"]}, bootstrap=0
    )
    assert law.inputs == ("width", "tokens")
    answer = law.answer({"width": 2e9**0.5, "tokens": 4e10})
    assert answer["predictions"]["lr"]["value"] == pytest.approx(truth()[0], rel=0.2)
    assert "weight_decay" in answer["predictions"]
    with pytest.raises(InputError, match="width"):
        law.answer(TARGET)


def test_optimum_at_the_edge_is_flagged(sweep_table):
    centre = 2.0 ** (
        18.0 - 0.1 * np.log2(sweep_table["params"] / 2e8) + 0.5 * np.log2(sweep_table["tokens"] / 5e9)
    )
    law = scaling.fit(sweep_table[sweep_table["batch_size"] > 1.2 * centre], law="lr-batch", bootstrap=0)
    assert "optimum-at-edge" in names(law, "warning")


def test_step_law_method_recovers_exponents_less_sharply(sweep_table):
    law = scaling.fit(sweep_table, law="lr-batch", method="step-law")
    assert law.params["lr.params"] == pytest.approx(-0.6, abs=0.35)
    assert law.hypers[1].features == ("constant", "tokens")
    answer = law.answer(TARGET)
    assert answer["plateau"] == {} and "loss" not in answer["predictions"]
    with pytest.raises(InputError, match="basin"):
        law.plateau(TARGET)


def test_far_targets_say_how_far(sweep_law):
    warnings = sweep_law.answer({"params": 7e9, "tokens": 1.4e12})["warnings"]
    assert any("params" in w and "14 times" in w for w in warnings)
    assert any("nearest measured cell" in w for w in warnings)
    assert not any("extrapolation" in w for w in sweep_law.answer({"params": 2e8, "tokens": 4e9})["warnings"])


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda t: t[t["params"] == 6e7][t["tokens"] == 2e9], "one cell"),
        (lambda t: t.assign(lr=np.where(t["params"] < 1e8, t["lr"], t["lr"] * 1e6)), "overlap"),
        (lambda t: t.drop(columns="lr"), "lr"),
        (lambda t: t.assign(lr=1e-3, batch_size=1e5), "varies"),
        (lambda t: t.assign(loss=-1.0), "loss"),
    ],
)
@pytest.mark.filterwarnings("ignore:Boolean Series key")
def test_wrong_tables_are_named(sweep_table, change, key):
    with pytest.raises(InputError, match=key):
        scaling.fit(change(sweep_table), law="lr-batch")


def test_unknown_method_is_named(sweep_table):
    with pytest.raises(InputError, match="pooled"):
        scaling.fit(sweep_table, law="lr-batch", method="magic")


def test_joint_mode_predicts_the_loss_at_any_setting(make_sweep, tmp_path):
    table = make_sweep(runs=40)
    largest = table["params"] * table["tokens"] == (table["params"] * table["tokens"]).max()
    law = scaling.fit(table[~largest], law="lr-batch", joint=True, bootstrap=0)
    law.save(tmp_path / "law.json")
    law = scaling.load(tmp_path / "law.json")
    held = table[largest]
    said = [
        law.answer(dict(zip(("params", "tokens", "lr", "batch_size"), row, strict=True)))["predictions"][
            "loss"
        ]["value"]
        for row in held[["params", "tokens", "lr", "batch_size"]].to_numpy()
    ]
    error = np.log(said) - np.log(held["loss"].to_numpy())
    assert 1 - error.var() / np.log(held["loss"]).var() > 0.9


def test_a_batch_size_that_only_differs_between_sizes_is_left_out(make_sweep):
    table = make_sweep()
    table["batch_size"] = table["tokens"] / 1e5
    law = scaling.fit(table, law="lr-batch", bootstrap=0)
    assert "batch_size" not in law.answer(TARGET)["predictions"]
    with pytest.raises(InputError, match="not within"):
        scaling.fit(table.assign(lr=table["params"] ** -0.5), law="lr-batch")


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


def test_centre_as_text(make_sweep):
    table = make_sweep()
    law = scaling.fit(table, law="lr-batch", centre="lr:params+tokens;batch_size:tokens", bootstrap=0)
    assert law.hypers[1].features == ("constant", "tokens", SHORT_TRAINING)
    with pytest.raises(InputError, match="centre"):
        scaling.fit(table, law="lr-batch", centre="lr")


def test_mixture_of_experts_inputs(make_sweep):
    table = make_sweep()
    share = np.where(table["tokens"] > 3.5e9, 4.0, 8.0)
    table["total_params"] = table["params"] * share
    law = scaling.fit(
        table,
        law="lr-batch",
        centre={"lr": ["params", "total_params", "tokens"], "batch_size": ["tokens"]},
        bootstrap=0,
    )
    assert "total_params" in law.inputs
    said = law.answer({**TARGET, "total_params": 8e9})["predictions"]["lr"]
    assert said["low"] < truth()[0] < said["high"]


def test_tokens_cut_to_whole_batches_are_one_size(make_sweep):
    table = make_sweep()
    table["tokens"] *= np.random.default_rng(0).uniform(0.993, 1.0, len(table))
    law = scaling.fit(table, law="lr-batch", bootstrap=0)
    assert len(law.cells) == 7
    assert law.answer(TARGET)["predictions"]["lr"]["value"] == pytest.approx(truth()[0], rel=0.2)
