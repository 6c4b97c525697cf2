"""From a runs table to a sweep: cells, logarithms, the variables a law can be written in, the noise of repeats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling.checks import Check
from scaling.errors import InputError
from scaling.runs import Runs
from scaling.sweep.suspect import table_checks, without_copies

__all__ = ["DEFAULT_CENTRE", "Sweep", "build_sweep", "read_centre"]

Array = NDArray[np.float64]

#: Which inputs the optimum of each hyperparameter depends on, unless the caller says otherwise.
DEFAULT_CENTRE: Mapping[str, tuple[str, ...]] = {
    "lr": ("params", "tokens"),
    "batch_size": ("params", "tokens"),
}
_MIN_CELLS = 2
#: Sizes within this many octaves (2.8 %) are one size.
_SAME_SIZE = 0.04
#: Ranges of cells with this many runs must come within this many octaves of each other.
_FULL, _MEET = 3, 0.51
#: Correlation of two inputs' logarithms beyond which their effects cannot be told apart.
_COLLINEAR = 0.999


@dataclass(frozen=True)
class Sweep:
    """Runs of a sweep, in logarithms (base 2 for everything but the loss).

    Attributes:
        hypers: Tuned hyperparameters, ``P`` of them.
        inputs: Variables that distinguish cells and that the law is written in, ``F`` of them.
        centre: Hyperparameter to the inputs its optimum depends on (after collinear ones are dropped).
        z: log2 of the hyperparameters. Shape ``(runs, P)``.
        log_loss: Natural logarithm of the loss. Shape ``(runs,)``.
        cell: Index of each run's cell. Shape ``(runs,)``.
        x: log2 of the inputs of each cell, less ``x_mid``. Shape ``(cells, F)``.
        x_mid: log2 of the inputs at the middle of the cells. Shape ``(F,)``.
        scales: ``params`` and ``tokens`` (and other cell variables) of each cell, as given.
        noise: Standard deviation of log loss between repeats, or ``None`` where nothing is repeated.
        repeats: Degrees of freedom behind ``noise``.
        checks: What was noticed on the way.
    """

    hypers: tuple[str, ...]
    inputs: tuple[str, ...]
    centre: dict[str, tuple[str, ...]]
    z: Array
    log_loss: Array
    cell: NDArray[np.int64]
    x: Array
    x_mid: Array
    scales: dict[str, Array]
    noise: float | None
    repeats: int
    checks: list[Check] = field(default_factory=list)

    @property
    def cells(self) -> int:
        """Number of cells."""
        return len(self.x)

    def flops(self) -> Array:
        """Training compute of each cell, 6ND, FLOP. Shape ``(cells,)``."""
        return 6.0 * self.scales["params"] * self.scales["tokens"]


def build_sweep(
    runs: Runs, *, centre: Mapping[str, Sequence[str]] | None = None, min_cells: int = _MIN_CELLS
) -> Sweep:
    """Group runs into cells and take logarithms.

    Args:
        runs: Needs ``loss``, ``params``, ``tokens`` and the hyperparameters.
        centre: Hyperparameter to the inputs its optimum depends on; :data:`DEFAULT_CENTRE` unless given. A
            hyperparameter that never varies is left out, and a check says so.
        min_cells: Fewest cells that will do.

    Raises:
        InputError: A column is missing, nothing varies, there are too few cells, or cells share no range of a
            hyperparameter.
    """
    wanted = {name: tuple(on) for name, on in (DEFAULT_CENTRE if centre is None else centre).items()}
    _check_centre(wanted, runs)
    checks: list[Check] = []
    runs = without_copies(runs, checks)
    hypers = _varying(runs, wanted, checks)
    inputs = tuple(dict.fromkeys(name for hyper in hypers for name in wanted[hyper]))
    keys = tuple(dict.fromkeys(("params", "tokens", *inputs)))
    table = np.column_stack([np.log2(runs.values(key)) for key in keys])
    unique, cell = np.unique(
        np.column_stack([_clusters(column) for column in table.T]), axis=0, return_inverse=True
    )
    cell = cell.reshape(-1)
    if len(unique) < min_cells:
        raise InputError(
            f"all {len(runs)} runs have the same size (one cell of params and tokens)",
            source=runs.source,
            key="params",
            remedy="a law over sizes needs runs at two sizes or more, better four",
        )
    hypers = _within(runs, hypers, cell, checks)
    z = np.column_stack([np.log2(runs.values(name)) for name in hypers])
    log_loss = np.log(runs.values("loss"))
    checks += table_checks(runs, cell, z, tuple(wanted), keys)
    _check_overlap(z, cell, hypers, len(unique), runs.source)
    x_all = np.array([table[cell == k].mean(axis=0) for k in range(len(unique))])
    kept, centre_kept = _drop_collinear(x_all, keys, wanted, hypers, checks)
    x = x_all[:, [keys.index(name) for name in kept]]
    noise, repeats = _repeat_noise(z, log_loss, cell)
    scales = {key: 2.0 ** x_all[:, column] for column, key in enumerate(keys)}
    mid = 0.5 * (x.min(axis=0) + x.max(axis=0)) if x.size else np.zeros(0)
    return Sweep(
        hypers,
        kept,
        centre_kept,
        z,
        log_loss,
        cell.astype(np.int64),
        x - mid,
        mid,
        scales,
        noise,
        repeats,
        checks,
    )


def read_centre(centre: Mapping[str, Sequence[str]] | str | None, runs: Runs) -> Mapping[str, Sequence[str]]:
    """Which inputs the optimum of each hyperparameter depends on, as given, as text, or by default.

    Args:
        centre: A mapping; text such as ``"lr:params+tokens;weight_decay:tokens"``; or ``None`` for
            :data:`DEFAULT_CENTRE`, the batch size only where the runs have it.
        runs: The runs.
    """
    if centre is None:
        return {name: on for name, on in DEFAULT_CENTRE.items() if name in runs or name == "lr"}
    if not isinstance(centre, str):
        return centre
    parsed = {}
    for part in filter(None, (piece.strip() for piece in centre.split(";"))):
        name, colon, inputs = part.partition(":")
        names = tuple(filter(None, (entry.strip() for entry in inputs.split("+"))))
        if not (colon and name.strip() and names):
            raise InputError(
                f"cannot read {part!r}",
                key="centre",
                remedy='write it as "lr:params+tokens;batch_size:tokens"',
            )
        parsed[name.strip()] = names
    return parsed


def _clusters(values: Array) -> NDArray[np.int64]:
    """Number of each value's cluster; a new one starts where sorted values are further apart than rounding explains.

    Tokens that are cut to whole batches differ by a per cent or so within what was meant as one size.
    """
    order = np.argsort(values)
    numbers = np.empty(len(values), dtype=np.int64)
    numbers[order] = np.concatenate([[0], np.cumsum(np.diff(values[order]) > _SAME_SIZE)])
    return numbers


def _check_centre(wanted: Mapping[str, tuple[str, ...]], runs: Runs) -> None:
    if not wanted:
        raise InputError(
            "names no hyperparameter", key="centre", remedy='such as {"lr": ["params", "tokens"]}'
        )
    runs.require("loss", "params", "tokens", *wanted, *(name for on in wanted.values() for name in on))
    for name in dict.fromkeys((*wanted, *(entry for on in wanted.values() for entry in on))):
        values = runs.values(name)
        if not (np.isfinite(values) & (values > 0)).all():
            row = int(np.argmin(np.isfinite(values) & (values > 0)))
            raise InputError(
                f"row {row + 1} has {float(values[row])!r}, which has no logarithm",
                source=runs.source,
                key=name,
                remedy="leave out rows without a positive value, or leave the column out of `centre`",
            )


def _varying(runs: Runs, wanted: Mapping[str, tuple[str, ...]], checks: list[Check]) -> tuple[str, ...]:
    hypers = []
    for name in wanted:
        values = np.log2(runs.values(name))
        if np.ptp(values) > 0.01:
            hypers.append(name)
            continue
        fixed = float(2.0 ** values[0])
        checks.append(
            Check(
                "fixed-hyperparameter",
                "warning",
                f"every run has {name} = {fixed:g}: nothing is said of it, and "
                f"the answer holds at that {name}",
                {"name": name, "value": fixed},
            )
        )
    if not hypers:
        raise InputError(
            f"neither of {', '.join(wanted)} varies",
            source=runs.source,
            key=next(iter(wanted)),
            remedy="give runs at several learning rates",
        )
    return tuple(hypers)


def _within(runs: Runs, hypers: tuple[str, ...], cell: Any, checks: list[Check]) -> tuple[str, ...]:
    """Hyperparameters that vary within cells; one that only differs between cells shows no optimum anywhere."""
    kept = []
    for name in hypers:
        values = np.log2(runs.values(name))
        ranges = [np.ptp(values[cell == number]) for number in range(int(cell.max()) + 1)]
        if np.median(ranges) > 0.01:
            kept.append(name)
            continue
        checks.append(
            Check(
                "fixed-hyperparameter",
                "warning",
                f"{name} varies between sizes but not within them, so no size shows where its best is: nothing is said "
                "of it, and the answer holds along the values that were used",
                {"name": name},
            )
        )
    if not kept:
        raise InputError(
            f"{' and '.join(hypers)} {'vary' if len(hypers) > 1 else 'varies'} between sizes but not within them, "
            "so no size shows where the best is",
            source=runs.source,
            key=hypers[0],
            remedy=f"give runs at several values of {hypers[0]} at each size",
        )
    return tuple(kept)


def _check_overlap(z: Array, cell: Any, hypers: tuple[str, ...], cells: int, source: str) -> None:
    # A cell of one or two runs says little, and must not stop the others.
    full = [k for k in range(cells) if (cell == k).sum() >= _FULL]
    if len(full) < 2:
        return
    ranges = np.array([[z[cell == k].min(axis=0), z[cell == k].max(axis=0)] for k in full])
    for column, name in enumerate(hypers):
        low, high = ranges[:, 0, column], ranges[:, 1, column]
        order = np.argsort(low)
        reach = np.maximum.accumulate(high[order])
        gaps = low[order][1:] - reach[:-1]
        if len(gaps) and gaps.max() > _MEET:
            at = int(np.argmax(gaps))
            raise InputError(
                f"cells do not overlap: some have {name} up to {2.0 ** reach[at]:.3g}, the others from "
                f"{2.0 ** low[order][at + 1]:.3g} on, so they cannot share one basin",
                source=source,
                key=name,
                remedy=f"add runs so that the ranges of {name} meet",
            )


def _drop_collinear(
    x: Array,
    keys: tuple[str, ...],
    wanted: Mapping[str, tuple[str, ...]],
    hypers: tuple[str, ...],
    checks: list[Check],
) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """Keep inputs whose effects can be told apart; say which were merged into which."""
    kept: list[str] = []
    for name in dict.fromkeys(entry for hyper in hypers for entry in wanted[hyper]):
        column = x[:, keys.index(name)]
        if np.ptp(column) < 0.05:
            checks.append(
                Check(
                    "constant-input",
                    "warning",
                    f"every cell has nearly the same {name}: how the optimum "
                    f"moves with it is not identified and is taken as not at all",
                    {"input": name},
                )
            )
            continue
        basis = np.column_stack([np.ones(len(x)), *(x[:, keys.index(other)] for other in kept)])
        residual = column - basis @ np.linalg.lstsq(basis, column, rcond=None)[0]
        unexplained = float(residual.std() / column.std())
        if kept and (unexplained < np.sqrt(1 - _COLLINEAR**2) or len(x) < len(kept) + 2):
            checks.append(_collinear_check(name, kept, unexplained))
            continue
        kept.append(name)
    centre = {hyper: tuple(name for name in wanted[hyper] if name in kept) for hyper in hypers}
    for hyper in hypers:
        # A hyperparameter whose own input was merged away follows the one that stands for it.
        centre[hyper] = centre[hyper] or (tuple(kept[:1]) if wanted[hyper] else ())
    return tuple(kept), centre


def _collinear_check(name: str, kept: list[str], unexplained: float) -> Check:
    return Check(
        "collinear-inputs",
        "warning",
        f"{name} moves together with {', '.join(kept)} over these cells (or there are too few cells): their effects "
        f"cannot be told apart, so the law is written in {', '.join(kept)} alone and holds only along that line",
        {"dropped": name, "kept": list(kept), "unexplained": unexplained},
    )


def _repeat_noise(z: Array, log_loss: Array, cell: Any) -> tuple[float | None, int]:
    """Pooled standard deviation over runs with the same configuration in the same cell."""
    _, group = np.unique(np.column_stack([cell, np.round(z, 4)]), axis=0, return_inverse=True)
    group = group.reshape(-1)
    count = np.bincount(group)
    mean = np.bincount(group, log_loss) / count
    # The median over groups keeps one diverged seed from standing for the noise of all.
    spread = np.bincount(group, (log_loss - mean[group]) ** 2)
    many = count > 1
    freedom = int((count[many] - 1).sum())
    if freedom < 3:
        return None, freedom
    variances = spread[many] / (count[many] - 1)
    typical = float(np.median(variances)) * 1.5
    pooled = float(np.average(np.minimum(variances, 9 * typical), weights=count[many] - 1))
    return float(np.sqrt(max(min(pooled, 4 * typical), 1e-12))), freedom
