"""How long fits take, beside the published procedure in the same run, and whether they end as low.

The published procedure (Hoffmann et al., arXiv 2203.15556; Besiroglu et al., arXiv 2404.10102): scipy's L-BFGS-B on the
summed Huber loss of log residuals, delta 1e-3, from 4,500 starts, then 4,000 bootstrap replicates from the best. It is
given an exact gradient here, which is kinder to it than finite differences.

    python -m benchmarks.fit_speed            # everything, about five minutes on one idle core
    python -m benchmarks.fit_speed --quick    # a sample of the reference's starts and replicates, scaled up
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize

from scaling.datasets import data_path
from scaling.fitting import Solution, solve, solve_many
from scaling.fitting.uncertainty import resample
from scaling.laws import get_law

Array = NDArray[np.float64]
RESULTS = Path(__file__).parent / "results"
DELTA = 1e-3
STARTS, REPLICATES, COMPARED = 4500, 4000, 300


def epoch_runs() -> tuple[Array, Array, Array]:
    """Parameters, tokens and losses of the 240 runs that Epoch fits: all but the five of highest loss."""
    frame = pd.read_csv(data_path("chinchilla_epoch_245.csv")).sort_values("loss").iloc[:-5]
    params = frame["Model Size"].to_numpy(dtype=np.float64)
    return params, frame["Training FLOP"].to_numpy(dtype=np.float64) / (6 * params), frame["loss"].to_numpy()


class Reference:
    """The published procedure on one data set."""

    def __init__(self, params: Array, tokens: Array, loss: Array) -> None:
        self.n, self.d, self.y = np.log(params), np.log(tokens), np.log(loss)

    def objective(self, x: Array, weights: Array) -> tuple[float, Array]:
        """Summed Huber loss and its gradient at ``x = (a, b, e, alpha, beta)``, Hoffmann et al.'s parameters."""
        terms = np.stack([x[0] - x[3] * self.n, x[1] - x[4] * self.d, np.full_like(self.n, x[2])])
        top = terms.max(axis=0)
        shares = np.exp(terms - top)
        total = shares.sum(axis=0)
        r = top + np.log(total) - self.y
        shares /= total
        size = np.abs(r)
        cost = np.where(size <= DELTA, 0.5 * r * r, DELTA * (size - 0.5 * DELTA))
        slope = weights * np.clip(r, -DELTA, DELTA)
        a, b, e = shares @ slope
        return float(weights @ cost), np.array(
            [a, b, e, -(shares[0] * self.n) @ slope, -(shares[1] * self.d) @ slope]
        )

    def run(self, start: Array, weights: Array) -> tuple[float, Array]:
        """Where L-BFGS-B ends, with tolerances as tight as it takes."""
        found = minimize(
            self.objective,
            start,
            args=(weights,),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 5000, "maxfun": 20000, "ftol": 1e-15, "gtol": 1e-10},
        )
        return float(found.fun), found.x


def grid() -> Array:
    """Hoffmann et al.'s 4,500 starts, shape ``(4500, 5)``."""
    axes = (np.arange(0, 30, 5), np.arange(0, 30, 5), np.arange(-1, 1.5, 0.5), *[np.arange(0, 2.5, 0.5)] * 2)
    return np.array(list(itertools.product(*axes)), dtype=np.float64)


def timed(work: Callable[[], Any], repeats: int = 1) -> tuple[float, float, Any]:
    """Least wall and processor seconds of a few repeats, and the last result."""
    walls, processors, result = [], [], None
    for _ in range(repeats):
        wall, processor = time.perf_counter(), time.process_time()
        result = work()
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
    return min(walls), min(processors), result


