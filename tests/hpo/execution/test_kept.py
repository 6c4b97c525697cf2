"""What an interrupted run goes on from: kept whole, given back with the values that led to it, dropped at its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpo.execution.base import Job, Task
from hpo.execution.kept import drop, keep, made_of, restore_into, taken_up
from hpo.ledger import Atom
from hpo.trial import Trial

JOB = Job("s/a=1", Atom(3, 7), {"steps": 9, "rate": 0.1}, {"rate": 0.1})
SCHEDULE = [{"step": 0, "values": {"rate": 0.1}}, {"step": 4, "values": {"rate": 0.5}}]
MADE = {"step": 6, "schedule": SCHEDULE, "seconds": 2.5}


def task(folder: Path | None, population: str = "pbt") -> Task:
    return Task(lambda config, **_: {"loss": 0.0}, "loss", checkpoints=folder, population=population)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A run's own checkpoint, as its objective saved it."""
    path = tmp_path / "tune" / "checkpoint.pickle"
    Trial(checkpoint=path).save({"height": 1})
    return path


def test_what_is_saved_later_is_not_what_was_kept(tmp_path: Path, mine: Path) -> None:
    kept = task(tmp_path / "kept")
    keep(kept, JOB, mine, MADE)
    Trial(checkpoint=mine).save({"height": 2})
    other = tmp_path / "other" / "checkpoint.pickle"
    assert restore_into(kept, JOB, other) == MADE
    assert Trial(checkpoint=other).restore() == {"height": 1}
    keep(kept, JOB, mine, {**MADE, "step": 8})
    assert restore_into(kept, JOB, other) == {**MADE, "step": 8}
    assert Trial(checkpoint=other).restore() == {"height": 2}


@pytest.mark.parametrize("looked_at", [True, False])
def test_a_report_without_a_new_save_leaves_the_checkpoint_as_it_is(
    tmp_path: Path, mine: Path, looked_at: bool
) -> None:
    kept = task(tmp_path / "kept")
    keep(kept, JOB, mine, MADE)
    own = mine if looked_at else next((tmp_path / "kept").glob("*.pickle"))
    for step in (7, 8):
        keep(kept, JOB, own, {**MADE, "step": step})
    other = tmp_path / "other" / "checkpoint.pickle"
    assert restore_into(kept, JOB, other) == {**MADE, "step": 8}
    assert Trial(checkpoint=other).restore() == Trial(checkpoint=own).restore() == {"height": 1}
    assert len(list((tmp_path / "kept").iterdir())) == 2, "the checkpoint and what is known of it"


def test_a_member_has_the_values_it_had_come_to(tmp_path: Path, mine: Path) -> None:
    kept = task(tmp_path / "kept")
    assert taken_up(kept, JOB) == (JOB, 0)
    keep(kept, JOB, mine, MADE)
    member, step = taken_up(kept, JOB)
    assert step == 6 and member.config == {"steps": 9, "rate": 0.5} and member.sampled == {"rate": 0.5}
    assert member.atom == JOB.atom
    assert taken_up(task(tmp_path / "kept", population=""), JOB) == (JOB, 0), "no population: nothing changes"


def test_nothing_is_left_of_a_run_that_has_ended(tmp_path: Path, mine: Path) -> None:
    kept = task(tmp_path / "kept")
    keep(kept, JOB, mine, MADE)
    drop(kept, JOB)
    assert made_of(kept, JOB) is None and not list((tmp_path / "kept").iterdir())
    drop(kept, JOB)


def test_a_run_that_saves_where_it_is_kept_goes_on_from_there_as_it_is(tmp_path: Path, mine: Path) -> None:
    kept = task(tmp_path / "kept")
    keep(kept, JOB, mine, MADE)
    own = next((tmp_path / "kept").glob("*.pickle"))
    assert restore_into(kept, JOB, own) is None
    assert Trial(checkpoint=own).restore() == {"height": 1}


def test_a_kill_between_checkpoint_and_what_is_known_of_it_leaves_nothing_half(
    tmp_path: Path, mine: Path
) -> None:
    kept = task(tmp_path / "kept")
    keep(kept, JOB, mine, MADE)
    next((tmp_path / "kept").glob("*.json")).unlink()
    assert restore_into(kept, JOB, tmp_path / "other") is None and taken_up(kept, JOB) == (JOB, 0)


def test_without_a_folder_or_a_checkpoint_nothing_is_kept(tmp_path: Path, mine: Path) -> None:
    keep(task(None), JOB, mine, MADE)
    assert made_of(task(None), JOB) is None
    keep(task(tmp_path / "kept"), JOB, tmp_path / "never saved", MADE)
    assert made_of(task(tmp_path / "kept"), JOB) is None
