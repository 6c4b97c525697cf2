"""Rolling origins: fit to the runs up to a cutoff, predict those beyond it, move the cutoff.

Tashman, "Out-of-sample tests of forecasting accuracy", Int. J. Forecasting 16, 2000.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scaling.backtest.result import Backtest
from scaling.errors import InputError
from scaling.laws import Law, get_law
from scaling.runs import Runs, load_runs

if TYPE_CHECKING:
    import pandas as pd

    from scaling.fitted import FittedLaw

__all__ = ["Fold", "backtest", "rolling_origins"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
#: Runs above the number of parameters below which a fit says nothing.
SPARE = 3
#: Distinct runs a parameter that make a fit worth judging, where there are as many.
COMFORTABLE = 2


@dataclass(frozen=True)
class Fold:
    """One origin.

    Attributes:
        cutoff: Largest value of the axis among the runs that are fitted.
        fitted: Which runs are fitted, shape ``(n,)``.
        held_out: Which runs are predicted, shape ``(n,)``.
    """

    cutoff: float
    fitted: Mask
    held_out: Mask


def rolling_origins(
    along: Array, *, folds: int = 5, horizon: float = 10.0, fewest: int = 8, distinct: Array | None = None
) -> list[Fold]:
    """Cutoffs for runs that lie at ``along`` on some axis, the largest cutoff first.

    The first fold holds out everything beyond a ``horizon``-th of the largest value (or, where too few runs lie below
    that, beyond the smallest cutoff that leaves enough). Further cutoffs go down in equal steps of the logarithm to the
    smallest that still leaves enough runs to fit; each predicts the runs up to ``horizon`` times its cutoff.

    Args:
        along: Value of the axis for each run, shape ``(n,)``, above zero.
        folds: Most cutoffs to use. Fewer come back where steps would fit the same runs.
        horizon: Factor beyond the cutoff up to which runs are predicted.
        fewest: Distinct runs that a fit needs.
        distinct: Labels (shape ``(n,)``) of runs that are at one place, and so count once; all are distinct by default.
    """
    order = np.sort(_firsts(along, distinct))
    if len(order) <= fewest or along.max() <= order[fewest - 1]:
        return []
    lowest, top = order[fewest - 1], along.max()
    start = max(top / horizon, lowest)
    found: list[Fold] = []
    for step in np.geomspace(start, lowest, max(folds, 1)):
        fitted = along <= step * (1 + 1e-9)
        if found and bool((fitted == found[-1].fitted).all()):
            continue
        held_out = ~fitted & (along <= step * horizon * (1 + 1e-9))
        if held_out.any():
            found.append(Fold(float(along[fitted].max()), fitted, held_out))
    return found


def _firsts(along: Array, distinct: Array | None) -> Array:
    """The axis at the first run of each label."""
    if distinct is None:
        return along
    order = np.argsort(along, kind="stable")
    _, first = np.unique(np.asarray(distinct)[order], return_index=True, axis=0)
    return along[order][first]


def backtest(
    runs: Any,
    law: str | Law | Callable[..., Any] = "chinchilla",
    *,
    axis: str | None = None,
    folds: int = 5,
    horizon: float = 10.0,
    level: float = 0.9,
    loss: str = "huber",
    delta: float = 1e-3,
    bootstrap: int = 200,
    seed: int = 0,
    columns: Mapping[str, str] | str | None = None,
    target: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    **law_options: Any,
) -> Backtest:
    """How well would this law have predicted its own largest runs?

    Args:
        runs: A CSV or Parquet file, a DataFrame, a mapping of columns, or :class:`scaling.runs.Runs`.
        law: A name from ``scaling laws``, a formula string, a Python function, or a law.
        axis: Column along which the largest runs are held out; ``flops`` where the runs have it (or params and tokens),
            else the law's first input.
        folds: Most cutoffs to use.
        horizon: Factor beyond each cutoff up to which runs are predicted.
        level: Coverage that the intervals claim.
        loss: As in :func:`scaling.fit`.
        delta: As in :func:`scaling.fit`.
        bootstrap: Replicates of the plain bootstrap beside it.
        seed: Of the bootstrap.
        columns: Our column names to theirs.
        target: Column to predict; the law's own output by default.
        progress: Called with folds done and all folds.
        law_options: Of the law.

    Raises:
        InputError: Wrong runs, level or axis, or too few runs to fit and to hold out.
    """
    if not 0.0 < level < 1.0:
        raise InputError(f"level {level} is not between 0 and 1", key="level", remedy="such as 0.9")
    if folds < 1:
        raise InputError(f"{folds} folds", key="folds", remedy="at least one")
    if not horizon > 1.0:
        raise InputError(
            f"a horizon of {horizon} is nothing beyond the cutoff", key="horizon", remedy="such as 10"
        )
    chosen = get_law(law, **law_options)
    output = target or chosen.output
    table = load_runs(runs, columns=columns, require=(*_columns(chosen), output))
    name, along = _axis(table, chosen, axis)
    places = np.stack(list(chosen.columns({c: table.values(c) for c in chosen.inputs}).values()), axis=1)
    least = len(chosen.names) + SPARE
    origins: list[Fold] = []
    for fewest in (max(COMFORTABLE * len(chosen.names), least), least):
        origins = origins or rolling_origins(
            along, folds=folds, horizon=horizon, fewest=fewest, distinct=places
        )
    if not origins:
        raise InputError(
            f"{len(table)} runs are too few to fit {len(chosen.names)} parameters and hold larger runs out",
            source=table.source,
            key=name,
            remedy=f"give more than {least} distinct runs, some of them larger along {name}",
        )
    options = {
        "law": chosen,
        "loss": loss,
        "delta": delta,
        "bootstrap": bootstrap,
        "seed": seed,
        "target": output,
    }
    parts = []
    for number, fold in enumerate(origins):
        parts.append(_predict(table, along, fold, number, level, options))
        if progress is not None:
            progress(number + 1, len(origins))
    import pandas as pd

    return Backtest(pd.concat(parts, ignore_index=True), chosen.name, name, level, table.source)


def _columns(law: Law) -> tuple[str, ...]:
    wanted = ["params", "tokens"] if "flops" in law.inputs else []
    return tuple(dict.fromkeys([name for name in law.inputs if name != "flops"] + wanted))


def _axis(table: Runs, law: Law, axis: str | None) -> tuple[str, Array]:
    name = axis
    if name is None:
        name = "flops" if "flops" in table or ("params" in table and "tokens" in table) else law.inputs[0]
    along = table.values(name)
    if not (np.isfinite(along) & (along > 0)).all():
        raise InputError(
            f"the axis {name} has values that are not finite numbers above zero",
            source=table.source,
            key="--axis",
            remedy="choose a column of sizes, such as params, tokens or flops",
        )
    return name, along


def _predict(
    table: Runs, along: Array, fold: Fold, number: int, level: float, options: Mapping[str, Any]
) -> pd.DataFrame:
    from scaling.fitted import fit_law
    from scaling.uncertainty import predictive

    fitted: FittedLaw = fit_law(table.where(fold.fitted), checks=False, **options)
    held_out = table.where(fold.held_out)
    points = {name: held_out.values(name) for name in fitted.law.inputs}
    found = predictive(fitted, points, level)
    draws = fitted.law.predict(fitted.draws if len(fitted.draws) else fitted.theta[None], points)
    low, high = np.nanquantile(draws, [0.5 * (1 - level), 0.5 * (1 + level)], axis=0)
    actual = held_out.values(fitted.output)
    frame = held_out.frame.loc[:, [name for name in fitted.law.inputs if name in held_out]].copy()
    reach = along[fold.held_out]
    return frame.assign(
        fold=number,
        cutoff=fold.cutoff,
        fitted=int(fold.fitted.sum()),
        reach=reach / fold.cutoff,
        actual=actual,
        predicted=found.value,
        low=found.low,
        high=found.high,
        error=found.value / actual - 1.0,
        bootstrap_predicted=fitted.value(points),
        bootstrap_low=low,
        bootstrap_high=high,
    )
