"""Rolling origins and what they say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from scaling.backtest import backtest, interval_score, rolling_origins
from scaling.cli import app
from scaling.errors import InputError

LAWS = ["chinchilla", "chinchilla-tied", "over-training", "power-law", "E + A*params**-a + B*tokens**-b"]


def runs(count: int = 45, noise: float = 0.005, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    flops, ratio = np.geomspace(1e18, 1e21, count), 10 ** rng.uniform(0.7, 1.9, count)
    params = np.sqrt(flops / 6 / ratio)
    loss = 1.8 + 480 / params**0.348 + 2090 / (params * ratio) ** 0.366
    return pd.DataFrame(
        {
            "params": params,
            "tokens": params * ratio,
            "loss": loss * np.exp(noise * rng.standard_normal(count)),
        }
    )


@given(
    st.lists(st.floats(1.0, 1e6), min_size=12, max_size=60, unique=True),
    st.integers(1, 6),
    st.floats(1.5, 100.0),
)
@settings(max_examples=60, deadline=None)
def test_no_fold_is_fitted_to_what_it_predicts(along: list[float], folds: int, horizon: float) -> None:
    values = np.array(along)
    found = rolling_origins(values, folds=folds, horizon=horizon, fewest=8)
    assert 0 < len(found) <= folds
    for fold in found:
        assert not (fold.fitted & fold.held_out).any()
        assert values[fold.fitted].max() < values[fold.held_out].min()
        assert fold.fitted.sum() >= 8
        assert fold.held_out.any()
    cutoffs = [fold.cutoff for fold in found]
    assert cutoffs == sorted(set(cutoffs), reverse=True)


def test_the_first_fold_holds_out_the_top_decade() -> None:
    along = np.geomspace(1.0, 1e4, 41)
    first = rolling_origins(along, folds=3, horizon=10.0, fewest=5)[0]
    assert np.isclose(first.cutoff, 1e3)
    assert first.held_out.sum() == 10


def test_runs_at_one_place_count_once() -> None:
    along = np.repeat(np.geomspace(1.0, 1e3, 10), 20)
    places = np.repeat(np.arange(10), 20)[:, None]
    smallest = rolling_origins(along, folds=9, fewest=6, distinct=places)[-1]
    assert len(np.unique(along[smallest.fitted])) == 6


def test_interval_score_is_width_plus_penalty() -> None:
    score = interval_score([1.0, 3.0, -1.0], [0.0] * 3, [2.0] * 3, 0.9)
    assert np.allclose(score, [2.0, 2.0 + 20.0, 2.0 + 20.0])


@pytest.mark.parametrize("law", LAWS)
def test_every_loss_law(law: str) -> None:
    found = backtest(runs(), law, folds=2, bootstrap=30)
    assert len(found.folds) == 2
    assert np.isfinite(found.table[["predicted", "low", "high", "bootstrap_low"]]).all(axis=None)
    assert (found.table["low"] < found.table["high"]).all()
    assert (found.table["reach"] > 1).all()


def test_a_function_of_ones_own() -> None:
    def mine(E: float, A: float, a: float, params: float) -> float:
        return E + A * params**-a

    assert backtest(runs(), mine, axis="params", folds=1, bootstrap=20).axis == "params"


def test_summaries_are_those_of_the_table() -> None:
    found = backtest(runs(), folds=3, level=0.8, bootstrap=50)
    table = found.table
    inside = (table["actual"] >= table["low"]) & (table["actual"] <= table["high"])
    assert found.coverage == pytest.approx(inside.mean())
    assert found.mean_absolute_error == pytest.approx((table["predicted"] / table["actual"] - 1).abs().mean())
    weights = found.folds["predicted"]
    assert found.interval_score == pytest.approx(np.average(found.folds["interval_score"], weights=weights))
    assert found.bootstrap_coverage == pytest.approx(
        np.average(found.folds["bootstrap_coverage"], weights=weights)
    )
    json.dumps(found.to_dict())
    scale = found.width_needed
    low = table["predicted"] - scale * (table["predicted"] - table["low"]) * (1 + 1e-9)
    high = table["predicted"] + scale * (table["high"] - table["predicted"]) * (1 + 1e-9)
    assert ((table["actual"] >= low) & (table["actual"] <= high)).mean() >= found.level


def test_a_right_law_predicts_its_largest_runs() -> None:
    found = backtest(runs(80), folds=1, level=0.95, bootstrap=20)
    assert found.mean_absolute_error < 0.02
    assert found.coverage > 0.8


def test_progress_is_told() -> None:
    told: list[tuple[int, int]] = []
    backtest(runs(), folds=3, bootstrap=0, progress=lambda done, of: told.append((done, of)))
    assert told[-1] == (len(told), len(told))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"level": 1.5}, "level"),
        ({"folds": 0}, "folds"),
        ({"horizon": 1.0}, "horizon"),
        ({"axis": "nothing"}, "nothing"),
    ],
)
def test_wrong_input_is_named(options: dict[str, float], word: str) -> None:
    with pytest.raises(InputError, match=word):
        backtest(runs(), **options)  # type: ignore[arg-type]


def test_too_few_runs_are_refused() -> None:
    with pytest.raises(InputError, match="too few"):
        backtest(runs(8))


def test_the_command(tmp_path: Path) -> None:
    path, out = tmp_path / "runs.csv", tmp_path / "held-out.csv"
    runs().rename(columns={"params": "N"}).to_csv(path, index=False)
    arguments = ["backtest", str(path), "--columns", "params=N", "--folds", "2", "--bootstrap", "20"]
    answer = CliRunner().invoke(app, [*arguments, "--json", "-o", str(out)])
    assert answer.exit_code == 0, answer.output
    told = json.loads(answer.output)
    assert told["predicted"] == len(pd.read_csv(out)) == sum(fold["predicted"] for fold in told["folds"])
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0
    assert "intervals covered" in shown.output
    assert "times as wide" in shown.output
    fewer = CliRunner().invoke(app, [*arguments, "--json", "--where", "N < 5e8"])
    assert fewer.exit_code == 0, fewer.output
    assert json.loads(fewer.output)["predicted"] < told["predicted"]


def test_the_command_refuses_what_is_wrong(tmp_path: Path) -> None:
    missing = CliRunner().invoke(app, ["backtest", str(tmp_path / "none.csv")])
    assert isinstance(missing.exception, InputError)
    path = tmp_path / "runs.csv"
    runs().to_csv(path, index=False)
    none_left = CliRunner().invoke(app, ["backtest", str(path), "--where", "tokens < 0"])
    assert isinstance(none_left.exception, InputError)
    nowhere = CliRunner().invoke(app, ["backtest", str(path), "-o", str(tmp_path / "no" / "x.csv")])
    assert isinstance(nowhere.exception, InputError)
