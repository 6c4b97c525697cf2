"""pass@10,000 from 100 samples a problem: a Beta law weighted to its tail against the usual extrapolations.

    python -m benchmarks.pass_at_k [--quick]

Seven Pythia models on MATH (Schaeffer et al., arXiv 2502.17578). Only problems with 10,000 samples or more count (32 a
model, 96 of Pythia 1B): in the released table problems with fewer, even without one success, carry a score of 1 at
k = 10,000. Two protocols: *curve*, the unbiased pass@k for k <= 100 from all samples, taken as exact; *draws*, 100
samples of each problem drawn without replacement. Settings are chosen for each model on the others. Not used in any
choice: Pythia 1B on GSM8K, and the same settings from k <= 30 to 3,000 and from k <= 10 to 1,000.

What 100 draws can tell at all is bounded in two ways. :func:`indistinguishable`: where no draw is correct, all models
look the same, and one answer must serve them all. *Known tail*: a Beta law told each model's own tail exponent, from
all samples, which nobody has. Beside them stand 300, 1,000 and 3,000 draws.
"""

from __future__ import annotations

import argparse
import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize, minimize_scalar
from scipy.special import betaln
from scipy.stats import hypergeom

from scaling.datasets import data_path
from scaling.repeated_sampling import Settings, beta_pass_at_k, fit_pass_at_k, pass_at_k, power_law_pass_at_k

Counts = tuple[np.ndarray, np.ndarray]
TARGET, SEEN = 10_000, 100
RESULTS = Path(__file__).parent / "results"
GRID = [
    {"misfit": misfit, "weight": weight}
    for weight, misfit in product((0.0, 1.0, 2.0, 3.0), (0.03, 0.05, 0.1, 0.2, 0.4))
]
#: No expectation of the tail: the Beta law nearest to the curve.
FREE = Settings(spread=1e6, misfit=0.03, weight=0.0)
HORIZONS = ((30, 3_000), (10, 1_000))
MORE_DRAWS = (300, 1_000, 3_000)


def models(benchmark: str = "MATH") -> dict[str, Counts]:
    frame = pd.read_parquet(data_path("monkeys_pythia_pass_at_k.parquet"))
    one = (
        (frame["Benchmark"] == benchmark)
        & (frame["Scaling Parameter"] == 1)
        & (frame["Num. Samples"] >= TARGET)
    )
    return {
        str(name): (rows["Num. Samples"].to_numpy(float), rows["Num. Samples Correct"].to_numpy(float))
        for name, rows in frame[one].groupby("Model")
    }


def maximum_likelihood(n: np.ndarray, c: np.ndarray) -> np.ndarray:
    def loss(logs: np.ndarray) -> float:
        a, b = np.exp(logs)
        return float(-(betaln(a + c, b + n - c) - betaln(a, b)).sum())

    return np.exp(minimize(loss, [-1.0, 5.0], method="Nelder-Mead").x)


def from_curve(n: np.ndarray, c: np.ndarray, settings: Settings, seen: int = SEEN, bootstrap: int = 0) -> Any:
    return fit_pass_at_k(n, c, largest=seen, settings=settings, exact=True, bootstrap=bootstrap)


def expected(tails: list[float]) -> dict[str, float]:
    """Centre and scale of log a over models: the median and its median absolute deviation, not led by one model."""
    centre = float(np.median(tails))
    scale = 1.4826 * float(np.median(np.abs(np.array(tails) - centre)))
    return {"tail": centre, "spread": max(scale, 0.1)}


def settings_without(data: dict[str, Counts], held: str, tails: dict[str, float]) -> Settings:
    """Settings chosen on the other models alone, each of those with the tails of the rest."""
    others = [name for name in tails if name != held]
    truth = {name: pass_at_k(data[name][0], data[name][1], TARGET).mean() for name in others}
    best: tuple[float, dict[str, float]] = (np.inf, GRID[0])
    for choice in GRID:
        errors = []
        for name in others:
            rest = expected([tails[other] for other in others if other != name])
            fitted = from_curve(data[name][0], data[name][1], Settings(**rest, **choice))
            errors.append(abs(float(fitted.value(TARGET)) - truth[name]))
        best = min(best, (float(np.mean(errors)), choice), key=lambda pair: pair[0])
    return Settings(**expected([tails[name] for name in others]), **best[1])


