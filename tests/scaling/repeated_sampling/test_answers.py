"""pass@k as a person asks for it: a table of counts, the command, its page, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from scaling.cli import app
from scaling.errors import InputError
from scaling.repeated_sampling import answer_pass_at_k, load_counts, pass_at_k


@pytest.fixture
def counts(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path / "counts.csv"
    correct = rng.binomial(200, rng.beta(0.4, 8.0, 60))
    pd.DataFrame({"problem": np.arange(60), "n": 200, "c": correct}).to_csv(path, index=False)
    return path


def test_measured_within_the_samples_and_predicted_beyond(counts: Path) -> None:
    loaded = load_counts(counts)
    found = answer_pass_at_k(loaded, [1, 100, 5_000], bootstrap=40)
    table = found.table
    unbiased = pass_at_k(loaded.samples, loaded.correct, 100).mean()
    assert table["measured"].iloc[1] == pytest.approx(unbiased)
    assert np.isnan(table["measured"].iloc[2])
    assert (table["low"] <= table["pass_at_k"]).all()
    assert (table["pass_at_k"] <= table["high"]).all()
    assert table["pass_at_k"].iloc[1] == pytest.approx(unbiased, abs=0.03)
    assert not found.warnings


def test_powers_of_ten_up_to_what_was_tested(counts: Path) -> None:
    asked = answer_pass_at_k(load_counts(counts), bootstrap=5).table["k"]
    assert list(asked) == [1, 10, 100, 1_000, 10_000]


@pytest.mark.parametrize(
    ("correct", "word"),
    [([0, 0, 0], "no sample was correct"), ([1, 0, 0], "impossible"), ([5, 3, 2], "10 correct samples")],
)
def test_it_says_what_little_it_rests_on(correct: list[int], word: str) -> None:
    found = answer_pass_at_k(
        load_counts(pd.DataFrame({"samples": 50, "correct": correct})), [10], bootstrap=5
    )
    assert any(word in warning for warning in found.warnings)


def test_far_beyond_the_samples_and_unequal_samples_are_told() -> None:
    frame = pd.DataFrame({"samples": [50, 80, 80], "correct": [20, 30, 1]})
    told = " ".join(answer_pass_at_k(load_counts(frame), [10_000], bootstrap=5).warnings)
    assert "200 times the samples" in told
    assert "50 to 80 samples" in told


def test_the_command(counts: Path, tmp_path: Path) -> None:
    out, page = tmp_path / "answers.csv", tmp_path / "page.html"
    arguments = ["pass-at-k", str(counts), "--k", "100", "--k", "10k", "--bootstrap", "20"]
    answer = CliRunner().invoke(app, [*arguments, "--json", "-o", str(out), "--report", str(page)])
    assert answer.exit_code == 0, answer.output
    told = json.loads(answer.output)
    assert [row["k"] for row in told["pass_at_k"]] == [100, 10_000] == list(pd.read_csv(out)["k"])
    assert told["pass_at_k"][1]["measured"] is None
    assert told["problems"] == 60
    assert "Tail exponent" in page.read_text(encoding="utf-8")
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0
    assert "pass@k by the law" in shown.output


@pytest.mark.parametrize(
    ("frame", "key"),
    [
        ({"problem": ["a", "b"], "n": [10, 10]}, "correct"),
        ({"n": [10, 10], "c": [3, 11]}, "correct"),
        ({"n": [10, 0], "c": [3, 0]}, "n"),
        ({"n": [10, 10], "c": [0.3, 0.1]}, "c"),
        ({"samples": [10, 10], "correct": [3, None]}, "correct"),
    ],
)
def test_counts_that_cannot_be_are_named(frame: dict[str, list[object]], key: str, tmp_path: Path) -> None:
    path = tmp_path / "counts.csv"
    pd.DataFrame(frame).to_csv(path, index=False)
    with pytest.raises(InputError) as wrong:
        load_counts(path)
    assert wrong.value.key == key
    assert str(path) in str(wrong.value)
    assert wrong.value.remedy


@pytest.mark.parametrize(
    "arguments",
    [
        ["--k", "0"],
        ["--level", "1"],
        ["--for", "models"],
        ["-o", "no/such/folder/x.csv"],
        ["--columns", "n=m"],
    ],
)
def test_questions_that_cannot_be_are_refused(counts: Path, arguments: list[str]) -> None:
    answer = CliRunner().invoke(app, ["pass-at-k", str(counts), *arguments])
    assert isinstance(answer.exception, InputError)
