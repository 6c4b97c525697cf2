"""Where a fit comes from: its data, and how to make it again."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scaling.report.blocks import Block, Code, Details, Table
from scaling.report.numbers import count

if TYPE_CHECKING:
    from scaling.fitted import FittedLaw

__all__ = ["data_blocks", "made_blocks", "titled"]

#: What stands on axes.
TITLES = {
    "flops": "training compute 6ND (FLOP)",
    "params": "parameters N",
    "tokens": "training tokens D",
    "unique_tokens": "unique tokens U",
    "loss": "loss (nats per token)",
    "examples": "training examples",
}


def titled(name: str) -> str:
    """What stands on the axis of a column."""
    return TITLES.get(name, name)


def data_blocks(fitted: FittedLaw) -> list[Block]:
    """Ranges of the columns, and all runs folded away."""
    ranges = [
        [titled(name), count(float(values.min())), count(float(values.max())), len(np.unique(values))]
        for name, values in {**fitted.inputs, fitted.output: fitted.target}.items()
    ]
    aside = (
        f"; {fitted.runs.set_aside} unfinished or failed runs were set aside" if fitted.runs.set_aside else ""
    )
    columns = [*fitted.inputs, fitted.output]
    every = zip(*fitted.inputs.values(), fitted.target, fitted.fitted_values, strict=True)
    return [
        Table(["column", "smallest", "largest", "distinct"], ranges, f"{fitted.runs.n} runs{aside}."),
        Details("All runs", [Table([*columns, "law"], [list(map(float, row)) for row in every], limit=300)]),
    ]


def made_blocks(fitted: FittedLaw) -> list[Block]:
    """The command that makes the fit again, hashes and versions."""
    options = fitted.options
    command = (
        f"scaling fit {Path(fitted.runs.source).name} --law {fitted.law.name} --loss {options.loss} "
        f"--delta {options.delta:g} --bootstrap {options.bootstrap} --seed {options.seed} -o law.json"
    )
    if fitted.runs.columns:
        command += " --columns " + ",".join(
            f"{ours}={theirs}" for ours, theirs in fitted.runs.columns.items()
        )
    facts: list[list[object]] = [
        ["law", fitted.law.citation],
        ["runs", fitted.runs.source],
        ["SHA-256 of the runs", fitted.runs.sha256],
        ["summed objective", f"{fitted.objective:.12g}"],
        ["starts that reached it", f"{fitted.reached} of {fitted.starts}"],
        ["gradient vanished", fitted.converged],
        ["Python", platform.python_version()],
    ]
    facts += [[name, _version(name)] for name in ("foretune", "numpy", "scipy", "pandas")]
    return [Code(command), Table(["what", "value"], facts)]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
