"""A ladder of language models planned by `scaling plan` against a grid, at equal compute, judged at a larger size.

Both may spend the same FLOP (6ND) and make as many runs, on the same line of sizes and in the same space. Each fits the
same law to its runs and predicts learning rate and batch size of a larger model, which is then trained at both
predictions on fresh seeds. Runs are recorded in benchmarks/cache, so that an interrupted measurement goes on.
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
SIZES = (6144, 13824, 24576, 41472, 82944)
GRID_SIZES = (6144, 24576, 82944)
LRS = tuple(float(f"{lr:.3g}") for lr in np.geomspace(5e-3, 1.6e-1, 11))
BATCHES = (128, 192, 256, 384, 512, 768, 1024)
GRID_LRS = LRS[2], LRS[4], LRS[6], LRS[8]
GRID_BATCHES = (192, 384, 768)
TARGET = {"params": 196608, "tokens": 524288}
TUNING_SEED, FRESH_SEEDS = 0, (300, 301)
#: Runs of the plan before anything is known, and of each batch after that.
FIRST, BATCH = 10, 9


@dataclass(frozen=True)
class Way:
    """One way of choosing the small runs, and what came of it."""

    name: str
    runs: int
    failed: int
    flops: float
    core_seconds: float
    lr: float
    lr_interval: tuple[float, float]
    batch_size: float
    batch_interval: tuple[float, float]
    losses: tuple[float, ...]


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


def trained(frame: pd.DataFrame, seeds: Sequence[int], name: str, storage: Path, engine: str) -> pd.DataFrame:
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
    return hpo.evaluate(OBJECTIVE, configs, list(seeds), name=name, storage=storage, engine=engine)


def planned(budget: float, count: int, storage: Path, engine: str) -> pd.DataFrame:
    """A first design of cheap runs, then batches by ``scaling.plan`` until the budget or the count is spent."""
    table = grid(SIZES, LRS, BATCHES)
    first = initial_design(table, FIRST, budget_flops=budget / 8, cells=3, seed=0)
    chosen, open_ = table.iloc[first], table.drop(index=table.index[first])
    runs = trained(chosen, [TUNING_SEED], "ladder-planned", storage, engine)
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
        runs = trained(chosen, [TUNING_SEED], "ladder-planned", storage, engine)
    return runs


def judge(name: str, runs: pd.DataFrame, storage: Path, engine: str) -> Way:
    """Fit, predict, and train the larger model there."""
    law = scaling.fit(runs, law="lr-batch", seed=0)
    predictions = law.answer(TARGET)["predictions"]
    lr, batch = predictions["lr"], predictions["batch_size"]
    point = {**TARGET, "lr": float(f"{lr['value']:.4g}"), "batch_size": max(64, round(batch["value"]))}
    there = trained(pd.DataFrame([point]), FRESH_SEEDS, "ladder-target", storage, engine)
    losses = there.loc[there["status"] == "complete", "loss"]
    return Way(
        name,
        len(runs),
        int((runs["status"] != "complete").sum()),
        flops(runs),
        float(runs["cpu_seconds"].sum()),
        lr["value"],
        (lr["low"], lr["high"]),
        batch["value"],
        (batch["low"], batch["high"]),
        tuple(float(loss) for loss in losses),
    )


def write(ways: Sequence[Way], folder: Path) -> str:
    """``ladder.json`` and ``ladder.md``; returns the table."""
    lines = [
        "| small runs chosen by | runs | failed | FLOP (6ND) | core-seconds | predicted lr [90 %] "
        "| predicted batch [90 %] | loss there, each seed | mean |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for way in ways:
        each = ", ".join(f"{loss:.4f}" for loss in way.losses)
        lines.append(
            f"| {way.name} | {way.runs} | {way.failed} | {way.flops:.3g} | {way.core_seconds:.0f} "
            f"| {way.lr:.4f} [{way.lr_interval[0]:.4f}, {way.lr_interval[1]:.4f}] "
            f"| {way.batch_size:.0f} [{way.batch_interval[0]:.0f}, {way.batch_interval[1]:.0f}] "
            f"| {each} | {np.mean(way.losses):.4f} |"
        )
    size = f"{TARGET['params']:,} parameters, {TARGET['tokens']:,} tokens"
    note = (
        f"Larger model: {size}; held-out loss in nats a byte on fresh seeds {list(FRESH_SEEDS)}. One ladder each: the "
        "difference is one draw, and seeds differ by about half a per cent. Made by `python -m benchmarks.ladder`."
    )
    text = "\n".join([*lines, "", note, ""])
    folder.mkdir(exist_ok=True)
    (folder / "ladder.md").write_text(text)
    stored = {"target": TARGET, "seeds": FRESH_SEEDS, "ways": [asdict(way) for way in ways]}
    (folder / "ladder.json").write_text(json.dumps(clean(stored), indent=2) + "\n")
    return text


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure both ways."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="two sizes and few runs; writes no result")
    parser.add_argument("--engine", default="ray", choices=("ray", "inline"))
    options: Any = parser.parse_args(arguments)
    storage = FOLDER / "cache" / ("ladder-quick.db" if options.quick else "ladder.db")
    storage.parent.mkdir(exist_ok=True)
    if options.quick:
        table = grid(GRID_SIZES[:2], GRID_LRS[1:3], GRID_BATCHES[:2])
    else:
        table = grid(GRID_SIZES, GRID_LRS, GRID_BATCHES)
    by_grid = trained(table, [TUNING_SEED], "ladder-grid", storage, options.engine)
    if options.quick:
        print(by_grid[["params", "lr", "batch_size", "loss", "cpu_seconds"]].to_string())
        return
    by_plan = planned(flops(table), len(table), storage, options.engine)
    ways = [
        judge(name, runs, storage, options.engine)
        for name, runs in (("a grid", by_grid), ("scaling plan", by_plan))
    ]
    print(write(ways, FOLDER / "results"))


if __name__ == "__main__":
    main()
