"""A ladder of language models planned by `scaling plan` against a grid and random runs, judged at a larger size.

All may spend the same FLOP (6ND) and make as many runs, on the same line of sizes and in the same space. Each fits the
same law to its runs and predicts learning rate and batch size of a larger model, which is then trained there on fresh
seeds; beside them the best setting of the grid's largest size, carried over as it is. The whole comparison is repeated
with other seeds. Runs are recorded in benchmarks/cache, so that an interrupted measurement goes on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import hpo
import scaling
from scaling.planning.candidates import initial_design
from scaling.terminal import clean

FOLDER = Path(__file__).parent
OBJECTIVE = "studies.language_model:train"
SIZES = (6144, 13824, 24576, 41472)
GRID_SIZES = (6144, 13824, 41472)
LRS = tuple(float(f"{lr:.3g}") for lr in np.geomspace(5e-3, 1.6e-1, 11))
BATCHES = (128, 192, 256, 384, 512, 768, 1024)
GRID_LRS = LRS[2], LRS[4], LRS[6], LRS[8]
GRID_BATCHES = (192, 384, 768)
TARGET = {"params": 196608, "tokens": 524288}
#: Comparisons, and fresh seeds of the larger model in each.
REPEATS, FRESH = 3, 4
#: Runs of the plan before anything is known, and of each batch after that.
FIRST, BATCH = 10, 9
GRID, PLAN, RANDOM, CARRIED = (
    "a grid",
    "scaling plan",
    "at random",
    "a grid; the largest size's best carried over",
)


@dataclass(frozen=True)
class Way:
    """One way of choosing the small runs in one repeat, and what came of it; no interval without a law."""

    name: str
    repeat: int
    runs: int
    failed: int
    flops: float
    core_seconds: float
    lr: float
    lr_interval: tuple[float, float] | None
    batch_size: float
    batch_interval: tuple[float, float] | None
    losses: tuple[float, ...]


@dataclass(frozen=True)
class Recorder:
    """Where runs are recorded and how they are made."""

    storage: Path
    engine: str

    def train(self, frame: pd.DataFrame, seeds: Sequence[int], name: str) -> pd.DataFrame:
        """The rows' runs, made where they are not recorded."""
        configs = [
            {
                "params": int(row.params),
                "tokens": int(row.tokens),
                "lr": float(row.lr),
                "batch_size": int(row.batch_size),
                "device": "cpu",
            }
            for row in frame.itertuples()
        ]
        return hpo.evaluate(
            OBJECTIVE, configs, list(seeds), name=name, storage=self.storage, engine=self.engine
        )


def tokens_of(params: float) -> int:
    """The line of sizes: tokens grow as N^0.4. Whole sequences of 64."""
    return 64 * round(131072 * (params / 6144) ** 0.4 / 64)


def grid(sizes: Sequence[int], lrs: Sequence[float], batches: Sequence[int]) -> pd.DataFrame:
    """Every combination, as rows of ``params``, ``tokens``, ``lr``, ``batch_size``."""
    rows = [(n, tokens_of(n), lr, batch) for n in sizes for lr in lrs for batch in batches]
    return pd.DataFrame(rows, columns=["params", "tokens", "lr", "batch_size"])


def flops(frame: pd.DataFrame) -> float:
    """6ND of all rows."""
    return float((6.0 * frame["params"] * frame["tokens"]).sum())


