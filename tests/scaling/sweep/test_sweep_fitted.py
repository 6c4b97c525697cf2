"""Fitting sweeps with a known law: recovered, honest, robust, saved, and clear about what cannot be known."""

import json
import sys

import numpy as np
import pytest
from scipy.optimize import minimize

import scaling
from scaling import InputError
from scaling.runs import load_runs
from scaling.sweep.bootstrap import bootstrap_coefficients
from scaling.sweep.features import SHORT_TRAINING
from scaling.sweep.pooled import fit_pooled, problem_at
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


def test_the_error_of_a_cells_own_optimum_falls_with_its_runs(make_sweep):
    few, many = (fit_pooled(build_sweep(load_runs(make_sweep(runs=runs)))).own_error for runs in (25, 100))
    # Cells of one shape: about a tenth of an octave, of which a free optimum for each cell wanders by half.
    assert (few > 0.05).all() and (few < 0.2).all()
    assert many == pytest.approx(few / 2, rel=0.35)


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


def test_a_table_without_batch_sizes_is_one_of_learning_rates(sweep_table):
    law = scaling.fit(sweep_table.drop(columns="batch_size"), law="lr-batch", bootstrap=0)
    assert [one.name for one in law.hypers] == ["lr"]


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
