"""Given configurations on given seeds: recorded, resumed, counted, and with nothing sealed."""

from __future__ import annotations

from typing import Any

import pytest

import hpo
from hpo.storage import open_storage
from scaling.errors import InputError
from tests.hpo.study_kit import Objective, run


def test_given_runs_have_nothing_to_open() -> None:
    opened = open_storage("memory://")
    hpo.evaluate(
        Objective(), [{"x": 0.1}], [0], name="given", engine="inline", storage=opened, progress=False
    )
    with pytest.raises(InputError, match="no sealed seeds"):
        hpo.load_study("given", opened).test(progress=False)


def test_evaluations_are_recorded_resumed_and_in_order(objective: Objective, storage: str) -> None:
    configs = [{"x": 0.1, "width": 3}, {"x": 0.2, "width": 3}]
    options: dict[str, Any] = {"name": "large", "storage": storage, "engine": "inline", "progress": False}
    found = hpo.evaluate(objective, configs, [5, 6], roles=["a", "b"], **options)
    assert list(found["x"]) == [0.1, 0.1, 0.2, 0.2] and list(found["seed"]) == [5, 6, 5, 6]
    assert list(found["role"]) == ["a", "a", "b", "b"] and (found["width"] == 3).all()
    again = hpo.evaluate(objective, [*configs, {"x": 0.3, "width": 3}], [6, 7], **options)
    assert len(objective.calls) == 4 + 4 and len(again) == 6
    study = hpo.load_study("large", storage)
    assert len(study.runs) == 8 and len(study.records("given")) == 8
    run(objective, storage)
    with pytest.raises(InputError, match="a study already"):
        hpo.evaluate(objective, configs, [1], **{**options, "name": "toy"})


def test_an_evaluation_counts_only_the_runs_it_was_asked_for(
    objective: Objective, storage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options: dict[str, Any] = {"name": "large", "storage": storage, "engine": "inline"}
    hpo.evaluate(objective, [{"x": 0.1}, {"x": 0.2}], [5, 6, 7], progress=False, **options)
    hpo.evaluate(objective, [{"x": 0.2}, {"x": 0.3}], [5], **options)
    assert "2/2 runs" in capsys.readouterr().err
