"""A small sweep whose optimum is known, and a pool of runs that could be added to it."""

import numpy as np
import pandas as pd
import pytest


def _runs(sizes, per_cell, seed):
    generator = np.random.default_rng(seed)
    rows = []
    for params, tokens in sizes:
        centre = np.array(
            [
                -8.5 - 0.6 * np.log2(params / 2e8) + 0.3 * np.log2(tokens / 5e9),
                18 + 0.5 * np.log2(tokens / 5e9),
            ]
        )
        for _ in range(per_cell):
            u, v = generator.uniform(-2.5, 2.5, 2)
            excess = 0.006 * u * u * (1 + 0.5 * np.tanh(u / 2)) + 0.004 * v * v - 0.003 * u * v
            loss = (2 + 400 / params**0.34 + 410 / tokens**0.28) * np.exp(excess + 0.001 * generator.normal())
            rows.append((params, tokens, *2.0 ** (centre + np.array([u, v])), loss))
    return pd.DataFrame(rows, columns=["params", "tokens", "lr", "batch_size", "loss"])


@pytest.fixture(scope="session")
def runs():
    return _runs([(6e7, 2e9), (6e7, 8e9), (1.2e8, 2e9), (1.2e8, 4e9)], 12, 0)


@pytest.fixture(scope="session")
def pool():
    sizes = [(6e7, 2e9), (6e7, 8e9), (1.2e8, 4e9), (2.5e8, 2e9), (2.5e8, 8e9), (5e8, 4e9)]
    return _runs(sizes, 20, 1)
