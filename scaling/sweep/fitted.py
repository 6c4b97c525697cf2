"""Fit a learning-rate and batch-size law to a sweep: :func:`fit_sweep`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scaling.checks import Check
from scaling.errors import InputError
from scaling.runs import Runs, load_runs
from scaling.sweep.bootstrap import bootstrap_coefficients
from scaling.sweep.inspect import sweep_checks
from scaling.sweep.law import PLATEAU, FittedSweep, HyperLaw
from scaling.sweep.level import fit_level
from scaling.sweep.pooled import PooledFit, fit_pooled
from scaling.sweep.problem import Prior
from scaling.sweep.shared import fit_shared
from scaling.sweep.steplaw import fit_rule
from scaling.sweep.table import Sweep, build_sweep, read_centre
from scaling.sweep.walls import fit_walls

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["METHODS", "PLATEAU", "FittedSweep", "fit_sweep"]

Array = NDArray[np.float64]

METHODS = ("pooled", "step-law")
#: Cells a coefficient from which the bootstrap of whole cells is trusted over the posterior.
_CELLS_PER_COEFFICIENT = 3
#: Octaves (and share of its spread) by which a size may lie off the line of the others that stands for it.
_OFF_LINE = 0.05


def fit_sweep(
    runs: str | Path | pd.DataFrame | Mapping[str, Sequence[Any]] | Runs,
    *,
    method: str = "pooled",
    columns: Mapping[str, str] | str | None = None,
    centre: Mapping[str, Sequence[str]] | str | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
    unit: str = "tokens",
    bend: bool = True,
    level: bool = True,
    joint: bool = True,
    prior: Prior | None = None,
) -> FittedSweep:
    """Fit the optimum of hyperparameters over sizes.

    Args:
        runs: A runs table: ``params``, ``tokens``, ``loss`` and the hyperparameters, in cells of one size.
        method: ``pooled`` (every run, one shared basin) or ``step-law`` (near-optimal runs only, arXiv:2503.04715).
        columns: Our column names to theirs.
        centre: Hyperparameter to the inputs its optimum depends on, such as
            ``{"lr": ["params", "tokens"], "weight_decay": ["tokens"]}``; learning rate and batch size over params
            and tokens unless given (batch size only where the runs have it). As text, as on the command line:
            ``"lr:params+tokens;weight_decay:tokens"``.
        bootstrap: Replicates that resample whole cells and runs; 0 takes the posterior's covariance.
        seed: Seed of the bootstrap.
        unit: Unit of ``tokens`` and ``batch_size``, repeated in answers.
        bend: Let the law bend where tokens are few; see :mod:`scaling.sweep.features`.
        level: Also fit the loss at the optimum, so that the loss is predicted.
        joint: Also learn the walls of the basin from every run, so that the best learning rate far from the best
            batch size, and the loss at any setting (all hyperparameters among the inputs of ``answer``), are right.
        prior: What to assume before any run; see :class:`scaling.sweep.pooled.Prior`.

    Raises:
        InputError: An unknown method, a missing column, one size only, cells without a common range.
    """
    if method not in METHODS:
        raise InputError(f"no method {method!r}", key="method", remedy=f"one of {', '.join(METHODS)}")
    if bootstrap < 0:
        raise InputError(f"is {bootstrap}", key="bootstrap", remedy="give 0 or more replicates")
    table = load_runs(runs, columns=columns, require=("loss", "params", "tokens"))
    centre = read_centre(centre, table)
    sweep = build_sweep(table, centre=centre)
    options = {
        "method": method,
        "centre": {k: list(v) for k, v in centre.items()},
        "bootstrap": bootstrap,
        "seed": seed,
        "bend": bend,
        "joint": joint,
        "unit": unit,
    }
    origin = {
        "source": table.source,
        "sha256": table.sha256,
        "columns": dict(table.columns),
        "rows": len(table),
        "set_aside": table.set_aside,
    }
    if method == "step-law":
        return _rule(sweep, unit, options, origin)
    fit = fit_pooled(sweep, prior=prior, bend=bend)
    covariances = _covariances(fit, bootstrap, seed)
    hypers, start = [], 0
    for column, (name, names) in enumerate(zip(sweep.hypers, fit.design.names, strict=True)):
        end = start + len(names)
        scatter = float(np.hypot(fit.scatter[column], fit.own_error[column]))
        freedom = max(sweep.cells + fit.prior.scatter_cells - len(names), 3.0)
        hypers.append(
            HyperLaw(
                name,
                names,
                fit.beta[start:end],
                covariances[start:end, start:end],
                scatter,
                freedom,
                *_range(sweep, column),
                _unit(name, unit),
            )
        )
        start = end
    line = _line(sweep)
    apart = tuple(name for name in ("params", "tokens") if name not in line)
    law = fit_level(sweep.scales, fit.levels, fit.level_variances, apart) if level else None
    return FittedSweep(
        "pooled",
        tuple(hypers),
        sweep.inputs,
        sweep.x_mid,
        fit.design.ratio_mid,
        fit.basin,
        law,
        _cells(sweep, fit),
        fit.noise,
        fit.objective,
        fit.converged,
        [*sweep.checks, *sweep_checks(fit, law)],
        origin,
        options,
        line,
        fit_walls(fit) if joint else None,
        fit_shared(fit),
    )


def _covariances(fit: PooledFit, bootstrap: int, seed: int) -> Array:
    posterior = fit.covariance[: fit.design.size, : fit.design.size]
    widest = max(len(names) for names in fit.design.names)
    if bootstrap < 2 or fit.sweep.cells < _CELLS_PER_COEFFICIENT * widest:
        return posterior
    draws = bootstrap_coefficients(fit, bootstrap, seed)
    # The bootstrap sees misfit that the posterior does not know of; the posterior sees what few cells hide.
    wider = np.maximum(np.diag(np.cov(draws, rowvar=False)) / np.diag(posterior), 1.0)
    return np.asarray(posterior * np.sqrt(np.outer(wider, wider)))


def _unit(name: str, unit: str) -> str:
    return {"lr": "peak learning rate", "batch_size": unit}.get(name, name)


def _range(sweep: Sweep, column: int) -> tuple[float, float]:
    values = 2.0 ** sweep.z[:, column]
    return float(values.min()), float(values.max())


def _cells(sweep: Sweep, fit: PooledFit | None) -> list[dict[str, float]]:
    """Each cell: its scales, runs, best loss and configuration, and the optimum that the model found in it."""
    listed = []
    centres = None if fit is None else fit.centres(sweep.x) + fit.offsets
    for cell in range(sweep.cells):
        rows = np.flatnonzero(sweep.cell == cell)
        best = rows[np.argmin(sweep.log_loss[rows])]
        entry = {name: float(values[cell]) for name, values in sweep.scales.items()}
        entry |= {"runs": float(len(rows)), "loss": float(np.exp(sweep.log_loss[best]))}
        for column, name in enumerate(sweep.hypers):
            entry[f"best_{name}"] = float(2.0 ** sweep.z[best, column])
            if centres is not None:
                entry[name] = float(2.0 ** centres[cell, column])
        if fit is not None:
            entry["optimal_loss"] = float(np.exp(fit.levels[cell]))
        listed.append(entry)
    return listed


def _line(sweep: Sweep) -> dict[str, tuple[float, float, str]]:
    """How a merged input moves with the one that was kept."""
    line: dict[str, tuple[float, float, str]] = {}
    for name in ("params", "tokens"):
        if name in sweep.inputs or not sweep.inputs:
            continue
        kept = next((other for other in ("params", "tokens") if other in sweep.inputs), None)
        if kept is None:
            continue
        x = sweep.x[:, sweep.inputs.index(kept)]
        scale = np.log2(sweep.scales[name])
        slope, middle = np.polyfit(x, scale, 1)
        if (scale - slope * x - middle).std() > max(_OFF_LINE, _OFF_LINE * scale.std()):
            continue  # left out of the law by its caller: it does not follow from the others
        line[name] = (float(middle), float(slope), kept)
    return line


def _rule(sweep: Sweep, unit: str, options: dict[str, Any], origin: dict[str, Any]) -> FittedSweep:
    hypers = tuple(
        HyperLaw(
            name,
            rule.names,
            rule.beta,
            rule.covariance,
            rule.residual_sd,
            float(max(rule.freedom, 1)),
            *_range(sweep, column),
            _unit(name, unit),
        )
        for column, (name, rule) in enumerate(zip(sweep.hypers, fit_rule(sweep), strict=True))
    )
    warning = Check(
        "near-optimal-only",
        "info",
        "Step Law's rule uses only the runs within 0.25 % of each cell's best",
        None,
    )
    return FittedSweep(
        "step-law",
        hypers,
        sweep.inputs,
        sweep.x_mid,
        0.0,
        None,
        None,
        _cells(sweep, None),
        float("nan"),
        float("nan"),
        True,
        [*sweep.checks, warning],
        origin,
        options,
        _line(sweep),
    )
