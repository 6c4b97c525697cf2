"""Nine large over-trained models, predicted from runs of at most 2.1e19 FLOP, at a nominal 90 %.

Three training sets of the over-training testbed (arXiv 2403.08540), each with three models of 1.4B or 6.9B parameters,
12 to 390 times the compute of the largest run that is fitted; loss on C4. The rule: the testbed's own law, every run up
to 2.1e19 FLOP, Foretune's defaults. Beside it stand other choices that somebody could have made, all of them.

    python -m benchmarks.overtraining_targets
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.interval_sets import TRAINED_ON
from scaling.datasets import data_path
from scaling.fitted import fit_law
from scaling.uncertainty import predictive

HERE = Path(__file__).parent
LARGEST, LEVEL, TARGET = 2.1e19, 0.9, "loss_c4_val"
RULE = ("over-training", "huber", 1e-3, "all")
CHOICES = [
    RULE,
    ("over-training", "soft-l1", 3e-3, "all"),
    ("over-training", "squared", 1.0, "all"),
    ("over-training", "huber", 1e-3, "warm-up within training"),
    ("over-training", "soft-l1", 3e-3, "warm-up within training"),
    ("chinchilla", "huber", 1e-3, "all"),
    ("chinchilla", "huber", 1e-3, "warm-up within training"),
]


def runs() -> pd.DataFrame:
    losses = pd.read_csv(data_path("overtraining_testbed_104.csv"))
    warm = pd.read_csv(data_path("overtraining_hparams_104.csv"))[["name", "warm_frac"]]
    table = losses.merge(warm, on="name")
    frame = table.rename(columns={"N": "params", "D": "tokens", TARGET: "loss"})
    return frame.astype({"params": float, "tokens": float, "flops": float})


def predict(frame: pd.DataFrame, law: str, loss: str, delta: float, which: str) -> pd.DataFrame:
    """The nine targets with the law's value, ours, and the interval."""
    parts = []
    for trained_on, name in TRAINED_ON.items():
        part = frame[frame["dataset_name"] == name]
        known = part["flops"] <= LARGEST
        if which != "all":
            known &= part["warm_frac"] < 1.0
        large = part[part["params"] > 1e9]
        columns = ["params", "tokens", "loss"]
        fitted = fit_law(part.loc[known, columns], law=law, loss=loss, delta=delta, bootstrap=0, checks=False)
        points = {name: large[name].to_numpy() for name in ("params", "tokens")}
        found = predictive(fitted, points, LEVEL)
        answer = large[columns].assign(
            trained_on=trained_on, fitted=int(known.sum()), law_alone=fitted.value(points)
        )
        parts.append(answer.assign(value=found.value, low=found.low, high=found.high))
    return pd.concat(parts, ignore_index=True)


def score(targets: pd.DataFrame) -> dict[str, Any]:
    ours, alone = (np.abs(targets[name] / targets["loss"] - 1) for name in ("value", "law_alone"))
    inside = (targets["loss"] >= targets["low"]) & (targets["loss"] <= targets["high"])
    return {
        "mean_error": float(ours.mean()),
        "max_error": float(ours.max()),
        "covered": int(inside.sum()),
        "width": float(((targets["high"] - targets["low"]) / targets["loss"]).mean()),
        "law_alone_mean_error": float(alone.mean()),
        "law_alone_max_error": float(alone.max()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the rule alone, nothing written")
    quick = parser.parse_args().quick
    frame = runs()
    rows, lines = (
        [],
        [
            "| law | loss | delta | runs | mean error % | max % | covered of 9 | width % | law alone: mean % | max % |"
        ],
    )
    lines.append("| --- " * 10 + "|")
    for choice in CHOICES[: 1 if quick else None]:
        targets = predict(frame, *choice)
        found = score(targets)
        rows.append({**dict(zip(("law", "loss", "delta", "runs"), choice, strict=True)), **found})
        numbers = (
            found["mean_error"],
            found["max_error"],
            found["width"],
            found["law_alone_mean_error"],
            found["law_alone_max_error"],
        )
        mean, most, width, alone, alone_most = (f"{100 * number:.2f}" for number in numbers)
        name = f"**{choice[0]}**" if choice == RULE else choice[0]
        shown = (name, choice[1], f"{choice[2]:g}", choice[3], mean, most, str(found["covered"]), width)
        lines.append(f"| {' | '.join((*shown, alone, alone_most))} |")
        print(lines[-1], flush=True)
    if not quick:
        targets = predict(frame, *RULE)
        result = {"level": LEVEL, "choices": rows, "targets": targets.to_dict(orient="records")}
        (HERE / "results" / "overtraining_targets.json").write_text(json.dumps(result, indent=1) + "\n")
        lines += [
            "",
            "| trained on | params | tokens | loss | predicted | 90 % interval |",
            "| --- " * 6 + "|",
        ]
        for row in result["targets"]:
            lines.append(
                f"| {row['trained_on']} | {row['params']:.3g} | {row['tokens']:.3g} | {row['loss']:.4f} | "
                f"{row['value']:.4f} | {row['low']:.3f} to {row['high']:.3f} |"
            )
        (HERE / "results" / "overtraining_targets.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
