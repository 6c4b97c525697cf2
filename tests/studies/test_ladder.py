"""The ladder benchmark's arithmetic, on a landscape whose optimum is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import ladder


def test_sizes_lie_on_one_line_and_tokens_are_whole_sequences() -> None:
    assert [ladder.tokens_of(size) for size in (6144, 24576, 82944)] == [131072, 228224, 371200]
    assert ladder.tokens_of(ladder.TARGET["params"]) == ladder.TARGET["tokens"]


@pytest.mark.slow
def test_the_plan_spends_no_more_than_the_grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder, "OBJECTIVE", "tests.studies.basin:train")
    table = ladder.grid(ladder.GRID_SIZES, ladder.GRID_LRS, ladder.GRID_BATCHES)
    runs = ladder.planned(ladder.flops(table), len(table), tmp_path / "ladder.db", "inline")
    assert len(runs) <= len(table)
    assert ladder.flops(runs) <= ladder.flops(table)
    assert not runs.duplicated(["params", "lr", "batch_size"]).any()
    way = ladder.judge("plan", runs.assign(cpu_seconds=0.0), tmp_path / "ladder.db", "inline")
    assert len(way.losses) == 2 and way.lr_interval[0] < way.lr < way.lr_interval[1]
    assert "| plan |" in ladder.write([way], tmp_path / "results")
