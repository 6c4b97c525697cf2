"""Checks of the runs themselves, before or after a fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scaling.checks.registry import Finding, check
from scaling.report.numbers import count, number, percent

if TYPE_CHECKING:
    import pandas as pd

    from scaling.laws import Law

__all__: list[str] = []

Array = NDArray[np.float64]
#: Names under which published tables keep N without embeddings beside N with them.
NON_EMBEDDING = ("N_no_emb", "Nne", "params_non_embedding", "non_embedding_params", "n_non_embedding")
#: Names of the length that a learning-rate schedule was made for.
SCHEDULE = {
    "schedule_steps": "steps",
    "total_steps": "steps",
    "schedule_tokens": "tokens",
    "train_tokens": "tokens",
}


def _column(table: pd.DataFrame, name: str) -> Array | None:
    if name not in table or table[name].isna().all():
        return None
    import pandas as pd

    return np.asarray(pd.to_numeric(table[name], errors="coerce"), dtype=np.float64)


def _warmup(table: pd.DataFrame) -> Array | None:
    """Warm-up as a share of training."""
    warmup, steps = _column(table, "warmup_steps"), _column(table, "steps")
    return None if warmup is None or steps is None else warmup / steps


@check("warmup-longer-than-training", "runs")
def _warmup_longer_than_training(table: pd.DataFrame, law: Law | None) -> Finding | None:
    """Runs that end before their learning rate has reached its peak."""
    share = _warmup(table)
    if share is None or not (over := share > 1).any():
        return None
    return Finding(
        "error",
        f"{int(over.sum())} of {len(table)} runs warm up for longer than they train (up to "
        f"{number(np.nanmax(share), 3)} "
        "times as long): their learning rate never reached its peak, and they lie above the trend. Leave "
        "them out "
        "(`--where 'warmup_steps < 0.2 * steps'`) or train them again with a shorter warm-up.",
        {
            "runs": int(over.sum()),
            "rows": np.flatnonzero(over).tolist(),
            "largest_share": float(np.nanmax(share)),
        },
    )


@check("warmup-longer-than-a-fifth", "runs")
def _warmup_longer_than_a_fifth(table: pd.DataFrame, law: Law | None) -> Finding | None:
    """Runs whose warm-up takes more than a fifth of training."""
    share = _warmup(table)
    if share is None or not (over := (share > 0.2) & (share <= 1)).any():
        return None
    return Finding(
        "warning",
        f"{int(over.sum())} of {len(table)} runs warm up for more than a fifth of training (up to "
        f"{percent(np.nanmax(share[over]), 3)}). Small runs are then worse than the law assumes, and its "
        "exponents "
        "come out too steep: fit once without them and compare (Porian et al., arXiv 2406.19146).",
        {"runs": int(over.sum()), "rows": np.flatnonzero(over).tolist()},
    )


@check("schedule-not-matched", "runs")
def _schedule_not_matched(table: pd.DataFrame, law: Law | None) -> Finding | None:
    """Runs whose learning-rate schedule is longer than their training."""
    for planned, done in SCHEDULE.items():
        plan, real = _column(table, planned), _column(table, done)
        if plan is None or real is None or not (short := real < 0.9 * plan).any():
            continue
        return Finding(
            "warning",
            f"{int(short.sum())} of {len(table)} runs stopped before 90 % of their schedule (`{done}` "
            "against "
            f"`{planned}`): the learning rate had not decayed, so the loss is higher than a run of that "
            "length gives. "
            "Use only runs whose schedule ends with their tokens (Hoffmann et al., arXiv 2203.15556, "
            "section 2).",
            {"runs": int(short.sum()), "column": planned},
        )
    steps, batch, tokens = (_column(table, name) for name in ("steps", "batch_size", "tokens"))
    if steps is None or batch is None or tokens is None:
        return None
    ratio = steps * batch / tokens
    wrong = np.abs(np.log(ratio)) > 0.1
    if not wrong.any():
        return None
    return Finding(
        "warning",
        f"in {int(wrong.sum())} of {len(table)} runs `steps` x `batch_size` is not `tokens` (ratio "
        f"{number(np.nanmin(ratio), 3)} to {number(np.nanmax(ratio), 3)}): either the batch size is not in "
        "tokens, or "
        "the schedule has another length than the training. Give `batch_size` in the unit of `tokens`.",
        {"runs": int(wrong.sum()), "ratio": [float(np.nanmin(ratio)), float(np.nanmax(ratio))]},
    )


@check("checkpoints-as-runs", "runs")
def _checkpoints_as_runs(table: pd.DataFrame, law: Law | None) -> Finding | None:
    """Checkpoints of one training counted as runs of their own."""
    if "group" in table:
        runs = int(table["group"].nunique())
        if runs == len(table):
            return None
        return Finding(
            "warning",
            f"the {len(table)} rows are checkpoints of {runs} runs (column `group`): they are not "
            "independent, and all "
            "but the last were measured before the learning rate had decayed. The bootstrap resamples "
            "whole runs; the "
            "fit itself would be safer on the last row of each.",
            {"rows": len(table), "runs": runs},
        )
    suspects = _evenly_spaced(table)
    if not suspects:
        return None
    return Finding(
        "warning",
        f"{suspects} sizes have five or more rows at evenly spaced tokens, as checkpoints of one training "
        "have. If they "
        "are, name the training in a column `group`, so that uncertainty is not underestimated, or keep "
        "the last row of "
        "each.",
        {"sizes": suspects},
    )


def _evenly_spaced(table: pd.DataFrame) -> int:
    """Sizes whose runs share everything but tokens and look like a training's checkpoints."""
    if not {"params", "tokens"} <= set(table.columns):
        return 0
    suspects = 0
    keys = [name for name in ("params", "lr", "batch_size", "seed") if name in table]
    for _, rows in table.groupby(keys):
        tokens = np.sort(rows["tokens"].to_numpy(dtype=np.float64))
        gaps = np.diff(tokens)
        if len(tokens) >= 5 and gaps.min() > 0 and gaps.std() < 0.02 * gaps.mean():
            suspects += 1
    return suspects


