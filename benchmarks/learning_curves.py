"""72 learning curves extrapolated by a smoothly broken power law and by the four forms it was compared with.

The image-classification curves of "Revisiting Neural Scaling Laws in Language and Vision" (arXiv 2209.06640), in its
own split: fitted to the rows marked for training, judged by the root mean squared error of logarithms on the others. M1
to M4 are that paper's forms; the broken power law, with one break, is that of arXiv 2210.14891, whose Table 1 says on
which share of the curves each form extrapolates best. All of them are fitted by one engine, so that no form loses for
want of an optimum. M4 is given by an equation that has to be solved for the error, and stands here as a function.

    python -m benchmarks.learning_curves [--quick]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from scaling.datasets import data_path
from scaling.fitting import solve_many
from scaling.laws import Law, Parameter, get_law

Array = npt.NDArray[np.float64]
RESULTS = Path(__file__).parent / "results"
#: The papers' objective, and what `scaling fit` does unasked.
LOSSES = (("squared", 1.0), ("huber", 1e-3))
BROKEN = "one break"


def sigmoid_law(E: Array, span: Array, A: Array, a: Array, s: Array, tokens: Array) -> Array:
    """M4, ``(L - E) / (E + span - L)^s = A x^-a``, solved for L.

    With ``L = E + span sigmoid(t)`` it reads ``log sigmoid(t) - s log sigmoid(-t) = k``, which rises with t at a slope
    between 1 and s: Newton's method ends in a few steps.
    """
    k = np.log(A) - a * np.log(tokens) - (1.0 - s) * np.log(span)
    t = np.where(k < 0.0, k, k / s)
    for _ in range(12):
        rest = s * np.logaddexp(0.0, t) - np.logaddexp(0.0, -t) - k
        up = 1.0 / (1.0 + np.exp(-t))
        t = t - np.clip(rest / (1.0 - up + s * up), -4.0, 4.0)
    result: Array = E + span / (1.0 + np.exp(-t))
    return result


def laws() -> dict[str, Law]:
    """Each form by the name it has in the papers."""
    m4 = (
        Parameter("E", "error at the end", low=1e-9, transform="log", starts=(0.02, 0.1, 0.2, 0.3)),
        Parameter("span", "error at the start less E", low=1e-3, high=1.0, transform="log", starts=(0.5, 0.8, 0.95)),
        Parameter("A", "weight", low=1e-300, transform="log", starts=tuple(10.0 ** np.arange(8))),
        Parameter("a", "exponent", low=1e-3, high=10.0, transform="log", starts=(0.1, 0.2, 0.35, 0.6, 1.0)),
        Parameter("s", "sharpness of the start", low=1e-3, high=10.0, transform="log", starts=(0.1, 1.0, 2.0)),
    )  # fmt: skip
    return {
        "M1: A x^-a": get_law("power-law-no-floor", axis="tokens"),
        "M2: E + A x^-a": get_law("power-law", axis="tokens"),
        "M3: E + A (1/x + 1/s)^a": get_law("shifted-power-law", axis="tokens"),
        "M4: (L - E) / (E0 - L)^s = A x^-a": get_law(sigmoid_law, parameters=m4),
        BROKEN: get_law("broken-power-law", axis="tokens", breaks=1),
        "two breaks": get_law("broken-power-law", axis="tokens", breaks=2),
    }


def curves() -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    """Fitted and held-out rows of each curve, with ``tokens`` (examples seen) and ``loss`` (error rate)."""
    raw = pd.read_csv(data_path("revisiting_vision_curves.csv"))
    raw = raw.rename(columns={"Seen Examples": "tokens", "Loss": "loss"}).sort_values("tokens")
    groups = [part for _, part in raw.groupby(["Task", "Model"], sort=True)]
    return [(part[part["Training"] == 1], part[part["Training"] == 0]) for part in groups]


def errors(law: Law, data: list[tuple[pd.DataFrame, pd.DataFrame]], loss: str, delta: float) -> Array:
    """Root mean squared error of logarithms on each curve's held-out rows, shape ``(curves,)``."""
    fitted = solve_many(
        law,
        [({"tokens": known["tokens"]}, known["loss"].to_numpy()) for known, _ in data],
        loss=loss,
        delta=delta,
    )
    found = []
    for theta, (_, rest) in zip(fitted.theta, data, strict=True):
        predicted = law.predict(theta, {"tokens": rest["tokens"].to_numpy(dtype=float)})
        found.append(np.sqrt(np.mean(np.log(predicted / rest["loss"].to_numpy()) ** 2)))
    return np.array(found)


def measure(data: list[tuple[pd.DataFrame, pd.DataFrame]], loss: str, delta: float) -> list[dict[str, Any]]:
    """Every form under one loss; shares of best are among M1 to M4 and one break, as in the paper."""
    table, seconds = {}, {}
    for name, law in laws().items():
        start = time.process_time()
        table[name] = errors(law, data, loss, delta)
        seconds[name] = time.process_time() - start
    compared = list(table)[: list(table).index(BROKEN) + 1]
    best = np.argmin([table[name] for name in compared], axis=0)
    return [
        {
            "law": name,
            "loss": loss,
            "mean": float(off.mean()),
            "median": float(np.median(off)),
            "largest": float(off.max()),
            "best": float((best == compared.index(name)).mean()) if name in compared else None,
            "one_break_is_better": float((table[BROKEN] < off).mean()) if name != BROKEN else None,
            "cpu_seconds": seconds[name],
        }
        for name, off in table.items()
    ]


def table(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "| form | loss | error, mean | median | largest | best on | one break is better on | processor s |",
        "| --- " * 8 + "|",
    ]
    for row in rows:
        shares = [
            "" if row[key] is None else f"{100 * row[key]:.0f} %" for key in ("best", "one_break_is_better")
        ]
        numbers = [f"{row[key]:.4f}" for key in ("mean", "median", "largest")]
        lines.append(
            f"| {' | '.join([row['law'], row['loss'], *numbers, *shares])} | {row['cpu_seconds']:.2f} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="every sixth curve; nothing is written")
    quick = parser.parse_args().quick
    data = curves()[:: 6 if quick else 1]
    rows = [row for loss in LOSSES for row in measure(data, *loss)]
    lines = table(rows)
    print("\n".join(lines))
    if not quick:
        reach = [rest["tokens"].max() / known["tokens"].max() for known, rest in data]
        kept = {"curves": len(data), "median_reach": float(np.median(reach)), "rows": rows}
        (RESULTS / "learning_curves.json").write_text(json.dumps(kept, indent=1) + "\n")
        (RESULTS / "learning_curves.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
