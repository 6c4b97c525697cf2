"""Checks of a question put to a fit: how far it lies from anything measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scaling.checks.registry import Finding, check
from scaling.report.numbers import count, number

if TYPE_CHECKING:
    from scaling.fitted import FittedLaw

__all__: list[str] = []

Array = NDArray[np.float64]
#: Factors beyond the measured range from which on it is said, is a warning, and is not to be trusted.
SAID, WARNED, TOO_FAR = 2.0, 10.0, 300.0


def _finding(what: str, asked: Array, measured: Array) -> Finding | None:
    low, high = float(np.min(measured)), float(np.max(measured))
    above, below = float(np.max(asked)) / high, low / float(np.min(asked))
    factor = max(above, below)
    if not factor > SAID:
        return None
    side, end = ("above the largest", high) if above >= below else ("below the smallest", low)
    severity = "error" if factor > TOO_FAR else "warning" if factor > WARNED else "info"
    advice = {
        "info": "The interval allows for this.",
        "warning": "Errors of the law itself count here, not those of its parameters: see `scaling "
        "backtest` for how it "
        "did over such a distance.",
        "error": "No interval made from these runs can be relied on; make runs in between.",
    }[severity]
    value = float(np.max(asked)) if above >= below else float(np.min(asked))
    return Finding(
        severity,  # type: ignore[arg-type]
        f"{what} {count(value)} lies {number(factor, 3)} times {side} run's ({count(end)}). {advice}",
        {"factor": factor, "measured": [low, high]},
    )


def _both(fitted: FittedLaw, columns: Mapping[str, Any], name: str) -> tuple[Array, Array] | None:
    """Asked and measured values of an input, directly or through the law that this one stands on."""
    asked = columns.get(name)
    if asked is None:
        return None
    for law in (fitted, fitted.upstream):
        if law is None:
            continue
        if name in law.inputs:
            return np.asarray(asked, dtype=np.float64), law.inputs[name]
        if name in law.frame and set(law.law.inputs) & {"params", "tokens", "flops"}:
            return np.asarray(asked, dtype=np.float64), law.frame[name].to_numpy(dtype=np.float64)
    return None


@check("extrapolation-in-params", "prediction")
def _params(fitted: FittedLaw, columns: Mapping[str, Any]) -> Finding | None:
    """Distance of the asked number of parameters from the runs'."""
    both = _both(fitted, columns, "params")
    return None if both is None else _finding("params", *both)


@check("extrapolation-in-tokens", "prediction")
def _tokens(fitted: FittedLaw, columns: Mapping[str, Any]) -> Finding | None:
    """Distance of the asked number of tokens from the runs'."""
    both = _both(fitted, columns, "tokens")
    return None if both is None else _finding("tokens", *both)


@check("extrapolation-in-compute", "prediction")
def _compute(fitted: FittedLaw, columns: Mapping[str, Any]) -> Finding | None:
    """Distance of the asked compute from the runs'."""
    params, tokens = _both(fitted, columns, "params"), _both(fitted, columns, "tokens")
    if (both := _both(fitted, columns, "flops")) is not None:
        return _finding("compute in FLOP", *both)
    if params is None or tokens is None:
        return None
    return _finding("compute in FLOP (6ND)", 6.0 * params[0] * tokens[0], 6.0 * params[1] * tokens[1])


@check("extrapolation-in-tokens-per-param", "prediction")
def _ratio(fitted: FittedLaw, columns: Mapping[str, Any]) -> Finding | None:
    """Distance of the asked ratio D/N from the runs'."""
    params, tokens = _both(fitted, columns, "params"), _both(fitted, columns, "tokens")
    if params is None or tokens is None:
        return None
    return _finding("tokens per parameter", tokens[0] / params[0], tokens[1] / params[1])


@check("extrapolation-in-other-inputs", "prediction")
def _others(fitted: FittedLaw, columns: Mapping[str, Any]) -> Finding | None:
    """Distance in the law's other inputs, such as unique tokens, examples or the loss."""
    worst: Finding | None = None
    for name in fitted.law.inputs:
        if name in ("params", "tokens", "flops") or name not in columns:
            continue
        found = _finding(name, np.asarray(columns[name], dtype=np.float64), fitted.inputs[name])
        if found and (worst is None or (found.details or {})["factor"] > (worst.details or {})["factor"]):
            worst = found
    return worst
