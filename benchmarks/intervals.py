"""Do 95 % intervals hold one decade beyond the fit? Public sets and simulations, beside three bootstrap baselines.

Every public set is fitted up to a tenth of its largest compute, and the decade above is predicted. The baselines use
the same point fit: the plain bootstrap, the bootstrap with resampled residuals, and the latter widened by what
backtests inside the fitted runs ask for (a conformal factor). Scores are Winkler's, on logarithms.

    python -m benchmarks.intervals            # goes on where it was stopped
    python -m benchmarks.intervals --quick    # the small sets, 40 simulations each
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.interval_sets import SELECTION, SETS, RunSet
from scaling.backtest import interval_score, rolling_origins
from scaling.fitted import FittedLaw, fit_law
from scaling.uncertainty import predictive

Array = npt.NDArray[np.float64]

HERE = Path(__file__).parent
LEVEL = 0.95
METHODS = ("foretune", "bootstrap", "bootstrap + noise", "calibrated bootstrap")
REPLICATES = 400
#: Chinchilla's law as Epoch refitted it, for the simulations.
TRUTH = {"E": 1.8172, "A": 482.01, "B": 2085.43, "a": 0.3478, "b": 0.3658}


def fit(frame: pd.DataFrame, law: str, bootstrap: int = REPLICATES) -> FittedLaw:
    options = {"axis": "tokens"} if law == "power-law" else {}
    return fit_law(frame, law=law, bootstrap=bootstrap, checks=False, **options)


def bootstrap(fitted: FittedLaw, points: pd.DataFrame, *, noise: bool) -> tuple[Array, Array]:
    columns = {name: points[name].to_numpy(dtype=float) for name in fitted.law.inputs}
    if noise:
        return fitted.bootstrap_interval(columns, LEVEL)
    low, high = np.nanquantile(fitted.law.predict(fitted.draws, columns), [0.025, 0.975], axis=0)
    return low, high


def conformal_factor(frame: pd.DataFrame, law: str, along: Array) -> float:
    """How much wider the noisy bootstrap must be to cover 95 % in backtests inside the runs (never narrower)."""
    scores: list[float] = []
    for fold in rolling_origins(along, folds=3, fewest=10):
        fitted = fit(frame[fold.fitted], law, 200)
        held_out = frame[fold.held_out]
        low, high = bootstrap(fitted, held_out, noise=True)
        centre = np.log(
            fitted.value({name: held_out[name].to_numpy(dtype=float) for name in fitted.law.inputs})
        )
        actual = np.log(held_out["loss"].to_numpy())
        half = np.where(actual > centre, np.log(high) - centre, centre - np.log(low))
        scores += list(np.abs(actual - centre) / np.maximum(half, 1e-9))
    if not scores:
        return 1.0
    rank = min(1.0, np.ceil((len(scores) + 1) * LEVEL) / len(scores))
    return max(1.0, float(np.quantile(scores, rank)))


def predictions(
    known: pd.DataFrame, points: pd.DataFrame, law: str, along: Array
) -> dict[str, tuple[Array, Array, Array]]:
    """Centre, low and high of every method."""
    fitted = fit(known, law)
    columns = {name: points[name].to_numpy(dtype=float) for name in fitted.law.inputs}
    ours = predictive(fitted, columns, LEVEL)
    centre = fitted.value(columns)
    low, high = bootstrap(fitted, points, noise=True)
    factor = conformal_factor(known, law, along)
    return {
        METHODS[0]: (ours.value, ours.low, ours.high),
        METHODS[1]: (centre, *bootstrap(fitted, points, noise=False)),
        METHODS[2]: (centre, low, high),
        METHODS[3]: (centre, centre * (low / centre) ** factor, centre * (high / centre) ** factor),
    }


def tables(data: RunSet) -> Iterator[pd.DataFrame]:
    """One table a target, with its values as ``loss``."""
    for target in data.targets:
        if data.kind == "curve":
            yield data.frame[data.frame["curve"] == target].reset_index(drop=True)
        else:
            yield data.frame.assign(loss=data.frame[target])


def measure_set(data: RunSet) -> dict[str, Any]:
    """Every method on one set: its top decade, predicted from the rest."""
    found: dict[str, list[Array]] = {method: [] for method in METHODS}
    actual: list[Array] = []
    start = time.process_time()
    for frame in tables(data):
        along = frame[data.axis].to_numpy(dtype=float)
        known = along <= along.max() / 10 * (1 + 1e-9)
        if known.sum() < 8:
            continue
        actual.append(np.log(frame["loss"].to_numpy()[~known]))
        answers = predictions(frame[known], frame[~known], data.law, along[known])
        for method, answer in answers.items():
            found[method].append(np.log(np.array(answer)))
    y = np.concatenate(actual)
    result: dict[str, Any] = {"law": data.law, "kind": data.kind, "targets": len(actual), "points": len(y)}
    for method in METHODS:
        centre, low, high = np.concatenate(found[method], axis=1)
        result[method] = {
            "error": float(np.abs(np.expm1(centre - y)).mean()),
            "coverage": float(((y >= low) & (y <= high)).mean()),
            "width": float((high - low).mean()),
            "score": float(interval_score(y, low, high, LEVEL).mean()),
        }
    return {**result, "cpu_seconds": time.process_time() - start}


def simulate(runs: int, noise: float, repeats: int) -> dict[str, Any]:
    """Well specified: Chinchilla's law with lognormal noise; eight new runs one decade beyond, each time."""
    rng = np.random.default_rng([runs, int(1e6 * noise)])
    inside, widths = [], []
    start = time.process_time()
    for _ in range(repeats):
        known, new = _draw(rng, runs, 18.0, 21.0, noise), _draw(rng, 8, 21.0, 22.0, noise)
        found = predictive(
            fit(known, "chinchilla", 0), {n: new[n].to_numpy() for n in ("params", "tokens")}, LEVEL
        )
        inside.append(((new["loss"] >= found.low) & (new["loss"] <= found.high)).mean())
        widths.append(np.median(np.log(found.high / found.low)) / (2 * 1.96 * noise))
    return {
        "runs": runs,
        "noise": noise,
        "simulations": repeats,
        "coverage": float(np.mean(inside)),
        "standard_error": float(np.std(inside) / np.sqrt(repeats)),
        "width_over_noise": float(np.median(widths)),
        "cpu_seconds": time.process_time() - start,
    }


