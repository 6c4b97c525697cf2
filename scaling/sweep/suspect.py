"""What is wrong with a sweep's table before anything is fitted: copied rows, other units, what the law leaves out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scaling.checks import Check, check_runs
from scaling.errors import InputError
from scaling.runs import Runs

__all__ = ["table_checks", "without_copies"]

Array = NDArray[np.float64]

#: Steps of training that no sweep has, at the median: the batch size is then in another unit than the tokens.
_MANY_STEPS = 3e6
#: Nats a token that no language model that learned anything has: guessing among 250,000 tokens costs 12.4.
_HIGH_LOSS = 15.0
#: What training code tunes or varies besides learning rate and batch size; left out of a law it acts as noise.
_VARIED = (
    "lr", "batch_size", "weight_decay", "warmup", "warmup_steps", "warmup_fraction", "width", "depth", "layers",
    "heads", "experts", "active_params", "unique_tokens", "dropout", "beta1", "beta2", "momentum",
)  # fmt: skip
#: Share of such a column's spread within sizes that the law's own hyperparameters must explain, or it is mentioned.
_EXPLAINED = 0.9
#: Checks of any table that matter to a sweep; those of sizes are made on its cells.
_SHARED = (
    "warmup-longer-than-training", "warmup-longer-than-a-fifth", "schedule-not-matched", "checkpoints-as-runs",
    "params-with-embeddings",
)  # fmt: skip


def without_copies(runs: Runs, checks: list[Check]) -> Runs:
    """The runs, each counted once; a check says so where rows were copied.

    A repeat of a run has another loss or another seed. A row that is the same in every column is no measurement of its
    own, and would pass for a repeat without noise.
    """
    copied = runs.frame.duplicated().to_numpy()
    if not copied.any():
        return runs
    count = int(copied.sum())
    checks.append(
        Check(
            "copied-runs",
            "warning",
            f"{count} of {len(runs)} rows are the same as another in every column and are counted once; if they are "
            "repeats of their own, add a column seed",
            {"rows": count},
        )
    )
    return runs.where(~copied)


def table_checks(
    runs: Runs, cell: NDArray[np.int64], z: Array, wanted: tuple[str, ...], keys: tuple[str, ...]
) -> list[Check]:
    """What makes a sweep's table suspect.

    Args:
        runs: The runs.
        cell: Index of each run's cell. Shape ``(runs,)``.
        z: log2 of the hyperparameters of the law. Shape ``(runs, P)``.
        wanted: Hyperparameters that were asked for.
        keys: Columns that tell cells apart.

    Raises:
        InputError: The runs of every size have one and the same loss, or every batch is larger than all tokens.
    """
    log_loss = np.log(runs.values("loss"))
    if (_within(log_loss, cell) ** 2).mean() < 1e-18:
        raise InputError(
            "every run of a size has the same loss, so nothing shows which hyperparameters are better",
            source=runs.source,
            key="loss",
            remedy="give runs that differ; runs that diverged belong in a column `status` (anything but 'complete')",
        )
    shared = [check for check in check_runs(runs) if check.name in _SHARED]
    return [*shared, *_units(runs), *_left_out(runs, cell, z, {*wanted, *keys})]


def _units(runs: Runs) -> list[Check]:
    found = []
    typical = float(np.median(runs.values("loss")))
    if typical > _HIGH_LOSS:
        found.append(
            Check(
                "loss-not-in-nats",
                "warning",
                f"a loss of {typical:.3g} is not in nats a token (guessing among 250,000 tokens costs 12.4): predicted "
                "losses are in the unit of the runs",
                {"median": typical},
            )
        )
    if "batch_size" not in runs or not np.isfinite(runs.values("batch_size")).all():
        return found
    steps = runs.values("tokens") / runs.values("batch_size")
    if (steps < 1).all():
        raise InputError(
            f"the batch of every run holds more than all its tokens ({1 / steps.max():.3g} times as many or more)",
            source=runs.source,
            key="batch_size",
            remedy="give batch_size and tokens in one unit, such as tokens",
        )
    many = float(np.median(steps))
    if "steps" not in runs and many > _MANY_STEPS:  # where steps are told, schedule-not-matched compares them
        found.append(
            Check(
                "batch-in-another-unit",
                "warning",
                f"tokens / batch_size says {many:.2g} steps of training: batch_size seems to be in another unit than "
                "tokens, such as sequences; the answer's is the same",
                {"steps": many},
            )
        )
    return found


def _left_out(runs: Runs, cell: NDArray[np.int64], z: Array, known: set[str]) -> list[Check]:
    """Columns that vary within sizes by themselves and are no part of the law."""
    inside = np.column_stack([_within(column, cell) for column in z.T])
    found = []
    for name in _VARIED:
        if name in known or name not in runs or runs.frame[name].dtype.kind not in "iuf":
            continue
        values = runs.values(name)
        if not (np.isfinite(values) & (values > 0)).all():
            continue
        moved = _within(np.log2(values), cell)
        if moved.std() < 0.05:
            continue
        rest = moved - inside @ np.linalg.lstsq(inside, moved, rcond=None)[0]
        if (rest**2).sum() > (1 - _EXPLAINED) * (moved**2).sum():
            found.append(
                Check(
                    "varied-but-left-out",
                    "warning",
                    f"{name} varies among runs of one size and is no part of the law, so what it changes counts as "
                    f"noise: name it in `centre`, or fit the runs of one {name}",
                    {"name": name},
                )
            )
    return found


def _within(values: Array, cell: NDArray[np.int64]) -> Array:
    """Less the mean of its cell."""
    count = np.bincount(cell)
    return np.asarray(values - (np.bincount(cell, values) / count)[cell])
