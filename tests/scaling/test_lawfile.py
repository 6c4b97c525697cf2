"""Law files: written in one step, read with their envelope checked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scaling import lawfile
from scaling.errors import InputError


def test_a_law_file_is_read_back_in_full_precision(tmp_path: Path) -> None:
    path = tmp_path / "law.json"
    lawfile.write(path, "loss", {"params": {"a": 0.1 + 0.2, "b": float("nan")}})
    stored = lawfile.read(path)
    assert stored["params"] == {"a": 0.1 + 0.2, "b": None}
    assert [entry.name for entry in tmp_path.iterdir()] == ["law.json"]


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "law.json"
    lawfile.write(path, "loss", {"params": 1})
    with pytest.raises(TypeError):
        lawfile.write(path, "loss", {"params": object()})
    assert lawfile.read(path)["params"] == 1


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("{", "not JSON"),
        ("[]", "not a law file"),
        ("{}", "not a law file"),
        (json.dumps({"foretune_law": 99, "kind": "loss"}), "format 99"),
        (json.dumps({"foretune_law": lawfile.LAW_FORMAT, "kind": "weather"}), "'weather'"),
    ],
)
def test_a_file_that_is_no_law_file_is_named(tmp_path: Path, content: str, match: str) -> None:
    path = tmp_path / "law.json"
    path.write_text(content)
    with pytest.raises(InputError, match=match) as caught:
        lawfile.load(path)
    assert caught.value.source == str(path)
    assert caught.value.remedy


def test_a_missing_file_and_a_missing_folder_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        lawfile.read(tmp_path / "law.json")
    with pytest.raises(InputError, match="mkdir -p"):
        lawfile.write(tmp_path / "none" / "law.json", "loss", {})
