"""The ladder benchmark's arithmetic, on a landscape whose optimum is known."""

from __future__ import annotations

from dataclasses import replace
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
    recorder = ladder.Recorder(tmp_path / "ladder.db", "inline")
    ways = []
    for name, choose in ((ladder.PLAN, ladder.planned), (ladder.RANDOM, ladder.at_random)):
        runs = choose(ladder.flops(table), len(table), 0, recorder).assign(cpu_seconds=0.0)
        assert len(runs) <= len(table)
        assert ladder.flops(runs) <= ladder.flops(table)
        assert not runs.duplicated(["params", "lr", "batch_size"]).any()
        ways.append(ladder.judge(name, runs, 0, recorder))
    ways.append(ladder.judge(ladder.CARRIED, runs, 0, recorder))
    way = ways[0]
    assert len(way.losses) == ladder.FRESH
    assert way.lr_interval is not None and way.lr_interval[0] < way.lr < way.lr_interval[1]
    assert ways[-1].lr_interval is None and ways[-1].lr in set(runs["lr"])
    text = ladder.write([replace(way, name=ladder.GRID), *ways], tmp_path / "results")
    assert f"| {ladder.PLAN} |" in text and "+0.00%" in text


def way(name: str, repeat: int, *losses: float) -> ladder.Way:
    return ladder.Way(name, repeat, 1, 0, 1.0, 1.0, 0.01, None, 256.0, None, losses)


def test_differences_are_paired_by_seed_and_spread_over_repeats() -> None:
    one = [way(ladder.GRID, 0, 2.0, 4.0), way(ladder.PLAN, 0, 1.98, 3.96)]
    assert ladder.difference(one, ladder.PLAN) == pytest.approx((-0.01, -0.01, -0.01))
    two = [*one, way(ladder.GRID, 1, 2.0, 4.0), way(ladder.PLAN, 1, 1.94, 3.88)]
    mean, low, high = ladder.difference(two, ladder.PLAN) or (0.0, 0.0, 0.0)
    assert mean == pytest.approx(-0.02) and low < -0.03 and high > -0.01
    assert ladder.difference([*one[:1], way(ladder.PLAN, 0, 1.98, float("inf"))], ladder.PLAN) is None
