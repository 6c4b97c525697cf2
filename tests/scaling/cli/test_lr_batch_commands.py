"""`scaling fit --law lr-batch`, `predict` and `plan` as a person types them, wrong input first of all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import scaling
from scaling.cli import app
from scaling.published import LAWS
from scaling.terminal import run_app


def call(*arguments: object) -> int:
    """Exit status of the command."""
    with pytest.raises(SystemExit) as ended:
        run_app(lambda: app([str(argument) for argument in arguments]))
    return int(ended.value.code or 0)


def table() -> pd.DataFrame:
    """Six sizes with a known optimum; active parameters and width go their own ways."""
    generator = np.random.default_rng(0)
    rows = []
    for active in (2e7, 6e7, 1.8e8):
        for tokens in (1e9, 8e9):
            lr = -8.5 - 0.6 * np.log2(active / 6e7) + 0.25 * np.log2(tokens / 3e9)
            batch = 17.5 + 0.55 * np.log2(tokens / 3e9)
            level = 1.8 + 400 / active**0.34 + 600 / tokens**0.28
            for u, v in generator.uniform(-2.5, 2.5, (20, 2)):
                excess = 0.005 * u * u + 0.004 * v * v - 0.002 * u * v
                loss = level * np.exp(excess + 0.001 * generator.standard_normal())
                width = np.sqrt(active / 96)
                rows.append((active, active, width, tokens, 2 ** (lr + u), 2 ** (batch + v), loss))
    names = ["params", "active_params", "width", "tokens", "lr", "batch_size", "loss"]
    return pd.DataFrame(rows, columns=names)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "runs.csv"
    table().to_csv(path, index=False)
    return path


Change = Callable[[pd.DataFrame], pd.DataFrame]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.assign(loss=np.nan), ["loss: row 1 has 'nan'", "status"]),
        (lambda t: t.assign(loss=[np.nan, *t["loss"][1:]]), ["loss: row 1", "(1 such rows)"]),
        (lambda t: t.assign(lr=[np.nan, *t["lr"][1:]]), ["lr: row 1 has nan"]),
        (lambda t: t.assign(lr=-t["lr"]), ["lr: row 1 has '-"]),
        (lambda t: t.assign(params=[f"{n / 1e6:g}M" for n in t["params"]]), ["'20M'", "plain numbers"]),
        (lambda t: t.rename(columns={"lr": "LR", "loss": "Loss"}), ["--columns loss=Loss"]),
        (lambda t: t.drop(columns="tokens"), ["no column 'tokens'"]),
        (
            lambda t: t.groupby("params").head(1).assign(tokens=1e9),
            ["lr and batch_size vary", "several values"],
        ),
        (lambda t: t.head(0), ["no finished runs"]),
    ],
)
def test_a_wrong_table_is_named(
    tmp_path: Path, change: Change, said: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "runs.csv"
    change(table()).to_csv(path, index=False)
    assert call("fit", path, "--law", "lr-batch", "-o", tmp_path / "law.json") == 2
    error = capsys.readouterr().err
    for words in (*said, "runs.csv"):
        assert words in error
    assert not (tmp_path / "law.json").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--loss", "huber"], "--loss"),
        (["--delta", "0"], "--delta"),
        (["--target", "lr"], "--target"),
        (["--residuals", "log"], "--residuals"),
        (["--fix", "a=1"], "--fix"),
        (["--set", "prior=3"], "no option 'prior'"),
        (["--set", "joint=maybe"], "joint=true or joint=false"),
        (["--set", "centre=lr"], "lr:params+tokens"),
        (["--method", "magic"], "pooled, step-law"),
    ],
)
def test_an_option_that_would_not_be_followed_is_refused(
    runs: Path, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("fit", runs, "--law", "lr-batch", *options) == 2
    assert said in capsys.readouterr().err


def test_switches_read_false_as_no(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ["--set", "joint=false", "--set", "level=no", "--bootstrap", "0"]
    assert call("fit", runs, "--law", "lr-batch", "--json", *settings) == 0
    stored = json.loads(capsys.readouterr().out)
    assert stored["walls"] is None
    assert stored["level"] is None
    assert stored["options"]["joint"] is False


PLAN = ["--target-params", "2B", "--target-tokens", "40B", "--budget-flops", "1e20", "--batch", "4"]


def test_a_plan_takes_inputs_of_its_own(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    centre = ["--set", "centre=lr:width+tokens;batch_size:tokens"]
    assert call("plan", runs, *PLAN, *centre, "--target", "width=4500", "-o", tmp_path / "next.csv") == 0
    assert "runs written" in capsys.readouterr().out
    assert {"params", "tokens", "width", "lr", "batch_size"} <= set(pd.read_csv(tmp_path / "next.csv"))
    assert call("plan", runs, *PLAN, *centre) == 2
    assert "--target width=NUMBER" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--set", "bend=0"], "no option 'bend'"),
        (["--target", "width"], "--target width=1024"),
        (["-o", "no/such/folder/next.csv"], "folder"),
        (["--where", "lr > 9"], "no run is left"),
    ],
)
def test_a_plan_that_cannot_be_made_is_named(
    runs: Path, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("plan", runs, *PLAN, *options) == 2
    assert said in capsys.readouterr().err


def test_a_loss_is_said_only_of_a_size_that_is_known(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Width stands for params in this law, but tokens do not: a loss from tokens alone would be made up.
    law = tmp_path / "law.json"
    settings = ["--set", "centre=lr:width+tokens;batch_size:tokens", "--bootstrap", "0"]
    assert call("fit", runs, "--law", "lr-batch", *settings, "-o", law) == 0
    capsys.readouterr()
    asked = ["predict", law, "--tokens", "40B", "--set", "width=4500", "--json"]
    assert call(*asked) == 0
    answer = json.loads(capsys.readouterr().out)
    assert "loss" not in answer["predictions"]
    assert "no loss is predicted: it also depends on params" in answer["warnings"]
    assert call(*asked, "--params", "2B") == 0
    loss = json.loads(capsys.readouterr().out)["predictions"]["loss"]
    assert loss["low"] < 1.8 + 400 / 2e9**0.34 + 600 / 4e10**0.28 < loss["high"]


@pytest.fixture(scope="module")
def law(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("law") / "law.json"
    assert call("fit", runs, "--law", "lr-batch", "--bootstrap", "0", "-o", path) == 0
    return path


TARGET = ["--params", "2B", "--tokens", "40B"]


def test_an_input_that_changes_nothing_is_said(law: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert call("predict", law, "step-law", *TARGET, "--set", "weight_decay=0.1") == 0
    told = capsys.readouterr().out.replace("\n", " ")
    assert told.count("weight_decay is no input of this law and changes nothing") == 2
    assert call("predict", law, *TARGET) == 0
    assert "changes nothing" not in capsys.readouterr().out


def test_the_picture_shows_the_plateau_unless_a_setting_is_held(law: Path, tmp_path: Path) -> None:
    from scaling.published.compare import plateau_curves

    fitted = scaling.load(law)
    at = {"params": 2e9, "tokens": 4e10}
    curves = plateau_curves({"mine": fitted, "step-law": LAWS["step-law"]}, at)
    assert list(curves) == ["mine"]
    lr, batch = zip(*curves["mine"][1e-3], strict=True)
    assert fitted.surface(at, {"lr": lr, "batch_size": batch}) == pytest.approx(1e-3, rel=1e-6)
    assert not plateau_curves({"mine": fitted}, {**at, "batch_size": 1e6})
    assert call("predict", law, "step-law", *TARGET, "--plot", tmp_path / "plot.html") == 0
    assert "plateau: within 0.1 and 1 % of the best loss" in (tmp_path / "plot.html").read_text()


def test_a_table_of_points_does_not_drown_in_notes(
    law: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points = pd.DataFrame({"params": np.geomspace(1e7, 1e12, 30), "tokens": np.geomspace(1e9, 1e13, 30)})
    points.to_csv(tmp_path / "points.csv", index=False)
    asked = ["predict", law, "--points", tmp_path / "points.csv", "-o", tmp_path / "said.csv"]
    capsys.readouterr()
    assert call(*asked) == 0
    told = capsys.readouterr().out
    assert told.count("note: ") == 9
    assert "more, of single rows: see --json" in told.replace("\n", " ")
    assert call(*asked, "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["warnings"]) > 9


def test_the_report_names_the_command_that_makes_the_law_again(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import re
    import shlex
    from html import unescape

    table = pd.read_csv(runs).rename(columns={"batch_size": "tokens_a_step"})
    table.to_csv(tmp_path / "mine.csv", index=False)
    settings = ["--columns", "batch_size=tokens_a_step", "--bootstrap", "0", "--set", "joint=no"]
    settings += ["--set", "centre=lr:width+tokens;batch_size:tokens"]
    report, law = tmp_path / "report.html", tmp_path / "law.json"
    assert (
        call("fit", tmp_path / "mine.csv", "--law", "lr-batch", *settings, "--report", report, "-o", law) == 0
    )
    (command,) = set(re.findall(r"scaling fit mine\.csv[^<]*", unescape(report.read_text())))
    again = [word.replace("mine.csv", str(tmp_path / "mine.csv")) for word in shlex.split(command)[1:]]
    assert call(*again[:-1], tmp_path / "again.json") == 0
    assert scaling.load(tmp_path / "again.json").params == scaling.load(law).params
