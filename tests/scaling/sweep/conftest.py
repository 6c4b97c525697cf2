"""Sweeps made from a known law, so that a fit can be held against it."""

import numpy as np
import pandas as pd
import pytest


def _make_sweep(
    sizes=((6e7, 2e9), (6e7, 8e9), (1.2e8, 2e9), (1.2e8, 8e9), (2.5e8, 3e9), (2.5e8, 1.2e10), (5e8, 4e9)),
    runs=30, noise=0.001, seeds=1, seed=0, lr=(-8.5, -0.6, 0.3), batch=(18.0, -0.1, 0.5), drop_batch=False,
):  # fmt: skip
    """Runs around a tilted, skewed basin whose centre is ``c + a log2(N/2e8) + b log2(D/5e9)``, in octaves."""
    generator = np.random.default_rng(seed)
    rows = []
    for params, tokens in sizes:
        n, d = np.log2(params / 2e8), np.log2(tokens / 5e9)
        centre = np.array([lr[0] + lr[1] * n + lr[2] * d, batch[0] + batch[1] * n + batch[2] * d])
        level = np.log(1.7 + 400 / params**0.34 + 410 / tokens**0.28)
        for _ in range(runs):
            u, v = generator.uniform(-3, 3, 2)
            v = 0.0 if drop_batch else v
            excess = 0.006 * u * u * (1 + 0.5 * np.tanh(u / 2)) + 0.004 * v * v - 0.003 * u * v
            for repeat in range(seeds):
                loss = np.exp(level + excess + noise * generator.normal())
                rows.append((params, tokens, *2.0 ** (centre + np.array([u, v])), loss, repeat))
    return pd.DataFrame(rows, columns=["params", "tokens", "lr", "batch_size", "loss", "seed"])


@pytest.fixture(scope="session")
def make_sweep():
    return _make_sweep


@pytest.fixture(scope="session")
def sweep_table():
    return _make_sweep()


@pytest.fixture(scope="session")
def sweep_law(sweep_table):
    import scaling

    return scaling.fit(sweep_table, law="lr-batch", bootstrap=200)