def horizon(n: np.ndarray, c: np.ndarray, settings: Settings, seen: int, target: int) -> dict[str, float]:
    """pass@target from k <= seen by the law and by its rivals, and the truth."""
    k = np.arange(1.0, seen + 1)
    curve = pass_at_k(n[:, None], c[:, None], k).mean(0)
    tenth = k >= seen / 10
    fitted = from_curve(n, c, settings, seen, bootstrap=200)
    low, high = fitted.interval(target)
    return {
        "truth": float(pass_at_k(n, c, target).mean()),
        "foretune": float(fitted.value(target)),
        "low": float(low),
        "high": float(high),
        "beta": float(from_curve(n, c, FREE, seen).value(target)),
        "power_law": float(power_law_pass_at_k(k[tenth], curve[tenth], target)),
    }


def known_tail(counts: np.ndarray, samples: int, a: float) -> float:
    """pass@target of these very problems: Beta law with tail a, b of maximum likelihood, given each problem's count."""

    def loss(log_b: float) -> float:
        b = np.exp(log_b)
        return float(-(betaln(a + counts, b + samples - counts) - betaln(a, b)).sum())

    if not counts.sum():
        return 0.0
    b = np.exp(minimize_scalar(loss, bounds=(-3.0, 25.0), method="bounded").x)
    return float(beta_pass_at_k(a + counts, b + samples - counts, TARGET).mean())


def indistinguishable(data: dict[str, Counts]) -> dict[str, Any]:
    """Least mean absolute error over the models of any method that gives the same answer to the same counts.

    Without a correct draw the counts of all models are the same: whatever the answer, its error counts for each model
    as often as it draws none. The best is the weighted median of the truths; all other draws are taken as answered
    without error.
    """
    chance = np.array([np.prod(hypergeom.pmf(0, n, c, SEEN)) for n, c in data.values()])
    truth = np.array([pass_at_k(n, c, TARGET).mean() for n, c in data.values()])
    errors = [float((chance * np.abs(truth - answer)).sum()) / len(data) for answer in truth]
    return {"nothing_correct": dict(zip(data, chance.tolist(), strict=True)), "least_error": min(errors)}


def more_draws(data: dict[str, Counts], settings: dict[str, Settings], repeats: int) -> dict[str, float]:
    """Mean absolute error from more samples a problem."""
    found = {}
    for samples in MORE_DRAWS:
        errors = []
        for name, (n, c) in data.items():
            rng = np.random.default_rng(0)
            drawn = rng.hypergeometric(c.astype(int), (n - c).astype(int), samples, (repeats, len(c)))
            truth = float(pass_at_k(n, c, TARGET).mean())
            for counts in drawn:
                once = fit_pass_at_k(samples, counts, settings=settings[name], bootstrap=0)
                errors.append(abs(float(once.value(TARGET)) - truth))
        found[f"{samples}_draws_foretune"] = float(np.mean(errors))
    return found


def row(
    name: str, n: np.ndarray, c: np.ndarray, settings: Settings, tail: float, repeats: int
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "model": name,
        **horizon(n, c, settings, SEEN, TARGET),
        "settings": vars(settings),
    }
    truth = found["truth"]
    found["further"] = {
        f"{seen} to {target}": horizon(n, c, settings, seen, target) for seen, target in HORIZONS
    }
    k = np.unique(np.round(np.logspace(0, 2, 12)))
    rng = np.random.default_rng(0)
    drawn = [
        rng.hypergeometric(c.astype(int), (n - c).astype(int), SEEN).astype(float) for _ in range(repeats)
    ]
    full, hundred = [], np.full(len(n), float(SEEN))
    for counts in drawn:
        once = fit_pass_at_k(hundred, counts, settings=settings, bootstrap=60)
        a, b = maximum_likelihood(hundred, counts) if counts.sum() else (1.0, np.inf)
        line = pass_at_k(hundred[:, None], counts[:, None], k).mean(0)
        ends = once.interval(TARGET)
        full.append(
            [
                abs(float(once.value(TARGET)) - truth),
                abs((float(beta_pass_at_k(a, b, TARGET)) if counts.sum() else 0.0) - truth),
                abs(float(power_law_pass_at_k(k, line, TARGET)) - truth),
                abs(known_tail(counts, SEEN, np.exp(tail)) - truth),
                float(ends[0] <= truth <= ends[1]),
            ]
        )
    names = ("draws_foretune", "draws_beta_binomial", "draws_power_law", "draws_known_tail", "draws_covered")
    return found | dict(zip(names, map(float, np.mean(full, axis=0)), strict=True))


