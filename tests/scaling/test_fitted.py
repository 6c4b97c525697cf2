"""Fitted laws: from a runs table to predictions, through the law file and back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import scaling
from scaling.errors import InputError
from scaling.fitted import FittedLaw, fit_law
from scaling.laws import get_law

TRUTH = [1.8, 480.0, 2100.0, 0.35, 0.37]


def table(count: int = 60, noise: float = 0.01, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    params = 10 ** rng.uniform(7, 9, count)
    tokens = params * 10 ** rng.uniform(0.3, 2.0, count)
    loss = get_law("chinchilla").predict(TRUTH, {"params": params, "tokens": tokens})
    loss = loss * np.exp(noise * rng.standard_normal(count))
    return pd.DataFrame({"params": params, "tokens": tokens, "loss": loss})


@pytest.fixture(scope="module")
def fitted() -> FittedLaw:
    found = scaling.fit(table(), law="chinchilla", bootstrap=200)
    assert isinstance(found, FittedLaw)
    return found


def test_parameters_answer_to_their_aliases(fitted: FittedLaw) -> None:
    assert fitted.params["alpha"] == fitted.params["a"]
    assert list(fitted.params) == ["E", "A", "B", "a", "b"]
    assert fitted.params["E"] == pytest.approx(1.8, abs=0.2)
    assert fitted.standard_errors["beta"] == pytest.approx(fitted.draws[:, 4].std(ddof=1))
    with pytest.raises(KeyError, match="gamma"):
        fitted.params["gamma"]


def test_the_same_seed_gives_the_same_draws() -> None:
    one, other, third = (fit_law(table(), bootstrap=50, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.draws, other.draws)
    assert not np.array_equal(one.draws, third.draws)


def test_the_objective_is_the_sum_over_runs(fitted: FittedLaw) -> None:
    r = fitted.residuals
    assert fitted.objective == pytest.approx(
        np.where(np.abs(r) < 1e-3, r**2 / 2, 1e-3 * (np.abs(r) - 5e-4)).sum()
    )


def test_predictions_keep_the_table_and_add_three_columns(fitted: FittedLaw) -> None:
    points = pd.DataFrame({"name": ["x", "y"], "params": [1e9, 2e9], "tokens": [2e10, 4e10]}, index=[7, 8])
    answer = fitted.predict(points, level=0.8)
    assert list(answer.columns) == ["name", "params", "tokens", "loss", "loss_low", "loss_high"]
    assert list(answer.index) == [7, 8]
    assert (answer["loss_low"] < answer["loss"]).all()
    assert (answer["loss"] < answer["loss_high"]).all()
    wider = fitted.predict({"params": [1e9, 2e9], "tokens": [2e10, 4e10]}, level=0.99)
    assert (wider["loss_high"].to_numpy() > answer["loss_high"].to_numpy()).all()


def test_an_answer_has_the_shape_of_predict_json(fitted: FittedLaw) -> None:
    answer = fitted.answer({"params": 1e9, "tokens": 2e10}, level=0.9)
    assert answer["inputs"] == {"params": 1e9, "tokens": 2e10}
    assert set(answer["predictions"]["loss"]) >= {"value", "low", "high", "unit"}
    assert answer["predictions"]["loss"]["low"] < answer["predictions"]["loss"]["value"]
    assert answer["predictions"]["loss"]["law"] == pytest.approx(
        fitted.value({"params": 1e9, "tokens": 2e10})[0]
    )
    assert answer["level"] == 0.9
    assert all(isinstance(warning, str) for warning in answer["warnings"])
    json.dumps(answer)


@pytest.mark.parametrize(
    ("inputs", "level", "word"),
    [
        ({"params": 1e9}, 0.9, "tokens"),
        ({"params": -1.0, "tokens": 1e9}, 0.9, "above zero"),
        ({"params": 1e9, "tokens": float("nan")}, 0.9, "finite"),
        ({"params": 1e9, "tokens": 1e9}, 1.5, "between 0 and 1"),
    ],
)
def test_a_point_that_cannot_be_is_refused(
    fitted: FittedLaw, inputs: dict[str, float], level: float, word: str
) -> None:
    with pytest.raises(InputError, match=word):
        fitted.answer(inputs, level=level)


def test_a_law_file_keeps_every_digit(fitted: FittedLaw, tmp_path: Path) -> None:
    path = tmp_path / "law.json"
    fitted.save(path)
    again = scaling.load(path)
    np.testing.assert_array_equal(again.theta, fitted.theta)
    np.testing.assert_array_equal(again.draws, fitted.draws)
    np.testing.assert_array_equal(again.covariance, fitted.covariance)
    np.testing.assert_array_equal(again.target, fitted.target)
    assert again.runs == fitted.runs
    assert again.options == fitted.options
    assert again.checks == fitted.checks
    point = {"params": 1e9, "tokens": 2e10}
    assert again.answer(point) == fitted.answer(point)
    stored = json.loads(path.read_text())
    assert stored["runs"]["sha256"] == fitted.runs.sha256
    assert stored["law"]["citation"]


def test_formulas_targets_and_residuals_survive_the_file(tmp_path: Path) -> None:
    frame = table().rename(columns={"loss": "loss_c4"})
    law = fit_law(
        frame, "E + A*N^-a + B*D^-b", target="loss_c4", residuals="linear", loss="squared", bootstrap=20,
        fixed={"E": 1.8},
    )  # fmt: skip
    law.save(tmp_path / "law.json")
    again = scaling.load(tmp_path / "law.json")
    assert again.output == "loss_c4"
    assert again.law.residuals == "linear"
    assert "E" not in again.params
    np.testing.assert_array_equal(again.residuals, law.residuals)
    np.testing.assert_allclose(law.residuals, law.target - law.fitted_values)


def test_a_function_with_a_formula_can_be_saved_and_one_without_cannot(tmp_path: Path) -> None:
    def own(E, A, a, params):  # type: ignore[no-untyped-def]
        return E + A * params**-a

    def opaque(E, A, a, params):  # type: ignore[no-untyped-def]
        return E + A * np.asarray(params, dtype=float) ** -a

    for function in (own, opaque):
        law = fit_law(table(), function, bootstrap=20)
        assert law.draws.shape == (20, 3)
        low, high = law.interval({"params": np.array([1e9])})
        assert low[0] < high[0]
    with pytest.raises(InputError, match="formula"):
        law.save(tmp_path / "law.json")
    assert not (tmp_path / "law.json").exists()
    fit_law(table(), own, bootstrap=5).save(tmp_path / "own.json")
    assert scaling.load(tmp_path / "own.json").law.inputs == ("params",)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda stored: stored.pop("draws"), "draws"),
        (lambda stored: stored["params"].pop("E"), "E"),
        (lambda stored: stored.update(foretune_law=99), "99"),
        (lambda stored: stored["law"].update(name="chinchila2"), "law|formula"),
    ],
)
def test_a_damaged_law_file_is_named(fitted: FittedLaw, tmp_path: Path, change, word: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "law.json"
    fitted.save(path)
    stored = json.loads(path.read_text())
    change(stored)
    path.write_text(json.dumps(stored))
    with pytest.raises(InputError, match=word):
        scaling.load(path)


def _broken(frame: pd.DataFrame, column: str, value: float) -> pd.DataFrame:
    frame = frame.copy()
    frame.loc[3, column] = value
    return frame


@pytest.mark.parametrize(
    ("frame", "law", "word"),
    [
        (table().drop(columns="tokens"), "chinchilla", "tokens"),
        (table().assign(params=1e9), "chinchilla", "one distinct value"),
        (table(4), "chinchilla", "4 runs cannot determine the 5 parameters"),
        (_broken(table(), "loss", -1.0), "chinchilla", "row 4"),
        (_broken(table(), "loss", float("nan")), "chinchilla", "row 4"),
        (_broken(table(), "tokens", float("inf")), "chinchilla", "row 4"),
        (table(), "chinchila", "did you mean 'chinchilla'"),
        (table(), "E + A*N**", "position"),
        (table(), "E + A*width**-a", "input"),
    ],
)
def test_wrong_input_is_named(frame: pd.DataFrame, law: str, word: str) -> None:
    with pytest.raises(InputError, match=word):
        fit_law(frame, law, bootstrap=0)


def test_failed_runs_are_set_aside_and_counted() -> None:
    frame = table().assign(status="complete")
    frame.loc[5, ["loss", "status"]] = [float("nan"), "diverged"]
    law = fit_law(frame, bootstrap=0)
    assert law.runs.n == 59
    assert law.runs.set_aside == 1


def test_compute_is_6nd_where_there_is_no_such_column() -> None:
    frame = table(noise=0.0).astype({"params": "int64", "tokens": "int64"})
    frame["loss"] = 1.7 + 2e3 * (6.0 * frame["params"].astype(float) * frame["tokens"].astype(float)) ** -0.16
    law = fit_law(frame, "power-law", axis="flops", bootstrap=0)
    assert law.params["a"] == pytest.approx(0.16, rel=1e-4)
    answer = law.answer({"params": 1e12, "tokens": 1e14})  # overflows 64-bit integers
    assert answer["predictions"]["loss"]["law"] == pytest.approx(1.7 + 2e3 * 6e26**-0.16, rel=1e-4)


def test_errors_of_tasks_are_chained_to_the_loss_with_both_uncertainties(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = table(80, noise=0.01)
    error = get_law("downstream").predict([0.85, 2.2, 0.7], {"loss": frame["loss"].to_numpy()})
    frame["error"] = error + 0.002 * rng.standard_normal(80)
    law = fit_law(frame, "downstream", loss="squared", bootstrap=100, upstream="chinchilla")
    assert law.upstream is not None
    point = {"params": np.array([2e9]), "tokens": np.array([4e10])}
    low, high = law.interval(point)
    loss = law.upstream.value(point)
    alone_low, alone_high = law.interval({"loss": loss})
    assert high[0] - low[0] > 1.2 * (alone_high[0] - alone_low[0])
    assert low[0] < law.value({"loss": loss})[0] < high[0]
    assert law.value(point)[0] == law.value({"loss": loss})[0]
    law.save(tmp_path / "chain.json")
    again = scaling.load(tmp_path / "chain.json")
    assert again.answer({"params": 2e9, "tokens": 4e10}) == law.answer({"params": 2e9, "tokens": 4e10})
    with pytest.raises(InputError, match="loss alone"):
        fit_law(frame, "chinchilla", upstream="chinchilla", bootstrap=0)
