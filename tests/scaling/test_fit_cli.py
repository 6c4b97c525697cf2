"""`scaling fit` and `scaling allocate` as a person types them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scaling.cli import app
from scaling.laws import get_law
from scaling.terminal import run_app


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    params = 10 ** rng.uniform(7, 9.5, 60)
    tokens = params * 10 ** rng.uniform(0.3, 2.0, 60)
    loss = get_law("chinchilla").predict(
        [1.8, 480.0, 2100.0, 0.35, 0.37], {"params": params, "tokens": tokens}
    )
    path = tmp_path / "runs.csv"
    frame = pd.DataFrame({"N": params, "D": tokens, "loss": loss * np.exp(0.005 * rng.standard_normal(60))})
    frame.assign(seed=np.arange(60) % 2).to_csv(path, index=False)
    return path


def call(*arguments: object) -> int:
    """Exit status of the command."""
    with pytest.raises(SystemExit) as ended:
        run_app(lambda: app([str(argument) for argument in arguments]))
    return int(ended.value.code or 0)


def test_from_a_table_to_an_allocation_in_three_commands(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    law = tmp_path / "law.json"
    assert call("fit", runs, "--columns", "params=N,tokens=D", "--bootstrap", 100, "-o", law) == 0
    told = capsys.readouterr().out
    assert "converged" in told
    assert "exponent of tokens" in told
    assert call("predict", law, "--params", "1e9", "--tokens", "2e10", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["predictions"]["loss"]["low"] < answer["predictions"]["loss"]["high"]
    assert call("allocate", law, "--flops", "1e21", "--unique-tokens", "1B", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["repeats"]["epochs"] > 1
    assert call("allocate", law, "--flops", "1e21", "--unique-tokens", "1B", "--batch-size", "1M") == 0
    told = capsys.readouterr().out
    assert "Data is short" in told
    assert "iterations" in told


def test_json_is_full_precision_and_nothing_else(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        call(
            "fit", runs, "--columns", "params=N,tokens=D", "--bootstrap", 20, "--json", "--where", "seed == 0"
        )
        == 0
    )
    stored = json.loads(capsys.readouterr().out)
    assert stored["runs"]["n"] == 30
    assert stored["params"]["E"] != round(stored["params"]["E"], 10)
    assert stored["options"]["bootstrap"] == 20


def test_laws_take_settings_and_fixed_parameters(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["--columns", "params=N,tokens=D", "--bootstrap", 0, "--json"]
    assert call("fit", runs, *common, "--law", "power-law", "--set", "axis=flops") == 0
    assert json.loads(capsys.readouterr().out)["law"]["options"]["axis"] == "flops"
    assert call("fit", runs, *common, "--law", "E + A*N^-a + B/D^b", "--fix", "E=1.8") == 0
    assert "E" not in json.loads(capsys.readouterr().out)["params"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["fit", "RUNS"], "params"),
        (["fit", "nowhere.csv"], "nowhere.csv"),
        (["fit", "RUNS", "--columns", "params=M"], "M"),
        (["fit", "RUNS", "--columns", "params=N,tokens=D", "--law", "chinchila"], "chinchilla"),
        (["fit", "RUNS", "--columns", "params=N,tokens=D", "--law", "E + A*N**"], "position"),
        (["fit", "RUNS", "--columns", "params=N,tokens=D", "--where", "seed =="], "--where"),
        (["fit", "RUNS", "--columns", "params=N,tokens=D", "--where", "seed > 7"], "no run is left"),
        (["fit", "RUNS", "--columns", "params=N,tokens=D", "--loss", "cauchy"], "cauchy"),
        (["fit", "RUNS", "--columns", "params=N,tokens=D", "--method", "basin"], "lr-batch"),
        (["fit", "RUNS", "--columns", "params=N,tokens=D", "--set", "breaks"], "NAME=VALUE"),
        (["fit", "RUNS", "--columns", "params=N,tokens=D", "-o", "no/such/folder/law.json"], "folder"),
        (["allocate", "RUNS.json", "--flops", "1e21"], "RUNS.json"),
        (["allocate", "step-law", "--flops", "1e21"], "predicts no loss"),
        (["allocate", "chinchilla-2022", "--flops", "1e21", "--level", "2"], "--level"),
    ],
)
def test_wrong_input_exits_with_two_and_says_what(
    runs: Path, arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*[str(runs) if argument == "RUNS" else argument for argument in arguments]) == 2
    assert word in capsys.readouterr().err
