"""The toy study's objective, and a database for it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hpo.storage import open_storage
from tests.hpo.study_kit import Objective


@pytest.fixture
def objective() -> Objective:
    return Objective()


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables, which take longer to make than most of these studies to run."""
    path = tmp_path_factory.mktemp("empty") / "record.db"
    open_storage(path).engine.dispose()  # type: ignore[attr-defined]
    return path


@pytest.fixture
def storage(tmp_path: Path, empty: Path) -> str:
    for file in empty.parent.iterdir():
        shutil.copy(file, tmp_path / file.name)
    return f"sqlite:///{tmp_path / 'record.db'}"