def epoch(quick: bool) -> dict[str, Any]:
    """Point fit and bootstrap on Epoch's 240 points, ours and the reference's."""
    params, tokens, loss = epoch_runs()
    law = get_law("chinchilla")
    inputs = {"params": params, "tokens": tokens}
    ours_wall, ours_cpu, point = timed(lambda: solve(law, inputs, loss, delta=DELTA), 40)
    weights = resample(len(loss), REPLICATES, len(law.names), seed=0)
    boot_wall, boot_cpu, draws = timed(
        lambda: solve(law, inputs, loss, weights=weights, delta=DELTA, starts=point.theta), 3
    )
    reference = Reference(params, tokens, loss)
    every = np.random.default_rng(0).permutation(grid())
    starts = every[: 225 if quick else STARTS]
    ones = np.ones(len(loss))
    fit_wall, fit_cpu, ends = timed(lambda: [reference.run(start, ones) for start in starts])
    values = np.array([value for value, _ in ends])
    best = ends[int(np.argmin(values))][1]
    count = 200 if quick else REPLICATES
    ref_wall, ref_cpu, replicates = timed(lambda: [reference.run(best, row) for row in weights[:count]])
    worse = _compare(reference, weights, draws, best, [value for value, _ in replicates], every)
    errors = draws.theta.std(axis=0, ddof=1)
    return {
        "point": {
            "wall_ms": 1e3 * ours_wall,
            "cpu_ms": 1e3 * ours_cpu,
            "objective": float(point.objective[0]),
            "params": dict(law.params(point.theta[0])),
        },
        "bootstrap": {
            "replicates": REPLICATES,
            "wall_s": boot_wall,
            "cpu_s": boot_cpu,
            "converged": float(draws.converged.mean()),
            "standard_errors": dict(law.params(errors)),
        },
        "reference": {
            "starts_run": len(starts),
            "fit_wall_s": fit_wall * STARTS / len(starts),
            "fit_cpu_s": fit_cpu * STARTS / len(starts),
            "objective": float(values.min()),
            "near_best": float((values <= values.min() * (1 + 1e-4)).mean()),
            "replicates_run": count,
            "bootstrap_wall_s": ref_wall * REPLICATES / count,
            "bootstrap_cpu_s": ref_cpu * REPLICATES / count,
        },
        "replicates_compared": worse,
    }


def _compare(
    reference: Reference, weights: Array, draws: Solution, best: Array, ends: list[float], starts: Array
) -> dict[str, Any]:
    """Our replicates against the lowest the reference finds: from its best point, from ours, and from ten starts."""
    rng = np.random.default_rng(1)
    excess = []
    rows = list(range(min(COMPARED, len(ends))))
    for row in rows:
        E, A, B, a, b = draws.theta[row]
        own = np.array([np.log(A), np.log(B), np.log(E), a, b])
        tried = [ends[row], reference.run(own, weights[row])[0]]
        tried += [
            reference.run(start, weights[row])[0] for start in starts[rng.integers(len(starts), size=10)]
        ]
        excess.append(draws.objective[row] / min(tried) - 1.0)
    gap = np.array(excess)
    return {
        "replicates": len(rows),
        "largest_relative_excess": float(gap.max()),
        "worse_by_1e-9": int((gap > 1e-9).sum()),
        "reference_worse_by_1e-9": int((gap < -1e-9).sum()),
    }


def curves(quick: bool) -> dict[str, Any]:
    """One-break law on learning curves: one at a time, then many at once."""
    frame = pd.read_csv(data_path("revisiting_vision_curves.csv"))
    law = get_law("broken-power-law", axis="examples", breaks=1)
    sets = [
        (
            {"examples": part["Seen Examples"].to_numpy(dtype=np.float64)},
            part["Loss"].to_numpy(dtype=np.float64),
        )
        for _, part in frame[frame["Training"] == 1].groupby(["Domain", "Task", "Model"])
    ]
    sets = [(inputs, loss) for inputs, loss in sets if len(loss) > len(law.names)]
    singles = [timed(lambda one=one: solve(law, *one), 3)[:2] for one in sets[:: 6 if quick else 1]]
    walls, cpus = np.array(singles).T
    many = {}
    for count in (125, 250, 500, 1000):
        batch = [sets[i % len(sets)] for i in range(count)]
        wall, cpu, _ = timed(lambda batch=batch: solve_many(law, batch))
        many[str(count)] = {"wall_s": wall, "cpu_s": cpu, "cpu_ms_per_curve": 1e3 * cpu / count}
    return {
        "curves": len(sets),
        "points": int(np.median([len(loss) for _, loss in sets])),
        "one_wall_ms": {"median": 1e3 * float(np.median(walls)), "max": 1e3 * float(walls.max())},
        "one_cpu_ms": {"median": 1e3 * float(np.median(cpus)), "max": 1e3 * float(cpus.max())},
        "at_once": many,
    }


