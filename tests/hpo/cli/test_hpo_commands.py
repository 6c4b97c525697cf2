"""The command ``hpo``: what it answers, in which form, with which exit status."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from hpo.cli import main

OBJECTIVE = """
def train(config, *, seed, trial):
    if config["lr"] < 0.05:
        raise ValueError("much too small")
    return {"loss": (config["lr"] - 0.3) ** 2 + seed / 1e4, "params": 10, "tokens": 100, "batch_size": 4}
"""

STUDY = """
name: commands
objective: toy_commands:train
metric: loss
space: {lr: {type: float, low: 0.01, high: 1, log: true}}
seeds: {tuning: [0, 1], testing: [8, 9]}
sampler: {name: random, seed: 4}
budget: {trials: 4}
engine: inline
baseline: {lr: 0.5}
"""


class Command:
    """Runs commands as the shell would, in one process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch = monkeypatch
        self.capsys = capsys

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        self.monkeypatch.setattr(sys, "argv", ["hpo", *arguments])
        status = 0
        try:
            main()
        except SystemExit as end:
            status = int(end.code or 0)
        out, err = self.capsys.readouterr()
        return status, out, err


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "toy_commands.py").write_text(OBJECTIVE)
    (tmp_path / "study.yaml").write_text(STUDY)
    return Command(monkeypatch, capsys)


def test_the_road_from_a_study_file_to_a_runs_table(command: Command, tmp_path: Path) -> None:
    status, out, err = command("run", "study.yaml", "--no-test", "--json")
    assert status == 0
    told = json.loads(out)
    assert told["scales"][0]["configurations"] == 4 and told["openings"] == [] and "runs" in err

    status, out, _ = command("status")
    assert status == 0 and "sealed" in out and "much too small" in out

    status, out, _ = command("test", "-q")
    assert status == 0 and "not the first look" not in out
    status, out, _ = command("test", "commands", "-q", "--config", 'mine={"lr": 0.3}', "--json")
    assert status == 0
    told = json.loads(out)
    assert told["second_look"] and len(told["openings"]) == 2
    assert told["scales"][0]["testing"]["mine"][0]["mean"] == pytest.approx(8.5e-4)

    status, out, _ = command("list", "--json")
    assert status == 0 and [entry["name"] for entry in json.loads(out)] == ["commands"]
    assert command("list")[0] == 0

    assert command("export", "study.yaml", "-o", "runs.csv")[0] == 0
    assert command("export", "-o", "tuning.parquet", "--phase", "tuning")[0] == 0
    frame = pd.read_csv(tmp_path / "runs.csv")
    assert {"params", "tokens", "lr", "batch_size", "loss", "seed", "status", "phase"} <= set(frame.columns)
    assert frame["error"].dropna().unique().tolist() == ["ValueError: much too small"]
    assert set(pd.read_parquet(tmp_path / "tuning.parquet")["phase"]) == {"tuning"}

    from scaling import load_runs

    runs = load_runs(tmp_path / "runs.csv", require=("params", "tokens", "lr", "batch_size", "loss"))
    assert len(runs) + runs.set_aside == len(frame) and runs.set_aside == frame["error"].notna().sum() > 0


def test_run_for_people_and_again(command: Command) -> None:
    status, out, _ = command("run", "study.yaml", "budget.trials=2", "-q")
    assert status == 0 and "opened" in out and "incumbent" in out
    assert command("run", "study.yaml", "budget.trials=3", "-q", "--storage", "foretune.db")[0] == 0


def test_the_chosen_values_are_shown_whole_and_one_seed_is_said_to_be_one(command: Command) -> None:
    long = "a_parameter_whose_name_is_too_long_for_a_column_of_a_terminal"
    space = f"space={{lr: {{type: float, low: 0.1, high: 0.2}}, {long}: {{type: int, low: 7, high: 8}}}}"
    status, out, _ = command(
        "run", "study.yaml", "-q", space, "fixed={params: 1, tokens: 1, batch_size: 8}", "seeds.tuning=[0]",
        "baseline=null",
    )  # fmt: skip
    assert status == 0 and f" {long}=" in out and "in no interval" in out
    assert "in no interval" not in command("run", "study.yaml", "name=two", "-q")[1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "nowhere.yaml"], "nowhere.yaml"),
        (["run", "study.yaml", "sampler.name=bayesain"], "did you mean 'bayesian'"),
        (["run", "study.yaml", "sampler.strength=3"], "strength"),
        (["run", "study.yaml", "scheduler.name=hyperspeed"], "no scheduler 'hyperspeed'"),
        (["run", "study.yaml", "scheduler.name=hyperband"], "engine: ray"),
        (["run", "study.yaml", "seeds.testing=[0]"], "tuning and testing"),
        (["run", "study.yaml", "objective=toy_commands:trian"], "it has train"),
        (["run", "study.yaml", "budget={runs: 1}"], "fewer than"),
        (["run", "study.yaml", "metric=accuracy"], "no 'accuracy'"),
        (["run", "study.yaml", "seeds.allocation=racing", "budget.hours=1"], "racing counts"),
        (["run", "study.yaml", "--storage", "no/such/folder/x.db"], "no folder"),
        (["status"], "no database"),
        (["status", "--storage", "none.db"], "no database"),
        (["test"], "no database"),
        (["export"], "no database"),
        (["list"], "no database"),
    ],
)
def test_wrong_input_is_named_and_nothing_is_half_written(
    command: Command, tmp_path: Path, arguments: list[str], says: str
) -> None:
    status, out, err = command(*arguments)
    assert status == 2 and says in err and out == ""
    assert "Traceback" not in err
    if (tmp_path / "foretune.db").exists():
        import hpo

        assert len(hpo.load_study("commands", tmp_path / "foretune.db").runs) == 0


def test_wrong_input_about_a_study_that_is_there(command: Command) -> None:
    assert command("run", "study.yaml", "-q", "--no-test")[0] == 0
    for arguments, says in (
        (["status", "comands"], "there are: 'commands'"),
        (["test", "--config", "lr=0.3"], "NAME=JSON"),
        (["export", "-o", "runs.xlsx"], ".csv or .parquet"),
        (["export", "-o", "no/such/runs.csv"], "no folder"),
        (["export", "--phase", "training"], "there are tuning"),
        (["run", "study.yaml", "space.lr.high=2"], "space.lr.high was 1.0 and is 2.0"),
    ):
        status, _, err = command(*arguments)
        assert status == 2 and says in err, err


def test_a_dashboard_that_is_not_installed(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *_: None)
    status, _, err = command("dashboard")
    assert status == 1 and "pip install optuna-dashboard" in err


def test_help_comes_at_once() -> None:
    """Half a second on an idle machine; here only what it loads is held to that."""
    began = time.process_time()
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "hpo", "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0 and time.process_time() - began < 1
    for heavy in ("optuna", "ray", "torch", "pandas", "pydantic", "sqlalchemy", "yaml", "numpy"):
        assert f" {heavy}\n" not in done.stderr, heavy
