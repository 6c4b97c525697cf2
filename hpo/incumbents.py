"""The incumbent of a ledger: honest where :mod:`hpo.incumbent` can tell, by plain means otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from math import isnan, sqrt
from typing import Any

from hpo.ledger import Ledger
from scaling.errors import ForetuneError

__all__ = ["Estimate", "Incumbent", "choose"]


@dataclass(frozen=True)
class Estimate:
    """An expected value on new seeds with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Incumbent:
    """The chosen configuration."""

    configuration: int
    config: dict[str, Any]
    estimate: Estimate


def choose(ledger: Ledger, direction: str, **options: Any) -> Any:
    """The configuration to go on with."""
    if find_spec("hpo.incumbent") is not None:
        return import_module("hpo.incumbent").choose(ledger, direction, **options)
    sign = 1.0 if direction == "minimize" else -1.0
    best: tuple[float, int] | None = None
    for number in ledger.configurations():
        runs = ledger.of(number)
        values = [run.value for run in runs if run.status == "complete" and run.value is not None]
        if values and len(values) == len(runs):
            best = min(filter(None, (best, (sign * sum(values) / len(values), number))))
    if best is None:
        raise ForetuneError("no configuration has completed; see the errors of its runs with `hpo status`")
    values = [run.value for run in ledger.of(best[1]) if run.value is not None]
    mean = sum(values) / len(values)
    error = (
        sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1) / len(values))
        if len(values) > 1
        else float("nan")
    )
    half = 1.96 * error if not isnan(error) else float("nan")
    return Incumbent(best[1], dict(ledger.params[best[1]]), Estimate(mean, mean - half, mean + half))