def _draw(rng: np.random.Generator, count: int, low: float, high: float, noise: float) -> pd.DataFrame:
    flops, ratio = 10 ** rng.uniform(low, high, count), 10 ** rng.uniform(np.log10(5), np.log10(80), count)
    params = np.sqrt(flops / 6 / ratio)
    tokens = params * ratio
    loss = TRUTH["E"] + TRUTH["A"] / params ** TRUTH["a"] + TRUTH["B"] / tokens ** TRUTH["b"]
    return pd.DataFrame(
        {"params": params, "tokens": tokens, "loss": loss * np.exp(noise * rng.standard_normal(count))}
    )


def pooled(rows: dict[str, dict[str, Any]], names: list[str]) -> dict[str, Any]:
    """Means over the points of some sets."""
    points = np.array([rows[name]["points"] for name in names])
    result: dict[str, Any] = {"sets": len(names), "points": int(points.sum())}
    for method in METHODS:
        keys = ("error", "coverage", "width", "score")
        result[method] = {
            k: float(np.average([rows[n][method][k] for n in names], weights=points)) for k in keys
        }
    return result


def summary(rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    text = [name for name in rows if rows[name]["kind"] == "text"]
    return {
        "all text sets": pooled(rows, text),
        "text sets the method was chosen on": pooled(rows, [n for n in text if n in SELECTION]),
        "text sets it was not chosen on": pooled(rows, [n for n in text if n not in SELECTION]),
        "text and off-distribution sets": pooled(rows, [n for n in rows if rows[n]["kind"] != "curve"]),
    }


def write(result: dict[str, Any]) -> None:
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "intervals.json").write_text(json.dumps(result, indent=1) + "\n")
    lines = [
        "| set | points | method | error % | coverage % | width % | score % |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, row in {**result["sets"], **result["pooled"]}.items():
        for method in METHODS:
            m = row[method]
            first = (
                (f"{name}{' (chosen on)' if name in SELECTION else ''}", row["points"])
                if method == METHODS[0]
                else ("", "")
            )
            lines.append(
                "| {} | {} | {} | ".format(*first, method) + " | ".join(f"{100 * m[k]:.2f}" for k in m) + " |"
            )
    lines += [
        "",
        "| simulated runs | noise % | simulations | coverage % | standard error % |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in result["simulations"]:
        shown = (
            row["runs"],
            100 * row["noise"],
            row["simulations"],
            f"{100 * row['coverage']:.2f}",
            f"{100 * row['standard_error']:.2f}",
        )
        lines.append("| " + " | ".join(map(str, shown)) + " |")
    (HERE / "results" / "intervals.md").write_text("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="*", help="sets to measure (or none), then stop")
    parser.add_argument(
        "--simulations", nargs="*", type=int, default=[24, 60, 240], help="how many runs in each"
    )
    arguments = parser.parse_args()
    cache = HERE / "cache" / f"intervals{'-quick' if arguments.quick else ''}"
    cache.mkdir(parents=True, exist_ok=True)
    done: dict[str, Any] = {}
    names = (
        arguments.only
        if arguments.only is not None
        else [n for n in SETS if not (arguments.quick and n in ("chinchilla", "vision-curves"))]
    )
    jobs = {f"set {name}": (lambda name=name: measure_set(SETS[name]())) for name in names}
    repeats = 40 if arguments.quick else 500
    for runs in arguments.simulations:
        jobs[f"simulation {runs}"] = lambda runs=runs: simulate(runs, 0.01, repeats)
    for key, job in jobs.items():
        kept = cache / f"{key.replace(' ', '-')}.json"
        if not kept.exists():
            kept.write_text(json.dumps(job()))
        done[key] = json.loads(kept.read_text())
        print(
            key,
            json.dumps({k: v for k, v in done[key].items() if k in (METHODS[0], METHODS[3], "coverage")}),
            flush=True,
        )
    if arguments.quick or arguments.only is not None:
        return
    rows = {name: done[f"set {name}"] for name in names}
    simulations = [done[key] for key in jobs if key.startswith("simulation")]
    write({"level": LEVEL, "sets": rows, "pooled": summary(rows), "simulations": simulations})


if __name__ == "__main__":
    main()