def planned(budget: float, count: int, repeat: int, recorder: Recorder) -> pd.DataFrame:
    """A first design of cheap runs, then batches by ``scaling.plan`` until the budget or the count is spent."""
    name = f"ladder-planned-{repeat}"
    table = grid(SIZES, LRS, BATCHES)
    first = initial_design(table, FIRST, budget_flops=budget / 8, cells=3, seed=repeat)
    chosen, open_ = table.iloc[first], table.drop(index=table.index[first])
    runs = recorder.train(chosen, [repeat], name)
    while len(chosen) < count:
        left = budget - flops(chosen)
        cheapest = 6.0 * float((open_["params"] * open_["tokens"]).min())
        if left < cheapest:
            break
        # The last batches share what is left; the first ones may not spend it all.
        rounds = int(np.ceil((count - len(chosen)) / BATCH))
        plan = scaling.plan(
            runs,
            target_params=TARGET["params"],
            target_tokens=TARGET["tokens"],
            budget_flops=max(left / rounds, cheapest),
            batch=min(BATCH, count - len(chosen)),
            candidates=open_.reset_index(drop=True),
        )
        print(plan.message)
        more = open_.iloc[plan.rows]
        chosen, open_ = pd.concat([chosen, more]), open_.drop(index=more.index)
        runs = recorder.train(chosen, [repeat], name)
    return runs


def at_random(budget: float, count: int, repeat: int, recorder: Recorder) -> pd.DataFrame:
    """Runs drawn from what the plan may choose from, until the budget or the count is spent."""
    table = grid(SIZES, LRS, BATCHES)
    order = np.random.default_rng(repeat).permutation(len(table))
    chosen: list[int] = []
    for row in order:
        if len(chosen) < count and flops(table.iloc[[*chosen, row]]) <= budget:
            chosen.append(int(row))
    return recorder.train(table.iloc[chosen], [repeat], f"ladder-random-{repeat}")


def judge(name: str, runs: pd.DataFrame, repeat: int, recorder: Recorder) -> Way:
    """Fit, predict (or carry the best of the largest size over), and train the larger model there."""
    if name == CARRIED:
        done = runs[(runs["status"] == "complete") & (runs["params"] == runs["params"].max())]
        best = done.loc[done["loss"].idxmin()]
        found = {"lr": {"value": float(best["lr"])}, "batch_size": {"value": float(best["batch_size"])}}
    else:
        found = scaling.fit(runs, law="lr-batch", seed=0).answer(TARGET)["predictions"]
    lr, batch = found["lr"], found["batch_size"]
    point = {**TARGET, "lr": float(f"{lr['value']:.4g}"), "batch_size": max(64, round(batch["value"]))}
    seeds = [300 + 10 * repeat + index for index in range(FRESH)]
    there = recorder.train(pd.DataFrame([point]), seeds, "ladder-target")
    return Way(
        name,
        repeat,
        len(runs),
        int((runs["status"] != "complete").sum()),
        flops(runs),
        float(runs["cpu_seconds"].sum()),
        lr["value"],
        (lr["low"], lr["high"]) if "low" in lr else None,
        batch["value"],
        (batch["low"], batch["high"]) if "low" in batch else None,
        tuple(float(row.loss) if row.status == "complete" else float("inf") for row in there.itertuples()),
    )


def difference(ways: Sequence[Way], name: str, level: float = 0.9) -> tuple[float, float, float] | None:
    """Mean loss of a way less the grid's, relative, paired by seed, with an interval by Student's t.

    Over repeats, each with its own small runs; with one repeat over the larger model's seeds, which says nothing of
    other ladders. ``None`` where a run diverged.
    """
    from scipy.special import stdtrit

    by = {(way.name, way.repeat): np.array(way.losses) for way in ways}
    pairs = [by[name, way.repeat] / by[GRID, way.repeat] - 1.0 for way in ways if way.name == name]
    each = pairs[0] if len(pairs) == 1 else np.array([float(pair.mean()) for pair in pairs])
    if len(each) < 2 or not np.isfinite(each).all():
        return None
    reach = float(stdtrit(len(each) - 1, 0.5 + level / 2) * each.std(ddof=1) / np.sqrt(len(each)))
    return float(each.mean()), float(each.mean()) - reach, float(each.mean()) + reach


