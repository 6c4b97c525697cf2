"""The runs table: what is read, what is refused, and in which words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling.errors import InputError
from scaling.runs import load_runs, parse_columns

TABLE = {
    "params": [1e6, 2e6],
    "tokens": [2e7, 4e7],
    "lr": [1e-3, 2e-3],
    "batch_size": [512, 1024],
    "loss": [3.1, 2.9],
}


def test_reads_csv_parquet_and_frames_alike(tmp_path: Path) -> None:
    frame = pd.DataFrame(TABLE)
    frame.to_csv(tmp_path / "runs.csv", index=False)
    frame.to_parquet(tmp_path / "runs.parquet")
    for source in (tmp_path / "runs.csv", tmp_path / "runs.parquet", frame, TABLE):
        runs = load_runs(source, require=("params", "loss"))
        assert len(runs) == 2
        np.testing.assert_allclose(runs.values("lr"), TABLE["lr"])


def test_flops_fall_back_to_6nd_without_integer_overflow() -> None:
    runs = load_runs({"params": [700_000_000_000], "tokens": [15_000_000_000_000], "loss": [1.9]})
    assert runs.values("flops")[0] == pytest.approx(6 * 7e11 * 1.5e13)


def test_columns_are_mapped_and_two_may_come_from_one() -> None:
    runs = load_runs(
        {"N": [1e6], "L": [3.0]}, columns="params=N,tokens=N,loss=L", require=("params", "tokens", "loss")
    )
    assert runs.values("tokens")[0] == 1e6


def test_rows_that_are_not_complete_are_set_aside_whatever_they_hold() -> None:
    table = {**TABLE, "loss": [3.1, float("nan")], "status": ["complete", "diverged"]}
    runs = load_runs(table)
    assert (len(runs), runs.set_aside) == (1, 1)


def test_the_hash_changes_with_the_data_and_only_with_it() -> None:
    one, same = load_runs(TABLE), load_runs(pd.DataFrame(TABLE))
    assert one.sha256 == same.sha256
    assert one.sha256 != load_runs({**TABLE, "loss": [3.1, 2.8]}).sha256


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf"), "fast"])
def test_a_value_that_cannot_be_is_named_with_row_column_and_remedy(value: object) -> None:
    with pytest.raises(InputError) as caught:
        load_runs({**TABLE, "loss": [3.1, value]})
    assert "row 2" in str(caught.value)
    assert caught.value.key == "loss"
    assert "status" in (caught.value.remedy or "")


def test_an_optional_column_may_be_blank_but_not_wrong() -> None:
    assert len(load_runs({**TABLE, "steps": [100, None]})) == 2
    with pytest.raises(InputError, match="steps"):
        load_runs({**TABLE, "steps": [100, -5]})


@pytest.mark.parametrize(
    ("source", "match"),
    [
        ("no/such/file.csv", "cannot be read"),
        ({"loss": []}, "no finished runs"),
        ({"params": [1.0]}, "no column 'loss'"),
    ],
)
def test_what_is_not_there_is_said(source: object, match: str) -> None:
    with pytest.raises(InputError, match=match):
        load_runs(source)  # type: ignore[arg-type]


def test_a_file_that_is_no_table_is_named(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_bytes(b"")
    with pytest.raises(InputError) as caught:
        load_runs(path)
    assert caught.value.source == str(path)


def test_a_mapping_to_a_missing_column_lists_what_there_is() -> None:
    with pytest.raises(InputError, match="'loss'"):
        load_runs(TABLE, columns={"params": "N"})


@pytest.mark.parametrize("text", ["params", "params=", "=N", "params:N"])
def test_a_mapping_that_cannot_be_read_shows_how_to_write_it(text: str) -> None:
    with pytest.raises(InputError, match="OURS=THEIRS"):
        parse_columns(text)


NAMES = st.text("abcdefgh_", min_size=1, max_size=8)


@given(st.dictionaries(NAMES, NAMES, max_size=5))
def test_any_mapping_written_out_is_read_back(mapping: dict[str, str]) -> None:
    assert parse_columns(" , ".join(f"{ours} = {theirs}" for ours, theirs in mapping.items())) == mapping