@check("repeated-data-in-one-epoch-law", "runs")
def _repeated_data(table: pd.DataFrame, law: Law | None) -> Finding | None:
    """Runs over repeated data in a law that counts every token as new."""
    if law is None or "unique_tokens" in law.inputs or "tokens" not in table:
        return None
    if "one-epoch" not in law.assumptions and not {"tokens", "flops"} & set(law.inputs):
        return None
    unique, epochs = _column(table, "unique_tokens"), _column(table, "epochs")
    if unique is not None:
        epochs = np.asarray(table["tokens"], dtype=np.float64) / unique
    if epochs is None or not (repeated := epochs > 1.05).any():
        return None
    return Finding(
        "warning",
        f"{int(repeated.sum())} of {len(table)} runs repeat their data (up to "
        f"{number(np.nanmax(epochs), 3)} epochs), and "
        f"{law.name} counts every token as new. Up to four epochs cost little; beyond, fit `repeated-data` "
        "or leave "
        "them out (Muennighoff et al., arXiv 2305.16264).",
        {"runs": int(repeated.sum()), "most_epochs": float(np.nanmax(epochs))},
    )


@check("params-with-embeddings", "runs")
def _params_with_embeddings(table: pd.DataFrame, law: Law | None) -> Finding | None:
    """N that counts embeddings, where they are a large part of small models."""
    params = _column(table, "params")
    if params is None or (law is not None and "params" not in law.inputs):
        return None
    share = None
    if (embedding := _column(table, "embedding_params")) is not None:
        # Only where N is their sum can the column tell: N without embeddings may well be smaller than them.
        share = np.where(embedding < params, embedding / params, np.nan)
    for name in NON_EMBEDDING:
        if (without := _column(table, name)) is not None and (without < 0.99 * params).any():
            share = 1 - without / params
    if share is None or not np.nanmax(share, initial=0.0) > 0.1:
        return None
    return Finding(
        "warning",
        f"`params` seems to count embeddings: they are up to {percent(np.nanmax(share), 3)} of N (least "
        f"{percent(np.nanmin(share), 2)}). Their share falls with size, which bends the law: with them "
        "exponents of small "
        "models come out differently (Pearce & Song, arXiv 2406.12907). Give non-embedding parameters, and "
        "ask for "
        "predictions in the same count.",
        {"largest_share": float(np.nanmax(share)), "smallest_share": float(np.nanmin(share))},
    )


@check("collinear-inputs", "runs")
def _collinear(table: pd.DataFrame, law: Law | None) -> Finding | None:
    """Parameters and tokens that grow together, so that their effects cannot be told apart."""
    if law is not None and not {"params", "tokens"} <= set(law.inputs):
        return None
    params, tokens = _column(table, "params"), _column(table, "tokens")
    if params is None or tokens is None or len(np.unique(params)) < 2 or len(np.unique(tokens)) < 2:
        return None
    correlation = float(np.corrcoef(np.log(params), np.log(tokens))[0, 1])
    if not abs(correlation) > 0.98:
        return None
    low, high = float(np.min(tokens / params)), float(np.max(tokens / params))
    return Finding(
        "error" if abs(correlation) > 0.9999 else "warning",
        f"log N and log D are correlated by {correlation:.4f} (tokens per parameter {number(low, 3)} to "
        f"{number(high, 3)}): "
        "which of the two lowers the loss cannot be told apart. Fit a law in one of them (`power-law`), or "
        "make runs at "
        "a second ratio of tokens to parameters.",
        {"correlation": correlation},
    )


@check("few-distinct-scales", "runs")
def _few_scales(table: pd.DataFrame, law: Law | None) -> Finding | None:
    """Fewer different sizes than the law has parameters."""
    names = [name for name in (law.inputs if law is not None else ("params", "tokens")) if name in table]
    if not names:
        return None
    places = len(table[names].drop_duplicates())
    each = {name: int(table[name].nunique()) for name in names}
    least = min(each, key=lambda name: each[name])
    needed = len(law.names) if law is not None else 3
    if places >= needed and each[least] >= 3:
        return None
    said = ", ".join(f"{value} of `{name}`" for name, value in each.items())
    return Finding(
        "error" if places < needed else "warning",
        f"{places} distinct scales ({said}) for {needed} parameters: a power law with a floor needs three "
        "values of an "
        "input to show its bend. Add runs at other sizes; more seeds at the same ones do not help.",
        {"distinct": places, "each": each, "parameters": needed},
    )


def describe(columns: dict[str, Any]) -> str:
    """Inputs in a few words: ``params 1.4B, tokens 900B``."""
    return ", ".join(f"{name} {count(float(np.max(values)))}" for name, values in columns.items())