def write(ways: Sequence[Way], folder: Path) -> str:
    """``ladder.json`` and ``ladder.md``; returns the tables."""
    names = list(dict.fromkeys(way.name for way in ways))
    repeats = len({way.repeat for way in ways})
    lines = [
        "| small runs chosen by | loss of the larger model, mean | less that of the grid [90 %] |",
        "| --- | --- | --- |",
    ]
    for name in names:
        losses = [loss for way in ways if way.name == name for loss in way.losses]
        apart = None if name == GRID else difference(ways, name)
        text = "" if apart is None else f"{apart[0]:+.2%} [{apart[1]:+.2%}, {apart[2]:+.2%}]"
        lines.append(f"| {name} | {np.mean(losses):.4f} ({len(losses)} runs) | {text} |")
    lines += [
        "",
        "| repeat | small runs chosen by | runs | failed | FLOP (6ND) | core-seconds | predicted lr [90 %] "
        "| predicted batch [90 %] | loss there, each seed | mean |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for way in sorted(ways, key=lambda way: way.repeat):
        each = ", ".join(f"{loss:.4f}" for loss in way.losses)
        lr = "" if way.lr_interval is None else f" [{way.lr_interval[0]:.4f}, {way.lr_interval[1]:.4f}]"
        batch = (
            ""
            if way.batch_interval is None
            else f" [{way.batch_interval[0]:.0f}, {way.batch_interval[1]:.0f}]"
        )
        lines.append(
            f"| {way.repeat} | {way.name} | {way.runs} | {way.failed} | {way.flops:.3g} | {way.core_seconds:.0f} "
            f"| {way.lr:.4f}{lr} | {way.batch_size:.0f}{batch} | {each} | {np.mean(way.losses):.4f} |"
        )
    size = f"{TARGET['params']:,} parameters, {TARGET['tokens']:,} tokens"
    over = "the seeds of the larger model: other ladders may differ" if repeats == 1 else "repeats"
    seeds = len(ways[0].losses)
    note = (
        f"Larger model: {size}; held-out loss in nats a byte. Repeats: {repeats}, each with its own seed of the small "
        f"runs and {seeds} fresh seeds of the larger model, the same for all ways of a repeat; 90 % intervals over "
        f"{over} (Student's t). Made by `python -m benchmarks.ladder`."
    )
    text = "\n".join([*lines, "", note, ""])
    folder.mkdir(exist_ok=True)
    (folder / "ladder.md").write_text(text)
    differences = {name: difference(ways, name) for name in names if name != GRID}
    stored = {"target": TARGET, "ways": [asdict(way) for way in ways], "less_the_grid": differences}
    (folder / "ladder.json").write_text(json.dumps(clean(stored), indent=2) + "\n")
    return text


def compare(repeat: int, recorder: Recorder) -> list[Way]:
    """One repeat of the whole comparison."""
    table = grid(GRID_SIZES, GRID_LRS, GRID_BATCHES)
    by_grid = recorder.train(table, [repeat], f"ladder-grid-{repeat}")
    budget, count = flops(table), len(table)
    ways = {
        GRID: by_grid,
        PLAN: planned(budget, count, repeat, recorder),
        RANDOM: at_random(budget, count, repeat, recorder),
        CARRIED: by_grid,
    }
    return [judge(name, runs, repeat, recorder) for name, runs in ways.items()]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure all ways; results are written after each repeat."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="two sizes and few runs; writes no result")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="comparisons; those on record are kept")
    parser.add_argument("--engine", default="ray", choices=("ray", "inline"))
    options: Any = parser.parse_args(arguments)
    storage = FOLDER / "cache" / ("ladder-quick.db" if options.quick else "ladder.db")
    storage.parent.mkdir(exist_ok=True)
    recorder = Recorder(storage, options.engine)
    if options.quick:
        by_grid = recorder.train(grid(GRID_SIZES[:2], GRID_LRS[1:3], GRID_BATCHES[:2]), [0], "ladder-grid")
        print(by_grid[["params", "lr", "batch_size", "loss", "cpu_seconds"]].to_string())
        return
    ways: list[Way] = []
    for repeat in range(options.repeats):
        ways += compare(repeat, recorder)
        print(write(ways, FOLDER / "results"), flush=True)


if __name__ == "__main__":
    main()
