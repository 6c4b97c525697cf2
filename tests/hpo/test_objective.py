"""Objectives: found, checked before the first run, and commands' metrics read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from hpo.objective import Command, load_objective
from hpo.trial import Trial
from scaling.errors import InputError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != str(tmp_path)])
    return tmp_path


def test_a_module_in_the_working_directory_is_found(folder: Path) -> None:
    (folder / "here_it_is.py").write_text("def train(config, *, seed, trial):\n    return {'loss': seed}\n")
    assert load_objective("here_it_is:train", None)({}, seed=3, trial=Trial()) == {"loss": 3}


@pytest.mark.parametrize(
    ("body", "reference", "says"),
    [
        ("", "wrong_one", "module:function"),
        ("", "not_there_at_all:train", "cannot be imported"),
        ("import nothing_of_that_name", "wrong_two:train", "nothing_of_that_name"),
        ("def fit(config, *, seed, trial): ...", "wrong_three:train", "it has fit"),
        ("train = 3", "wrong_four:train", "no function"),
        ("def train(config): ...", "wrong_five:train", "cannot be called"),
        ("def train(config, seed): ...", "wrong_six:train", "trial"),
        ("def train(config, *, seed, trial, lr): ...", "wrong_seven:train", "lr"),
    ],
)
def test_what_is_wrong_with_an_objective_is_said(folder: Path, body: str, reference: str, says: str) -> None:
    (folder / f"{reference.partition(':')[0]}.py").write_text(body + "\n") if body else None
    with pytest.raises(InputError, match=says) as caught:
        load_objective(reference, None, source="study.yaml")
    assert caught.value.key == "objective" and caught.value.source == "study.yaml"


def script(folder: Path, body: str) -> None:
    (folder / "script.py").write_text(f"import json, os, sys\n{body}\n")


RUN = f"{sys.executable} script.py {{lr}} {{name}} {{seed}}"


def call(template: str = RUN, **changes: Any) -> dict[str, Any]:
    return Command(template)({"lr": 0.01, "name": "it's; a $HOME", **changes}, seed=7, trial=Trial(2, 7))


def test_a_command_gets_its_values_quoted_and_its_last_line_is_read(folder: Path) -> None:
    script(
        folder,
        "print('epoch 1', '{\"loss\": 9}', json.dumps({'loss': 1.5, 'argv': sys.argv[1:]}), 'bye', sep='\\n')",
    )
    assert call() == {"loss": 1.5, "argv": ["0.01", "it's; a $HOME", "7"]}


def test_a_command_may_write_its_metrics_and_read_all_from_the_environment(folder: Path) -> None:
    script(
        folder,
        "config = json.loads(os.environ['FORETUNE_CONFIG'])\n"
        "found = {'loss': config['lr'], 's': os.environ['FORETUNE_SEED']}\n"
        "open(os.environ['FORETUNE_METRICS'], 'w').write(json.dumps(found))",
    )
    assert call() == {"loss": 0.01, "s": "7"}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("sys.exit('out of luck')", r"status 1: .*\n(.*\n)*out of luck"),
        ("print('nothing to see')", "printed no line of JSON"),
        ("print('[1, 2]')", "printed no line of JSON"),
        ("open(os.environ['FORETUNE_METRICS'], 'w').write('oops')", "wrote no JSON object"),
    ],
)
def test_a_command_that_fails_says_how(folder: Path, body: str, says: str) -> None:
    script(folder, body)
    with pytest.raises(RuntimeError, match=says):
        call()
