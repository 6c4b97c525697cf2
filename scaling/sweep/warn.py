"""What to say beside an answer: how far it is from anything measured, and what the fit could not know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from scaling.sweep.law import FittedSweep

__all__ = ["answer_warnings", "nearest_cell"]

#: Factor beyond the measured sizes from which an answer is called an extrapolation.
_BEYOND = 1.05
_FAR = 1000.0


def nearest_cell(law: FittedSweep, given: Mapping[str, float]) -> tuple[dict[str, float], float]:
    """The measured cell nearest in the law's inputs, and its distance in octaves (root of summed squares)."""
    x = law.position(given)
    positions = [law.position(cell) for cell in law.cells]
    distances = [float(np.sqrt(((x - other) ** 2).sum())) for other in positions]
    at = int(np.argmin(distances))
    return law.cells[at], distances[at]


def answer_warnings(
    law: FittedSweep,
    given: Mapping[str, float],
    predictions: Mapping[str, Any],
    cost: tuple[float, float, float],
) -> list[str]:
    """Warnings of one answer, the fit's own last."""
    said = _distance(law, given)
    said += _off_line(law, given)
    for one in law.hypers:
        value = predictions.get(one.name, {}).get("value", given.get(one.name))
        if value is not None and not one.low <= value <= one.high:
            side = "above the largest" if value > one.high else "below the smallest"
            bound = one.high if value > one.high else one.low
            said.append(f"{one.name} {value:.3g} is {side} in any run ({bound:.3g})")
    if law.level is not None and "loss" not in predictions:
        lacking = " and ".join(name for name in ("params", "tokens") if name not in given)
        said.append(f"no loss is predicted: it also depends on {lacking}")
    if cost[0] > 1e-4:
        held = ", ".join(f"{one.name} {given[one.name]:.4g}" for one in law.hypers if one.name in given)
        said.append(
            f"holding {held} costs {np.expm1(cost[0]):.2%} of loss against the best that is predicted"
        )
    if any(one.name in given for one in law.hypers) and law.basin is None:
        said.append(
            f"method {law.method!r} has no basin: the answer is the optimum, not the best at what is held"
        )
    return said + [check.message for check in law.checks if check.severity != "info"]


def _distance(law: FittedSweep, given: Mapping[str, float]) -> list[str]:
    said = []
    for name in law.inputs:
        measured = [cell[name] for cell in law.cells]
        value = given[name]
        if value > _BEYOND * max(measured):
            said.append(
                f"extrapolation: {name} {value:.3g} is {value / max(measured):.3g} times the largest measured"
            )
        elif value * _BEYOND < min(measured):
            said.append(
                f"extrapolation: {name} {value:.3g} is {min(measured) / value:.3g} times below the smallest measured"
            )
    cell, octaves = nearest_cell(law, given)
    if octaves > 0.1 and {"params", "tokens"} <= given.keys():
        ratio = given["params"] * given["tokens"] / (cell["params"] * cell["tokens"])
        where = f"params {cell['params']:.3g}, tokens {cell['tokens']:.3g}"
        said.append(f"nearest measured cell: {where}; this is {ratio:.3g} times its compute")
    if {"params", "tokens"} <= given.keys():
        largest = max(cell["params"] * cell["tokens"] for cell in law.cells)
        ratio = given["params"] * given["tokens"] / largest
        if ratio > _FAR:
            said.append(
                f"{ratio:.3g} times the compute of the largest cell: no backtest reaches that far, and the interval "
                "takes the law to stay straight"
            )
    return said


def _off_line(law: FittedSweep, given: Mapping[str, float]) -> list[str]:
    said = []
    for name, (middle, slope, kept) in law.line.items():
        if name not in given or kept not in given:
            continue
        expected = 2.0 ** (middle + slope * (np.log2(given[kept]) - law.x_mid[law.inputs.index(kept)]))
        factor = given[name] / expected
        if not 0.5 <= factor <= 2.0:
            said.append(
                f"the cells lie on one line, on which {name} would be {expected:.3g} here, not {given[name]:.3g}: the "
                f"law in {kept} alone cannot say what that changes"
            )
    return said
