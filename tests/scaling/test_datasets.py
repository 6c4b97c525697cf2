"""Public data: found here, checked, mapped; never fetched by a test."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from scaling import datasets
from scaling.datasets import DATASETS, available, load
from scaling.errors import ForetuneError, InputError
from scaling.runs import load_runs
from tests.scaling.public import public_file


def here(name: str) -> Path:
    return public_file(DATASETS[name].file)


@pytest.mark.data
@pytest.mark.parametrize("name", DATASETS)
def test_the_local_copy_is_the_one_that_was_checked(name: str) -> None:
    assert hashlib.sha256(here(name).read_bytes()).hexdigest() == DATASETS[name].sha256


@pytest.mark.data
@pytest.mark.parametrize("name", DATASETS)
def test_loads_with_our_columns(name: str) -> None:
    here(name)
    frame = load(name, download=False)
    assert set(DATASETS[name].columns) <= set(frame.columns)
    assert len(frame) > 10
    if {"params", "tokens"} <= set(frame.columns):
        table = load_runs(frame, require=("params", "tokens"))
        assert np.isfinite(table.values("flops")).all()
        assert (table.values("flops") > 1e13).all()


@pytest.mark.parametrize("entry", available(), ids=lambda entry: entry.name)
def test_every_set_says_whose_it_is(entry: datasets.Dataset) -> None:
    assert entry.licence
    assert entry.home.startswith("https://")
    assert "arXiv" in entry.citation
    assert len(entry.sha256) == 64


def test_unknown_and_absent_sets_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="no data set 'nothing'"):
        load("nothing")

    def absent(name: str) -> Path:
        raise InputError("no such data file", source=name)

    monkeypatch.setattr(datasets, "data_path", absent)
    with pytest.raises(InputError, match="no copy of datablations_repeats"):
        load("repeated-data")
    with pytest.raises(InputError, match="no copy"):
        load("chinchilla", download=False)


def test_a_download_that_is_another_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import pooch

    def other(*arguments: object, **options: object) -> str:
        raise ValueError("hash does not match")

    monkeypatch.setattr(pooch, "retrieve", other)
    with pytest.raises(ForetuneError, match="is not the file that was checked"):
        datasets._download(DATASETS["chinchilla"])
