"""Plans: within budget, useful, honest about when to stop, and clear about what cannot be planned."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import scaling
from scaling import InputError
from scaling.cli import app
from scaling.planning import choose, initial_design, plan
from scaling.planning.candidates import candidate_table
from scaling.planning.information import candidate_rows, prior_information
from scaling.sweep.pooled import fit_pooled
from scaling.sweep.table import build_sweep

TARGET = {"target_params": 1e9, "target_tokens": 2e10}
SIZE = {"params": 1e9, "tokens": 2e10}


@pytest.fixture(scope="module")
def fit(runs):
    return fit_pooled(build_sweep(scaling.load_runs(runs)))


def test_a_plan_keeps_its_budget_and_batch_and_lowers_the_expected_excess(runs):
    made = plan(runs, **TARGET, budget_flops=2e20, batch=16)
    assert len(made.runs) <= 16
    assert made.flops == pytest.approx(float((6 * made.runs["params"] * made.runs["tokens"]).sum()))
    assert made.flops <= 2e20
    assert made.excess_after < made.excess_before
    assert made.helps and "expected excess" in made.message
    assert made.runs["gain"].sum() == pytest.approx(made.excess_before - made.excess_after, rel=1e-6)


@settings(max_examples=15, deadline=None)
@given(budget=st.floats(1e18, 1e21), batch=st.integers(1, 20))
def test_choices_keep_any_budget_and_never_repeat(fit, pool, budget, batch):
    rows, gains, before, after = choose(fit, pool, SIZE, budget_flops=budget, batch=batch)
    cost = 6 * pool["params"].to_numpy() * pool["tokens"].to_numpy()
    assert 1 <= len(rows) <= batch and len(set(rows.tolist())) == len(rows)
    assert cost[rows].sum() <= budget * (1 + 1e-9)
    assert (gains > -1e-12).all() and after <= before


def test_learning_run_by_run_is_learning_at_once(fit, pool):
    x = np.log2(pool[["params", "tokens"]].to_numpy()) - fit.sweep.x_mid
    z = np.log2(pool[["lr", "batch_size"]].to_numpy())
    cell = np.unique(np.round(x, 3), axis=0, return_inverse=True)[1].reshape(-1) + fit.sweep.cells
    new = np.array([x[np.argmax(cell == number)] for number in np.unique(cell)])
    rows, weights, _ = candidate_rows(fit, x, z, cell, len(new))
    target = np.log2([1e9, 2e10]) - fit.sweep.x_mid
    one_by_one = prior_information(fit, new, target)
    start = one_by_one.covariance.copy()
    for row, weight in zip(rows[:7], weights[:7], strict=True):
        one_by_one.learn(row, float(weight))
    at_once = np.linalg.inv(np.linalg.inv(start) + (rows[:7] * weights[:7, None]).T @ rows[:7])
    assert one_by_one.covariance == pytest.approx(at_once, rel=1e-4, abs=1e-7)


def test_planned_runs_beat_as_many_random_ones(runs, pool):
    cost = 6 * pool["params"].to_numpy() * pool["tokens"].to_numpy()
    fit = fit_pooled(build_sweep(scaling.load_runs(runs)))
    planned, _, _, after = choose(fit, pool, SIZE, budget_flops=1.5e20, batch=24)
    generator = np.random.default_rng(0)
    worse = 0
    for _ in range(10):
        picked = [int(row) for row in generator.permutation(len(pool))[: len(planned)] if cost[row] < 1e20]
        _, _, _, random_after = choose(fit, pool.iloc[picked], SIZE, budget_flops=1e30, batch=len(picked))
        worse += random_after > after
    assert worse >= 9


def test_says_when_more_runs_no_longer_help(runs, pool):
    much = pd.concat([runs, *(pool.assign(loss=pool["loss"] * (1 + 1e-4 * k)) for k in range(8))])
    made = plan(much, target_params=5.5e8, target_tokens=4e9, budget_flops=2e18, batch=2)
    assert not made.helps and "no longer help" in made.message


def test_a_ladder_on_one_line_stays_on_it():
    rows = [
        (n, 20 * n, 4e-3 * 2.0**u, 4096 * 2.0**v, 3 * n**-0.05 * np.exp(0.02 * u * u + 0.01 * v * v))
        for n in (6e3, 2.5e4, 1e5) for u in (-2, -1, 0, 1, 2) for v in (-2, 0, 2)
    ]  # fmt: skip
    ladder = pd.DataFrame(rows, columns=["params", "tokens", "lr", "batch_size", "loss"])
    made = plan(ladder, target_params=2e5, target_tokens=4e6, budget_flops=5e12, batch=8)
    assert (made.runs["tokens"] / made.runs["params"]).to_numpy() == pytest.approx(20, rel=1e-6)
    assert made.warnings


def test_initial_design_spreads_and_keeps_its_budget(pool):
    rows = initial_design(pool, 20, budget_flops=8e19, cells=4, seed=1)
    picked = pool.iloc[rows]
    assert (6 * picked["params"] * picked["tokens"]).sum() <= 8e19
    assert len(set(rows.tolist())) == len(rows)
    assert picked.groupby(["params", "tokens"]).ngroups >= 3
    assert (initial_design(pool, 20, budget_flops=8e19, cells=4, seed=1) == rows).all()
    with pytest.raises(InputError, match="two runs"):
        initial_design(pool, 20, budget_flops=1e17)


@pytest.mark.parametrize("seed", range(6))
def test_initial_design_never_spends_everything_on_one_dear_size(seed):
    table = pd.DataFrame(
        [
            (n, 20 * n, lr, batch)
            for n in (1e6, 2e6, 4e6)
            for lr in np.geomspace(1e-3, 1e-2, 9)
            for batch in (1, 2, 4, 8, 16)
        ],
        columns=["params", "tokens", "lr", "batch_size"],
    )
    rows = initial_design(table, 10, budget_flops=7.7e15, cells=3, seed=seed)
    picked = table.iloc[rows]
    assert (6 * picked["params"] * picked["tokens"]).sum() <= 7.7e15
    assert picked["params"].nunique() == 3 and len(rows) == 10


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"target_params": 1e7, "target_tokens": 1e9}, "smaller than the largest"),
        ({"budget_flops": 1e10}, "do not pay for one run"),
        ({"budget_flops": -1.0}, "budget-flops"),
        ({"batch": 0}, "batch"),
    ],
)
def test_wrong_input_is_named(runs, change, said):
    with pytest.raises(InputError, match=said):
        plan(runs, **{**TARGET, "budget_flops": 1e20, **change})


def test_candidates_that_cannot_be_weighed_are_named(runs, pool):
    # A blank batch size once made the choice go on for ever.
    with pytest.raises(InputError, match="batch_size: row 3 has nan"):
        plan(
            runs,
            **TARGET,
            budget_flops=1e20,
            candidates=pool.assign(batch_size=[1e5, 1e5] + [np.nan] * (len(pool) - 2)),
        )
    with pytest.raises(InputError, match="no column 'batch_size'"):
        plan(runs, **TARGET, budget_flops=1e20, candidates=pool.drop(columns="batch_size"))


def test_a_batch_of_one_does_not_say_that_more_would_not_help(runs):
    many = plan(runs, **TARGET, budget_flops=1e20, batch=32)
    one = plan(runs, **TARGET, budget_flops=1e20, batch=1)
    assert many.helps
    assert len(one.runs) == 1
    assert one.helps
    assert "after this run" in one.message


def test_more_runs_than_the_budget_pays_for_are_not_counted_on(runs, pool):
    cell = pool[(pool["params"] == 2.5e8) & (pool["tokens"] == 2e9)]
    made = plan(runs, **TARGET, budget_flops=1e20, candidates=cell.assign(flops=0.9e19), batch=1)
    assert made.helps
    assert "11 runs would bring it to" in made.message


def test_candidates_are_whole_tokens(runs):
    made = plan(runs, **TARGET, budget_flops=1e20)
    assert (made.runs["batch_size"] % 1 == 0).all()
    assert (made.runs["tokens"] % 1 == 0).all()


def test_a_law_in_active_parameters_is_planned_at_their_cost(runs):
    experts = pd.concat(
        [runs.assign(active_params=runs["params"], params=runs["params"] * ratio) for ratio in (2, 8)]
    )
    centre = "lr:active_params+tokens;batch_size:tokens"
    asked = {"target_params": 8e9, "target_tokens": 2e10, "budget_flops": 1e20, "centre": centre}
    made = plan(experts, **asked, target_inputs={"active_params": 1e9}, batch=8)
    assert made.runs["flops"].to_numpy() == pytest.approx(
        6 * made.runs["active_params"].to_numpy() * made.runs["tokens"].to_numpy()
    )
    assert made.flops <= 1e20
    assert (made.runs["active_params"] < made.runs["params"]).all()
    with pytest.raises(InputError, match="the target lacks"):
        plan(experts, **asked)
    with pytest.raises(InputError, match="active_params: is -1"):
        plan(experts, **asked, target_inputs={"active_params": -1.0})
    with pytest.raises(InputError, match="width: is no input of this law"):
        plan(experts, **asked, target_inputs={"active_params": 1e9, "width": 2048})


def test_other_inputs_of_new_sizes_follow_from_how_they_went_with_params_and_tokens(runs):
    def width(params, tokens):
        return 3.0 * params**0.4 * tokens**-0.1

    table = scaling.load_runs(runs.assign(width=width(runs["params"], runs["tokens"])))
    sweep = build_sweep(table, centre={"lr": ("width", "tokens"), "batch_size": ("tokens",)})
    made = candidate_table(fit_pooled(sweep), {**SIZE, "width": width(1e9, 2e10)}, 1e21)
    assert made[["params", "tokens"]].drop_duplicates().shape[0] > 10, "new sizes too"
    assert made["width"].to_numpy() == pytest.approx(
        width(made["params"], made["tokens"]).to_numpy(), rel=1e-6
    )


def test_given_costs_are_kept_to(runs, pool):
    made = plan(runs, **TARGET, budget_flops=1e15, candidates=pool.assign(flops=1e14))
    assert 0 < len(made.runs) <= 10


def test_command_writes_the_runs(runs, tmp_path, capsys):
    runs.to_csv(tmp_path / "runs.csv", index=False)
    command = [
        "plan",
        str(tmp_path / "runs.csv"),
        "--target-params",
        "1B",
        "--target-tokens",
        "20B",
        "--budget-flops",
        "1e20",
    ]
    app([*command, "--batch", "6", "-o", str(tmp_path / "next.csv"), "--json"], standalone_mode=False)
    said = json.loads(capsys.readouterr().out)
    table = pd.read_csv(tmp_path / "next.csv")
    assert len(table) == len(said["runs"]) <= 6
    assert {"params", "tokens", "lr", "batch_size", "flops"} <= set(table.columns)
    app([*command, "--batch", "6"], standalone_mode=False)
    assert "expected excess" in capsys.readouterr().out