def table(found: dict[str, Any]) -> str:
    """The results as Markdown."""
    e, c = found["epoch"], found["curves"]
    ref, point, boot, gap = e["reference"], e["point"], e["bootstrap"], e["replicates_compared"]
    scaled = "" if ref["starts_run"] == STARTS else f" (scaled up from {ref['starts_run']} starts)"
    scaled_boot = "" if ref["replicates_run"] == REPLICATES else f" (scaled up from {ref['replicates_run']})"
    thousand, many = c["at_once"]["1000"], c["at_once"]["125"]
    one = c["one_cpu_ms"]
    rows = [
        ("point fit, 240 runs, processor time", f"{point['cpu_ms']:.1f} ms", f"{ref['fit_cpu_s']:.1f} s{scaled}"),
        ("the same, wall time", f"{point['wall_ms']:.1f} ms", f"{ref['fit_wall_s']:.1f} s{scaled}"),
        ("summed objective", f"{point['objective']:.12e}", f"{ref['objective']:.12e}"),
        ("starts that end within 1e-4 of the best", "", f"{ref['near_best']:.1%}"),
        ("4,000 bootstrap replicates, processor time", f"{boot['cpu_s']:.2f} s",
         f"{ref['bootstrap_cpu_s']:.1f} s{scaled_boot}"),
        ("the same, wall time", f"{boot['wall_s']:.2f} s", f"{ref['bootstrap_wall_s']:.1f} s{scaled_boot}"),
        (f"replicates worse than the other's by 1e-9, of {gap['replicates']}", f"{gap['worse_by_1e-9']}",
         f"{gap['reference_worse_by_1e-9']}"),
        (f"one-break law, a curve of {c['points']} points, processor time",
         f"{one['median']:.1f} ms in the median, {one['max']:.1f} ms at most", ""),
        ("1,000 curves at once, processor time", f"{thousand['cpu_ms_per_curve']:.2f} ms a curve "
         f"({many['cpu_ms_per_curve']:.2f} ms of 125 curves)", ""),
    ]  # fmt: skip
    lines = ["| | Foretune | L-BFGS-B, 4,500 starts |", "| --- | --- | --- |"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    notes = "\n".join(f"{part}: {found[part]['load']}." for part in ("epoch", "curves"))
    return "\n".join(lines) + (
        f"\n\nOne thread; {found['machine']}; least of repeats, but for the reference, which ran once. Wall times are "
        f"those of a busy machine.\n\n{notes}\n"
    )


def _load() -> str:
    return f"load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at the start"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a sample of the reference, scaled up")
    parser.add_argument(
        "--part", choices=["epoch", "curves"], help="measure one part, keep the other's results"
    )
    parser.add_argument("-o", "--output", type=Path, default=RESULTS, help="folder of the results")
    arguments = parser.parse_args()
    stored = arguments.output / "fit_speed.json"
    found = json.loads(stored.read_text(encoding="utf-8")) if arguments.part and stored.exists() else {}
    found["machine"] = (
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, numpy {np.__version__}"
    )
    for name, measure in (("epoch", epoch), ("curves", curves)):
        if arguments.part in (None, name):
            load = _load()
            found[name] = {**measure(arguments.quick), "load": load}
    arguments.output.mkdir(parents=True, exist_ok=True)
    stored.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (arguments.output / "fit_speed.md").write_text(table(found), encoding="utf-8")
    print(table(found))


if __name__ == "__main__":
    main()
