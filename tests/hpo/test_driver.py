"""One driver a study on one machine, also where two start at once."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from hpo.driver import _locked, sole_driver
from hpo.storage import open_storage
from hpo.store import Section
from scaling.errors import ForetuneError
from tests.hpo.study_kit import Objective, run


def section(path: Path | str, study: str = "s") -> Section:
    return Section.create(open_storage(path), study, "minimize", {"study": study, "phase": "tuning"})


def test_of_two_that_start_at_once_one_is_turned_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks = tmp_path / "locks"
    locks.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(locks))
    first = section(tmp_path / "a.db")
    monkeypatch.chdir(tmp_path)
    with sole_driver(first):
        first.set_attribute("driver", None)  # as the other sees it that started at the same moment
        for second in (section("a.db"), section(f"sqlite:///{tmp_path / 'a.db'}")):
            with pytest.raises(ForetuneError, match="being run by another process"), sole_driver(second):
                raise AssertionError("two drivers")
        with sole_driver(section("a.db", "other")), sole_driver(section("b.db")):
            pass
    with sole_driver(section("a.db")):
        assert len(list(locks.iterdir())) == 1
    assert not list(locks.iterdir())


def test_testing_takes_its_turn_and_opens_nothing_before(objective: Objective, storage: str) -> None:
    study = run(objective, storage, test=False)
    turned_away = pytest.raises(ForetuneError, match="being run by another process")
    with sole_driver(study.scales[0].tuning), turned_away:
        study.test(objective=objective, progress=False)
    assert study.openings == []


def test_a_storage_of_this_process_alone_takes_no_lock() -> None:
    assert section("memory://").place is None


def test_a_lock_that_its_last_holder_removes_at_this_moment_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, lock = tmp_path / "study.lock", fcntl.flock

    def late(file: Any, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        path.unlink()
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    file = _locked(path)
    assert file is not None
    with file:
        assert os.fstat(file.fileno()).st_ino == path.stat().st_ino, "what the next driver will look at"
