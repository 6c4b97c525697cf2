"""Do the intervals of comparisons hold what they claim? Coverage of the interquartile mean's 95 % interval, simulated.

Runs are drawn from distributions that returns of training runs look like; an interval covers if it holds the
interquartile mean of the distribution itself, which is taken from ten million draws. Plain percentile intervals of the
same bootstrap draws stand beside ours, which widens their levels (:mod:`hpo.statistics.bootstrap`).

    python -m benchmarks.comparison_coverage            # about a minute
    python -m benchmarks.comparison_coverage --quick
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hpo.statistics import interquartile_mean
from hpo.statistics.bootstrap import from_replicates

RESULTS = Path(__file__).parent / "results"
LEVEL, REPLICATES = 0.95, 2000
RUNS = (5, 10, 20)
Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Floats]


def _collapsing(rng: np.random.Generator, size: int) -> Floats:
    """Two runs in three learn; one stays where it began."""
    return np.where(rng.uniform(size=size) < 1 / 3, rng.normal(10, 5, size), rng.normal(100, 10, size))


DISTRIBUTIONS: dict[str, Draw] = {
    "normal": lambda rng, size: rng.normal(size=size),
    "log-normal": lambda rng, size: rng.lognormal(size=size),
    "one run in three collapses": _collapsing,
    "capped at the best return": lambda rng, size: np.minimum(rng.normal(450, 100, size), 500.0),
}


def coverage(draw: Draw, runs: int, simulations: int, seed: int) -> tuple[float, float]:
    """Share of simulations whose interval held the truth: plain percentile interval, and ours."""
    rng = np.random.default_rng(seed)
    truth = float(interquartile_mean(draw(rng, 10_000_000)))
    plain = ours = 0
    for _ in range(simulations):
        sample = draw(rng, runs)
        drawn = interquartile_mean(sample[rng.integers(0, runs, size=(REPLICATES, runs))])
        low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="inverted_cdf")
        plain += int(low <= truth <= high)
        ours += int(
            not from_replicates(float(interquartile_mean(sample)), drawn, runs, LEVEL).excludes(truth)
        )
    return plain / simulations, ours / simulations


def markdown(found: dict[str, dict[str, list[float]]], simulations: int) -> str:
    """The table: plain → ours."""
    error = math.sqrt(LEVEL * (1 - LEVEL) / simulations)
    lines = [
        "# Coverage of a comparison's intervals",
        "",
        f"Share of {simulations:,} simulations in which the 95 % interval of the interquartile mean held the true "
        f"one: plain percentile interval → ours. Simulation error {error:.3f} at .95.",
        "",
        f"| runs | {' | '.join(found)} |",
        f"| ---: |{' ---: |' * len(found)}",
    ]
    for runs in RUNS:
        cells = [
            " → ".join(f"{share:.3f}"[1:] if share < 1 else "1" for share in told[str(runs)])
            for told in found.values()
        ]
        lines.append(f"| {runs} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Simulate, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the simulations")
    simulations = 100 if parser.parse_args().quick else 1000
    found = {
        name: {str(runs): list(coverage(draw, runs, simulations, runs)) for runs in RUNS}
        for name, draw in DISTRIBUTIONS.items()
    }
    table = markdown(found, simulations)
    if simulations == 1000:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "comparison_coverage.md").write_text(table)
        (RESULTS / "comparison_coverage.json").write_text(
            json.dumps({"simulations": simulations, "replicates": REPLICATES, "coverage": found}, indent=1)
            + "\n"
        )
    print(table)


if __name__ == "__main__":
    main()
