"""A toy study, its objective, and how it is run in this process."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import hpo

STUDY: dict[str, Any] = {
    "name": "toy",
    "metric": "loss",
    "space": {
        "x": {"type": "float", "low": 0.0, "high": 1.0},
        "n": {"type": "int", "low": 1, "high": 64, "log": True},
    },
    "seeds": {"tuning": [0, 1, 2], "testing": [100, 101]},
    "sampler": {"name": "random", "seed": 0},
    "budget": {"trials": 4},
    "engine": "inline",
    "baseline": {"x": 0.9, "n": 8},
}


class Objective:
    """Remembers what it was called with; may be told to end in some way."""

    def __init__(self) -> None:
        self.calls: list[tuple[dict[str, Any], int]] = []
        self.after = math.inf

    def __call__(self, config: dict[str, Any], *, seed: int, trial: hpo.Trial) -> dict[str, float]:
        if len(self.calls) >= self.after:
            raise KeyboardInterrupt
        self.calls.append((dict(config), seed))
        assert trial.seed == seed
        noise = float(np.random.default_rng([seed, int(1e6 * config["x"])]).normal(0, 0.01))
        return {"loss": (config["x"] - 0.3) ** 2 + noise, "tokens": 10.0}


def run(objective: Any, storage: Any, **changes: Any) -> hpo.Study:
    test = changes.pop("test", True)
    return hpo.run({**STUDY, "objective": objective, **changes}, storage=storage, progress=False, test=test)


def table(study: hpo.Study, *columns: str) -> list[tuple[Any, ...]]:
    return list(study.runs[list(columns)].itertuples(index=False, name=None))
