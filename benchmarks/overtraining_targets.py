"""Nine large over-trained models, predicted from runs of at most 2.1e19 FLOP, at a nominal 90 %.

Three training sets of the over-training testbed (arXiv 2403.08540), each with three models of 1.4B or 6.9B parameters,
12 to 390 times the compute of the largest run that is fitted; loss on C4.

How to fit is chosen mechanically, on runs of at most 2.1e19 FLOP alone. Candidates are all combinations of
:data:`LAWS`, :data:`LOSSES`, :data:`WARM_UP` and :data:`CENTRES`. Each is scored by rolling origins (:func:`inner`):
for every run at which a training set can be cut so that every candidate can be fitted below, the runs above are
predicted, those that warm up for over half of their training (off the trend, as is known) left out. The candidate with
the smallest mean absolute relative error over origins and runs of all three training sets, each pair counting
once, is chosen; ties go to the first. Only then are the nine targets predicted.

The same origins say how wide an interval has to be (:func:`conformal`): the chosen candidate's intervals are scaled by
the factor at which 90 % of the inner predictions would have been covered.

    python -m benchmarks.overtraining_targets           # choose, then predict; all candidates' errors for information
    python -m benchmarks.overtraining_targets --quick   # the first law and loss, nothing written
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchmarks.interval_sets import TRAINED_ON
from scaling.datasets import data_path
from scaling.fitted import fit_law
from scaling.uncertainty import predictive

HERE = Path(__file__).parent
LARGEST, LEVEL, TARGET = 2.1e19, 0.9, "loss_c4_val"
LAWS = ("over-training", "chinchilla", "kaplan")
LOSSES = (
    ("huber", 1e-3),
    ("huber", 1e-2),
    ("soft-l1", 3e-3),
    ("soft-l1", 1e-2),
    ("squared", 1.0),
    ("absolute", 1.0),
)
#: Runs that warm up for a larger share of their training are not fitted.
WARM_UP = (np.inf, 1.0, 0.5, 0.2)
#: Held-out runs that warm up for longer say nothing of the targets, which all warm up for less than a tenth.
SCORED = 0.5
#: What is predicted: the law, or the median of the law with its discrepancy (``scaling predict``).
CENTRES = ("predictive", "law")
#: Runs that a fit needs: the parameters of the largest law, and three.
FEWEST = 8


class Fit(NamedTuple):
    """What is fitted; two candidates, one for each centre, share it."""

    law: str
    loss: str
    delta: float
    warm_up: float


FITS = tuple(Fit(law, *loss, warm) for law, loss, warm in product(LAWS, LOSSES, WARM_UP))
#: What ``scaling fit --law over-training`` does.
DEFAULT = Fit("over-training", "huber", 1e-3, np.inf)


def runs() -> pd.DataFrame:
    """All runs, with the share of training spent on warm-up."""
    losses = pd.read_csv(data_path("overtraining_testbed_104.csv"))
    warm = pd.read_csv(data_path("overtraining_hparams_104.csv"))[["name", "warm_frac"]]
    table = losses.merge(warm, on="name")
    frame = table.rename(columns={"N": "params", "D": "tokens", TARGET: "loss"})
    frame["trained_on"] = frame["dataset_name"].map({name: key for key, name in TRAINED_ON.items()})
    return frame.astype({"params": float, "tokens": float, "flops": float})


def small(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """All that the choice may see: each training set's runs up to the largest compute."""
    known = frame[(frame["flops"] <= LARGEST) & frame["trained_on"].notna()]
    return {str(name): part.sort_values("flops") for name, part in known.groupby("trained_on")}


def predict(known: pd.DataFrame, points: pd.DataFrame, fit: Fit) -> pd.DataFrame:
    """The points with both centres and the interval."""
    kept = known.loc[known["warm_frac"] <= fit.warm_up, ["params", "tokens", "loss"]]
    fitted = fit_law(kept, law=fit.law, loss=fit.loss, delta=fit.delta, bootstrap=0, checks=False)
    at = {name: points[name].to_numpy() for name in ("params", "tokens")}
    found = predictive(fitted, at, LEVEL)
    return points[["trained_on", "params", "tokens", "flops", "loss"]].assign(
        fitted=len(kept), law=fitted.value(at), predictive=found.value, low=found.low, high=found.high
    )


