"""What a fitted law answers: one size or a table, settings held or free, how flat it is around the optimum."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import scaling
from scaling import InputError

TARGET = {"params": 2e9, "tokens": 4e10}


def test_the_scatter_of_cells_is_in_the_interval_beside_a_held_batch_too(sweep_law):
    scattered = replace(sweep_law, hypers=tuple(replace(one, scatter=1.0) for one in sweep_law.hypers))
    for held in ({}, {"batch_size": 2.0**18}):
        narrow, wide = (
            law.answer({"params": 2e8, "tokens": 5e9, **held})["predictions"]["lr"]
            for law in (sweep_law, scattered)
        )
        assert np.log2(wide["high"] / wide["low"]) > 2 * np.log2(narrow["high"] / narrow["low"])


def test_each_row_of_a_table_is_answered_as_if_alone(make_sweep):
    law = scaling.fit(
        make_sweep(sizes=[(n, 20 * n) for n in (5e7, 1e8, 2e8, 4e8)]), law="lr-batch", bootstrap=0
    )
    assert law.level.kind == "power", (
        "the other kind: test_many_points_are_answered_as_one_by_one_and_at_once"
    )
    rows = [{"params": n, "tokens": 20 * n} for n in (3e8, 1e9, 4e9)]
    for row, together in zip(rows, law.answers(rows), strict=True):
        assert together["predictions"]["loss"] == pytest.approx(law.answer(row)["predictions"]["loss"])


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


def test_far_targets_say_how_far(sweep_law):
    warnings = sweep_law.answer({"params": 7e9, "tokens": 1.4e12})["warnings"]
    assert any("params" in w and "14 times" in w for w in warnings)
    assert any("nearest measured cell" in w for w in warnings)
    assert not any("extrapolation" in w for w in sweep_law.answer({"params": 2e8, "tokens": 4e9})["warnings"])
