"""Checks of a fitted sweep: what makes its optimum less trustworthy."""

from __future__ import annotations

import numpy as np

from scaling.checks import Check
from scaling.sweep.basin import excess
from scaling.sweep.level import Level
from scaling.sweep.pooled import PooledFit

__all__ = ["sweep_checks"]

#: Octaves from the edge of a cell's range within which its optimum is said to lie at the edge.
_EDGE = 0.2
#: Share of the spread of log loss within cells that the basin must explain.
_SHOWN = 0.3


def sweep_checks(fit: PooledFit, level: Level | None) -> list[Check]:
    """Everything worth saying about a pooled fit."""
    checks = _basin(fit) + _edges(fit) + _few(fit) + _noise(fit) + _levels(fit, level)
    if not fit.converged:
        checks.append(
            Check(
                "not-converged",
                "warning",
                "the fit had not settled when it stopped: read its parameters with care",
            )
        )
    return checks


def _basin(fit: PooledFit) -> list[Check]:
    """Whether the hyperparameters move the loss by more than chance does."""
    sweep, used = fit.sweep, fit.used
    x = sweep.x[sweep.cell]
    predicted = excess(fit.basin, sweep.z - fit.centres(x) - fit.offsets[sweep.cell], x)
    cell = sweep.cell[used]
    count = np.maximum(np.bincount(cell, minlength=sweep.cells), 1)
    loss, rest = sweep.log_loss[used], (sweep.log_loss - predicted)[used]
    spread, left = (
        ((values - (np.bincount(cell, values, sweep.cells) / count)[cell]) ** 2).sum()
        for values in (loss, rest)
    )
    explained = 1.0 - float(left / spread) if spread > 0 else 0.0
    if explained >= _SHOWN:
        return []
    return [
        Check(
            "no-basin",
            "warning",
            f"{' and '.join(sweep.hypers)} explain only {max(explained, 0.0):.0%} of how runs of one size differ: the "
            "optimum is where the prior puts it; give runs further apart, or with less noise",
            {"explained": explained},
        )
    ]


def _edges(fit: PooledFit) -> list[Check]:
    checks = []
    centres = fit.centres(fit.sweep.x) + fit.offsets
    for column, name in enumerate(fit.sweep.hypers):
        outside = {"low": 0, "high": 0}
        for cell in range(fit.sweep.cells):
            values = fit.sweep.z[fit.sweep.cell == cell, column]
            outside["low"] += int(centres[cell, column] < values.min() + _EDGE)
            outside["high"] += int(centres[cell, column] > values.max() - _EDGE)
        for side, count in outside.items():
            if count:
                word = "smallest" if side == "low" else "largest"
                checks.append(
                    Check(
                        "optimum-at-edge",
                        "warning",
                        f"in {count} of {fit.sweep.cells} cells the best {name} lies at or beyond the {word} one "
                        f"tried: where it is rests on the basin's shape; add runs with "
                        f"{'smaller' if side == 'low' else 'larger'} {name} there",
                        {"hyperparameter": name, "side": side, "cells": count},
                    )
                )
    return checks


def _few(fit: PooledFit) -> list[Check]:
    checks = []
    features = max(len(names) for names in fit.design.names)
    if fit.sweep.cells < features + 3:
        checks.append(
            Check(
                "few-cells",
                "warning",
                f"{fit.sweep.cells} cells for {features} coefficients a hyperparameter: slopes lean on the prior "
                f"(sd {fit.prior.slope_sd:g} around the published laws), and so do the intervals",
                {"cells": fit.sweep.cells, "coefficients": features},
            )
        )
    runs = np.bincount(fit.sweep.cell[fit.used], minlength=fit.sweep.cells)
    if (runs < 5).any():
        checks.append(
            Check(
                "thin-cells",
                "info",
                f"{int((runs < 5).sum())} cells have fewer than five runs near their best",
                {"cells": int((runs < 5).sum())},
            )
        )
    aside = int((~fit.used).sum())
    checks.append(
        Check(
            "outside-basin",
            "info",
            f"{aside} of {len(fit.used)} runs are too far above their cell's best to shape the "
            "basin (diverged or badly tuned) and are left out",
            {"runs": aside},
        )
    )
    return checks


def _noise(fit: PooledFit) -> list[Check]:
    source = (
        "repeated seeds and residuals" if fit.sweep.noise is not None else "residuals (no run is repeated)"
    )
    return [
        Check(
            "noise",
            "info",
            f"noise of the loss near the bottom {fit.noise:.2%}, from {source}",
            {"noise": fit.noise, "repeats": fit.sweep.repeats},
        )
    ]


def _levels(fit: PooledFit, level: Level | None) -> list[Check]:
    if level is None:
        return [Check("no-loss-law", "info", "too few cells to fit the loss itself; none is predicted")]
    if level.kind == "power":
        return [
            Check(
                "loss-without-floor",
                "warning",
                "the loss is extrapolated as a power law of compute without a floor (too few cells, or one line of "
                "sizes): far out it is too low",
            )
        ]
    return []