def summarize(rows: list[dict[str, Any]]) -> dict[str, float]:
    methods = ("foretune", "beta", "power_law")

    def error(parts: list[dict[str, Any]], method: str) -> float:
        return float(np.mean([abs(part[method] - part["truth"]) for part in parts]))

    def covered(parts: list[dict[str, Any]]) -> float:
        return float(np.mean([part["low"] <= part["truth"] <= part["high"] for part in parts]))

    found = {f"mean_absolute_error_{method}": error(rows, method) for method in methods}
    found["covered"] = covered(rows)
    for name in rows[0]["further"]:
        parts = [r["further"][name] for r in rows]
        found |= {f"{name}_{method}": error(parts, method) for method in methods}
        found[f"{name}_covered"] = covered(parts)
    return found | {
        key: float(np.mean([r[key] for r in rows])) for key in rows[0] if key.startswith("draws_")
    }


def table(
    rows: list[dict[str, Any]],
    summary: dict[str, float],
    unseen: dict[str, float],
    nothing: dict[str, float],
) -> list[str]:
    lines = [
        "| model | pass@10,000 | from pass@k, k <= 100 | 90 % interval | Beta alone | power law | "
        "100 draws: error | beta-binomial | power law | known tail | nothing correct | covered |",
        "| --- " * 12 + "|",
    ]
    lines += [
        f"| {r['model']} | {r['truth']:.3f} | {r['foretune']:.3f} | {r['low']:.3f} to {r['high']:.3f} | "
        f"{r['beta']:.3f} | {r['power_law']:.3f} | {r['draws_foretune']:.3f} | {r['draws_beta_binomial']:.3f} | "
        f"{r['draws_power_law']:.3f} | {r['draws_known_tail']:.3f} | {100 * nothing[r['model']]:.0f} % | "
        f"{100 * r['draws_covered']:.0f} % |"
        for r in rows
    ]
    lines += ["", *(f"- {name.replace('_', ' ')}: {value:.4f}" for name, value in summary.items())]
    told = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in unseen.items())
    return [*lines, f"- Pythia 1B on GSM8K, used in no choice: {told}"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="two draws a model in place of twenty; writes nothing"
    )
    quick = parser.parse_args().quick
    data = models()
    tails = {name: float(np.log(maximum_likelihood(n, c)[0])) for name, (n, c) in data.items() if c.sum() > 0}
    settings = {name: settings_without(data, name, tails) for name in data}
    repeats = 2 if quick else 20
    rows = [row(name, n, c, settings[name], tails.get(name, 0.0), repeats) for name, (n, c) in data.items()]
    floor = indistinguishable(data)
    summary = summarize(rows) | more_draws(data, settings, repeats)
    summary["draws_least_error_of_any_method"] = floor["least_error"]
    every = Settings(**expected(list(tails.values())), **{key: rows[-1]["settings"][key] for key in GRID[0]})
    n, c = models("GSM8K")["Pythia 1B"]
    unseen = horizon(n, c, every, SEEN, TARGET)
    lines = table(rows, summary, unseen, floor["nothing_correct"])
    print("\n".join(lines))
    if not quick:
        (RESULTS / "pass_at_k.json").write_text(
            json.dumps({"summary": summary, **floor, "gsm8k_pythia_1b": unseen, "models": rows}, indent=1)
            + "\n"
        )
        (RESULTS / "pass_at_k.md").write_text(
            f"# {(__doc__ or '').splitlines()[0]}\n\n" + "\n".join(lines) + "\n"
        )


if __name__ == "__main__":
    main()
