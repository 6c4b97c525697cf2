"""Step Law's released small sweep as the learning-rate and batch-size measurement reads it."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.sweep_surface import Surface, surface
from scaling.datasets import data_path
from scaling.runs import load_runs

__all__ = ["CACHE", "CHEAP", "SWEEP_FLOPS", "TEST", "Data", "interval", "summary"]

Array = NDArray[np.float64]

FILE = "steplaw_lr_batch_small.csv"
CACHE = Path(__file__).parent / "cache" / "lr_batch"
#: Compute of the cells that are fitted, at most, and of those that are tested on, at least (6ND, FLOP).
CHEAP, TEST = 6.5e18, 3e19
SWEEP_FLOPS = 2.43e23


class Data:
    """The sweep, its cells in order of compute, and the surface of each."""

    def __init__(self) -> None:
        self.frame = load_runs(
            data_path(FILE), columns={"batch_size": "batch_size_tokens"}, require=("lr", "batch_size")
        ).frame
        self.frame["flops"] = 6.0 * self.frame["params"] * self.frame["tokens"]
        self.frame["cell"] = self.frame.groupby(["flops", "params", "tokens"], sort=True).ngroup()
        self.cells = self.frame.groupby("cell").first()
        self.surfaces: dict[int, Surface] = {}
        self.slices: dict[int, Surface] = {}
        kept = CACHE / "surfaces.pickle"
        if kept.is_file():
            self.surfaces, self.slices = pickle.loads(kept.read_bytes())
        for cell, rows in self.frame.groupby("cell"):
            if int(cell) in self.slices:
                continue
            columns = [rows[name].to_numpy() for name in ("lr", "batch_size", "loss")]
            self.surfaces[int(cell)] = surface(*columns)
            best = rows.groupby(rows["batch_size"].round())["loss"].transform("min").to_numpy()
            near = (columns[2] <= 1.02 * best) & (columns[2] <= 1.06 * columns[2].min())
            self.slices[int(cell)] = surface(*columns, keep=near)
        kept.write_bytes(pickle.dumps((self.surfaces, self.slices)))
        flops = self.cells["flops"]
        self.cheap = [int(cell) for cell in self.cells.index[flops <= CHEAP]]
        self.test = [int(cell) for cell in self.cells.index[flops >= TEST]]

    def rows(self, cells: list[int]) -> Any:
        """Runs of some cells."""
        return self.frame[self.frame["cell"].isin(cells)].reset_index(drop=True)

    def size(self, cell: int) -> dict[str, float]:
        """Inputs of a cell."""
        return {name: float(self.cells.loc[cell, name]) for name in ("params", "tokens")}

    def gap_errors(self, law: Any, cells: list[int]) -> Array:
        """Standard deviation of each gap by its surface, per cent. Shape ``(cells,)``."""
        return 100.0 * np.array([self.surfaces[cell].gap_error(self.said(law, cell)) for cell in cells])

    def alike(self, cells: list[int]) -> dict[int, Surface]:
        """Surfaces of some cells with the same ranges for all: the geometric mean over all cells."""
        ranges = np.exp(np.mean([np.log(one.ranges) for one in self.surfaces.values()], axis=0))
        found = {}
        for cell in cells:
            rows = self.rows([cell])
            found[cell] = surface(
                *(rows[name].to_numpy() for name in ("lr", "batch_size", "loss")), ranges=ranges
            )
        return found

    def said(self, law: Any, cell: int) -> Array:
        """log2 of the setting that a law gives a cell. Shape ``(2,)``."""
        predictions = law.answer(self.size(cell))["predictions"]
        return np.log2([predictions["lr"]["value"], predictions["batch_size"]["value"]])

    def gaps(self, law: Any, cells: list[int]) -> Array:
        """Gap and nearest-grid gap, per cent. Shape ``(cells, 2)``."""
        found = []
        for cell in cells:
            at = self.said(law, cell)
            found.append((self.surfaces[cell].gap(at), self.surfaces[cell].grid_gap(at)))
        return 100.0 * np.array(found)


def interval(values: Array) -> list[float]:
    return [float(np.quantile(values, tail)) for tail in (0.05, 0.95)]


def summary(gaps: Array) -> dict[str, Any]:
    return {"mean": float(gaps[:, 0].mean()), "max": float(gaps[:, 0].max()), "grid_mean": float(gaps[:, 1].mean()),
            "cells": gaps[:, 0].round(4).tolist()}  # fmt: skip
