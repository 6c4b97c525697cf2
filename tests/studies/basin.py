"""An objective whose optimum is known: the language model's landscape as a formula, for tests that need no training."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any

import hpo


def optimum(params: float) -> tuple[float, float]:
    """Best learning rate and batch size at a size."""
    return 0.03 * (params / 6144) ** -0.2, 200 * (params / 6144) ** 0.15


def train(config: Mapping[str, Any], *, seed: int, trial: hpo.Trial | None = None) -> dict[str, float]:
    """Loss of a run; it diverges three octaves above the best learning rate."""
    params, tokens = float(config["params"]), float(config["tokens"])
    lr, batch = optimum(params)
    u, v = math.log2(config["lr"] / lr), math.log2(config["batch_size"] / batch)
    if u > 3:
        raise hpo.Diverged("too fast")
    noise = random.Random(f"{params}/{config['lr']}/{config['batch_size']}/{seed}").gauss(0, 0.003)
    excess = 0.012 * u * u + 0.008 * v * v - 0.006 * u * v + noise
    steps = max(1.0, tokens // config["batch_size"])
    loss = (1.2 + 1.2 * (params / 6144) ** -0.12) * math.exp(excess)
    return {"loss": loss, "params": params, "tokens": tokens, "steps": steps, "flops": 6 * params * tokens}
