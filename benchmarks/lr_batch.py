"""Learning rate and batch size for larger models: the pooled model and planned runs, replayed on Step Law's sweep."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.lr_batch_checks import coverage, loss_prediction, speed
from benchmarks.lr_batch_data import CACHE, Data
from benchmarks.lr_batch_planned import planned
from benchmarks.lr_batch_table import table
from benchmarks.lr_batch_transfer import fixed_batch, form, transfer

HERE = Path(__file__).parent

PARTS: dict[str, Callable[[Data, bool], dict[str, Any]]] = {
    "transfer": transfer, "form": form, "planned": planned, "fixed_batch": fixed_batch, "coverage": coverage,
    "loss_prediction": loss_prediction, "speed": speed,
}  # fmt: skip


def main(
    quick: Annotated[bool, typer.Option("--quick", help="Few replicates; writes no result.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure again what the cache holds.")] = False,
) -> None:
    """Measure every part; parts that are in the cache are not measured again."""
    CACHE.mkdir(parents=True, exist_ok=True)
    data = Data()
    results: dict[str, Any] = {}
    for name, part in PARTS.items():
        cached = CACHE / f"{name}{'-quick' if quick else ''}.json"
        if cached.is_file() and not fresh:
            results[name] = json.loads(cached.read_text())
            continue
        start = time.perf_counter()
        results[name] = part(data, quick)
        results[name]["seconds"] = round(time.perf_counter() - start, 1)
        _write(cached, json.dumps(results[name], indent=1))
        print(f"{name}: {results[name]['seconds']} s", flush=True)
    print(table(results))
    if not quick:
        (HERE / "results").mkdir(exist_ok=True)
        _write(HERE / "results" / "lr_batch.json", json.dumps(results, indent=1) + "\n")
        _write(HERE / "results" / "lr_batch.md", table(results))


def _write(path: Path, text: str) -> None:
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(path)


if __name__ == "__main__":
    typer.run(main)
