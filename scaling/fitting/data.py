"""The runs as a law needs them, checked before anything is fitted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scaling.errors import InputError
from scaling.laws.base import Law
from scaling.runs import Runs

__all__ = ["required", "training_data"]

Array = NDArray[np.float64]


def required(law: Law) -> list[str]:
    """Columns that a runs table must have for this law."""
    names = [name for name in law.inputs if name != "flops"]
    return [*names, law.output]


def training_data(table: Runs, law: Law) -> tuple[dict[str, Array], Array]:
    """Inputs and target of the fit, each of shape ``(n,)``.

    Raises:
        InputError: A value is not finite or not above zero, there are fewer runs than parameters, or an input has
            one distinct value.
    """
    if "flops" in law.inputs and "flops" not in table:
        table.require("params", "tokens")
    inputs = {name: table.values(name) for name in law.inputs}
    measured = table.values(law.output)
    for name, column in [*inputs.items(), (law.output, measured)]:
        wrong = ~np.isfinite(column)
        if name != law.output or law.residuals == "log":
            wrong |= column <= 0
        if wrong.any():
            row = int(np.argmax(wrong))
            raise InputError(
                f"row {row + 1} has {column[row]}, where a finite number above zero is needed "
                f"({int(wrong.sum())} such rows)",
                source=table.source,
                key=name,
                remedy="mark failed or diverged runs in a column `status`, or leave them out",
            )
    if len(measured) < len(law.names):
        raise InputError(
            f"{len(measured)} runs cannot determine the {len(law.names)} parameters of {law.name}",
            source=table.source,
            remedy="make more runs, fix parameters, or fit a law with fewer",
        )
    for name, column in inputs.items():
        if len(np.unique(column)) < 2:
            raise InputError(
                f"has one distinct value ({column[0]:g}), so nothing can be said of how the {law.output} changes "
                "with it",
                source=table.source,
                key=name,
                remedy="give runs of at least two sizes, or choose a law without it",
            )
    return inputs, measured
