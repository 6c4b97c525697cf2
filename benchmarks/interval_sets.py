"""Public sets of runs with a decade of compute to hold out, as tables; shared by the measurements of intervals.

How each is built is said beside it. The split in :data:`SELECTION` was fixed before a method was scored on the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scaling.datasets import data_path

#: Sets that the method was chosen on. The others were scored once it was fixed; then the learning curves showed that
#: parameters at a bound must stay there, so that they count as chosen on too.
SELECTION = ("chinchilla", "testbed-rpj-web", "testbed-rpj-other", "datablations-once", "vision-curves")

WEB = ("loss_c4_val", "loss_paloma_c4_en", "loss_paloma_falcon-refinedweb")
OTHER = (
    "loss_openlm",
    "loss_paloma_redpajama",
    "loss_paloma_ptb",
    "loss_paloma_dolma_100_programing_languages",
    "loss_val_de-en_100",
)
TRAINED_ON = {"c4": "c4_original", "rpj": "rpj", "rw": "rw_original"}


@dataclass(frozen=True)
class RunSet:
    """One public set.

    Attributes:
        name: What tables call it.
        law: Law fitted to it: that of the paper the runs come from, Chinchilla's where it has none.
        frame: The runs, with ``flops``.
        targets: Losses predicted, each fitted by itself.
        kind: ``text`` counts in the pooled figures. ``off-distribution`` (evaluations on other text than was trained
            on) and ``curve`` (checkpoints of one training each) are reported beside them.
    """

    name: str
    law: str
    frame: pd.DataFrame
    targets: tuple[str, ...] = ("loss",)
    kind: str = "text"
    axis: str = "flops"


def chinchilla() -> RunSet:
    """Read off the paper's figure by Epoch; as in their fit, the five runs of highest loss are left out."""
    raw = pd.read_csv(data_path("chinchilla_epoch_245.csv")).sort_values("loss").iloc[:-5]
    return RunSet(
        "chinchilla",
        "chinchilla",
        _runs(raw["Model Size"], raw["Training FLOP"] / 6 / raw["Model Size"], raw["loss"]),
    )


def testbed(trained_on: str, columns: tuple[str, ...], kind: str) -> RunSet:
    """Every run of one training set of the over-training testbed, warm-up defects included."""
    raw = pd.read_csv(data_path("overtraining_testbed_104.csv"))
    raw = raw[raw["dataset_name"] == TRAINED_ON[trained_on]]
    frame = _runs(raw["N"], raw["D"], raw[list(columns)])
    web = kind == "text"
    return RunSet(f"testbed-{trained_on}-{'web' if web else 'other'}", "over-training", frame, columns, kind)


def misfitting(rate: float | None) -> RunSet:
    """Best learning rate of each model and token count (or the one rate given); non-embedding parameters."""
    raw = pd.read_csv(data_path("misfitting_last_checkpoint.csv"))
    if rate is not None:
        raw = raw[np.isclose(raw["peak_lr"], rate)]
    best = raw.loc[raw.groupby(["N_no_emb", "D"])["loss"].idxmin()]
    name = "misfitting-best" if rate is None else f"misfitting-lr-{rate:g}"
    return RunSet(name, "chinchilla", _runs(best["N_no_emb"], best["D"], best["loss"]))


def datablations(repeated: bool) -> RunSet:
    """One-epoch runs; or those of up to 16 epochs, which the repeated-data law is for."""
    raw = pd.read_csv(data_path("datablations_repeats.csv"))
    raw = raw[raw["epochs"] <= (16.0 if repeated else 1.0001)]
    frame = _runs(raw["N"], raw["D"], raw[["loss", "U"]]).rename(columns={"U": "unique_tokens"})
    name, law = ("datablations-repeats", "repeated-data") if repeated else ("datablations-once", "chinchilla")
    return RunSet(name, law, frame)


def step_law(which: str) -> RunSet:
    """Smallest or median loss over learning rates and batch sizes of each (N, D) cell."""
    raw = pd.read_csv(data_path("steplaw_lr_batch_small.csv"))
    cells = (
        raw.groupby(["params", "tokens"])["loss"].agg("min" if which == "best" else "median").reset_index()
    )
    return RunSet(f"step-law-{which}", "chinchilla", _runs(cells["params"], cells["tokens"], cells["loss"]))


def vision() -> RunSet:
    """The 72 learning curves as targets of one set: error rate over examples seen, at most 60 points a curve."""
    raw = pd.read_csv(data_path("revisiting_vision_curves.csv"))
    raw["curve"] = raw["Task"] + "/" + raw["Model"]
    parts = []
    for _, curve in raw.groupby("curve", sort=True):
        curve = curve.sort_values("Seen Examples")
        steps = np.geomspace(1, len(curve), 60).round().astype(int) - 1
        parts.append(curve.iloc[np.unique(steps)])
    thin = pd.concat(parts)
    frame = pd.DataFrame({"tokens": thin["Seen Examples"], "loss": thin["Loss"], "curve": thin["curve"]})
    return RunSet("vision-curves", "power-law", frame, tuple(sorted(set(frame["curve"]))), "curve", "tokens")


SETS: dict[str, Callable[[], RunSet]] = {
    "chinchilla": chinchilla,
    "testbed-rpj-web": lambda: testbed("rpj", WEB, "text"),
    "datablations-once": lambda: datablations(False),
    "testbed-c4-web": lambda: testbed("c4", WEB, "text"),
    "testbed-rw-web": lambda: testbed("rw", WEB, "text"),
    "misfitting-best": lambda: misfitting(None),
    "misfitting-lr-0.002": lambda: misfitting(0.002),
    "misfitting-lr-0.001": lambda: misfitting(0.001),
    "step-law-best": lambda: step_law("best"),
    "step-law-median": lambda: step_law("median"),
    "datablations-repeats": lambda: datablations(True),
    "testbed-rpj-other": lambda: testbed("rpj", OTHER, "off-distribution"),
    "testbed-c4-other": lambda: testbed("c4", OTHER, "off-distribution"),
    "testbed-rw-other": lambda: testbed("rw", OTHER, "off-distribution"),
    "vision-curves": vision,
}


def _runs(params: pd.Series, tokens: pd.Series, loss: pd.Series | pd.DataFrame) -> pd.DataFrame:
    frame = loss.to_frame("loss") if isinstance(loss, pd.Series) else loss.copy()
    # As floats: 6ND overflows 64-bit integers.
    frame.insert(0, "params", params.to_numpy(dtype=float))
    frame.insert(1, "tokens", tokens.to_numpy(dtype=float))
    frame.insert(2, "flops", 6.0 * frame["params"] * frame["tokens"])
    return frame.sort_values("flops").reset_index(drop=True)
