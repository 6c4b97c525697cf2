"""What results are traced to."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from hpo.provenance import describe, who


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_the_commit_and_whether_the_tree_differs_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert describe()["git"] is None
    git(tmp_path, "init", "-q")
    (tmp_path / "train.py").write_text("1")
    git(tmp_path, "add", "train.py")
    git(tmp_path, "commit", "-qm", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert describe()["git"] == {"commit": commit, "changed": False}
    (tmp_path / "train.py").write_text("2")
    assert describe()["git"] == {"commit": commit, "changed": True}


def test_it_can_be_stored_and_names_the_machine() -> None:
    found = describe()
    assert json.loads(json.dumps(found)) == found
    assert found["cores"] >= 1 and found["packages"]["numpy"] and found["host"]
    assert set(who()) == {"when", "who", "host"}
