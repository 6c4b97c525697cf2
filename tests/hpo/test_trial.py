"""What an objective is handed."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpo.trial import Pruned, Trial


def test_reports_are_kept_and_passed_on() -> None:
    seen: list[tuple[int, dict[str, float]]] = []
    trial = Trial(on_report=lambda step, metrics: seen.append((step, metrics)))
    trial.report(1, loss=2)
    trial.report(2, loss=1.5, accuracy=0.5)
    assert trial.reports == seen == [(1, {"loss": 2.0}), (2, {"loss": 1.5, "accuracy": 0.5})]


def test_a_stop_reaches_the_objective_after_the_report_is_kept() -> None:
    def stop(step: int, metrics: dict[str, float]) -> None:
        raise Pruned

    trial = Trial(on_report=stop)
    with pytest.raises(Pruned):
        trial.report(1, loss=2)
    assert trial.reports == [(1, {"loss": 2.0})]


@pytest.mark.parametrize("on_disk", [False, True])
def test_checkpoints_outlive_what_saved_them(tmp_path: Path, on_disk: bool) -> None:
    file = tmp_path / "deep" / "c.pickle" if on_disk else None
    trial = Trial(checkpoint=file)
    assert trial.restore() is None
    trial.save({"step": 3})
    trial.save({"step": 4})
    again = Trial(checkpoint=file) if on_disk else trial
    assert again.restore() == {"step": 4}
    if file is not None:
        assert [path.name for path in file.parent.iterdir()] == ["c.pickle"]