def origins(part: pd.DataFrame) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Runs below and above each cutoff of one training set at which every candidate can be fitted."""
    for cutoff in np.unique(part["flops"])[:-1]:
        known, rest = part[part["flops"] <= cutoff], part[part["flops"] > cutoff]
        strictest = known[known["warm_frac"] <= min(WARM_UP)]
        scored = rest[rest["warm_frac"] <= SCORED]
        if len(strictest) >= FEWEST and len(set(strictest["params"])) > 1 and len(scored):
            yield known, scored


def inner(parts: dict[str, pd.DataFrame], fit: Fit) -> pd.DataFrame:
    """Rolling-origin predictions of small runs from smaller ones, one row an origin and run."""
    found = [predict(*pair, fit) for part in parts.values() for pair in origins(part)]
    return pd.concat(found, ignore_index=True)


def error(table: pd.DataFrame, centre: str) -> pd.Series:
    return (table[centre] / table["loss"] - 1).abs()


def conformal(table: pd.DataFrame, centre: str) -> float:
    """Factor on the interval (about the centre, on logs) that covers a share ``LEVEL`` of these predictions."""
    y, middle = np.log(table["loss"]), np.log(table[centre])
    half = np.where(y > middle, np.log(table["high"]) - middle, middle - np.log(table["low"]))
    ratios = np.abs(y - middle) / np.maximum(half, 1e-9)
    return float(np.quantile(ratios, min(1.0, np.ceil((len(ratios) + 1) * LEVEL) / len(ratios))))


def score(targets: pd.DataFrame, centre: str, factor: float) -> dict[str, Any]:
    """Errors of the nine targets, and how their intervals fared as they are and scaled."""
    off, y, middle = error(targets, centre), np.log(targets["loss"]), np.log(targets[centre])
    result: dict[str, Any] = {"mean_error": float(off.mean()), "max_error": float(off.max())}
    for name, scale in (("", 1.0), ("scaled_", factor)):
        low = middle + scale * (np.log(targets["low"]) - middle)
        high = middle + scale * (np.log(targets["high"]) - middle)
        result[f"{name}covered"] = int(((y >= low) & (y <= high)).sum())
        result[f"{name}width"] = float((high - low).mean())
    return result


def choose(parts: dict[str, pd.DataFrame], fits: tuple[Fit, ...] = FITS) -> list[dict[str, Any]]:
    """Every candidate with its inner score, the best first."""
    rows = []
    for fit in fits:
        table = inner(parts, fit)
        for centre in CENTRES:
            inside = (table["loss"] >= table["low"]) & (table["loss"] <= table["high"])
            rows.append({
                **fit._asdict(), "centre": centre, "inner_predictions": len(table),
                "inner_error": float(error(table, centre).mean()), "inner_max": float(error(table, centre).max()),
                "inner_coverage": float(inside.mean()), "inner_factor": conformal(table, centre),
            })  # fmt: skip
    return sorted(rows, key=lambda row: row["inner_error"])


def judge(frame: pd.DataFrame, row: dict[str, Any]) -> tuple[dict[str, Any], pd.DataFrame]:
    """A candidate on the nine targets."""
    large = frame[(frame["params"] > 1e9) & frame["trained_on"].notna()]
    fit = Fit(*(row[name] for name in Fit._fields))
    found = [predict(part, large[large["trained_on"] == name], fit) for name, part in small(frame).items()]
    targets = pd.concat(found, ignore_index=True)
    return score(targets, row["centre"], row["inner_factor"]), targets


def _line(row: dict[str, Any]) -> str:
    warm = "all" if np.isinf(row["warm_up"]) else f"warm-up <= {row['warm_up']:g}"
    loss = row["loss"] if row["delta"] == 1.0 else f"{row['loss']} {row['delta']:g}"
    cells = [row["law"], loss, warm, row["centre"], f"{100 * row['inner_error']:.2f}"]
    cells += [f"{100 * row['inner_coverage']:.0f}", f"{row['inner_factor']:.2f}"]
    if "mean_error" in row:
        cells += [f"{100 * row[name]:.2f}" for name in ("mean_error", "max_error")]
        for name in ("", "scaled_"):
            cells += [str(row[f"{name}covered"]), f"{100 * row[f'{name}width']:.1f}"]
    return f"| {' | '.join(cells)} |"


HEAD = (
    "| law | loss | runs | predicts by | inner error % | inner coverage % | inner factor | mean error % | max % "
    "| covered of 9 | width % | scaled: covered | width % |",
    "| --- " * 13 + "|",
)


def _targets(targets: pd.DataFrame, centre: str) -> list[str]:
    lines = ["| trained on | params | tokens | loss | predicted | 90 % interval |", "| --- " * 6 + "|"]
    for row in targets.to_dict(orient="records"):
        lines.append(
            f"| {row['trained_on']} | {row['params']:.3g} | {row['tokens']:.3g} | {row['loss']:.4f} | "
            f"{row[centre]:.4f} | {row['low']:.3f} to {row['high']:.3f} |"
        )
    return lines


def write(frame: pd.DataFrame, rows: list[dict[str, Any]]) -> None:
    """The chosen candidate's targets and the defaults' first, then every candidate's errors, for information."""
    found = [judge(frame, row) for row in rows]
    rows = [{**row, **outcome} for row, (outcome, _) in zip(rows, found, strict=True)]
    unasked = next(
        place
        for place, row in enumerate(rows)
        if Fit(*(row[name] for name in Fit._fields)) == DEFAULT and row["centre"] == CENTRES[0]
    )
    lines = [
        "Chosen on the runs up to 2.1e19 FLOP, and what `scaling fit --law over-training` does unasked:",
        "", *HEAD, _line(rows[0]), _line(rows[unasked]), "", "The chosen one:", "",
        *_targets(found[0][1], rows[0]["centre"]), "", "The defaults:", "",
        *_targets(found[unasked][1], CENTRES[0]), "",
        "Every candidate, in the order of its inner error; the columns from the eighth on had no part in the choice:",
        "", *HEAD, *map(_line, rows),
    ]  # fmt: skip
    (HERE / "results" / "overtraining_targets.md").write_text("\n".join(lines) + "\n")
    kept = {
        "level": LEVEL,
        "chosen": rows[0],
        "default": rows[unasked],
        "targets": found[0][1].to_dict(orient="records"),
        "default_targets": found[unasked][1].to_dict(orient="records"),
        "candidates": rows,
    }
    text = json.dumps(kept, indent=1).replace("Infinity", '"all"')
    (HERE / "results" / "overtraining_targets.json").write_text(text + "\n")
    print("\n".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="choose among the first law and loss; nothing is written"
    )
    frame = runs()
    if parser.parse_args().quick:
        print("\n".join([*HEAD, *map(_line, choose(small(frame), FITS[: len(WARM_UP)]))]))
        return
    write(frame, choose(small(frame)))


if __name__ == "__main__":
    main()
