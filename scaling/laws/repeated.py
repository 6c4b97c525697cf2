"""Loss when data is repeated: each repeat, and each parameter beyond what the data supports, is worth less."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from scaling.laws.base import Law, Parameter
from scaling.laws.chinchilla import CHINCHILLA, CHINCHILLA_TIED
from scaling.laws.expression import FUNCTIONS, Expr, symbol

__all__ = ["REPEATED", "REPEATED_TIED"]

Array = NDArray[np.float64]

_DECAYS = (2.0, 5.0, 15.0, 60.0, 500.0)
#: Of the starts without a decay of parameters, how many are tried with each decay.
_KEPT = 8


_exp, _log, _min = (FUNCTIONS[name] for name in ("exp", "log", "min"))


def _effective(unique: Expr, repeats: Expr, decay: Expr) -> Expr:
    """Equation 5: ``U + U R* (1 - exp(-R / R*))``."""
    return unique * (1.0 + decay * (1.0 - _exp(-repeats / decay)))


def _expression(tied: bool) -> Expr:
    size, tokens, unique = (symbol(name, positive=True) for name in ("params", "tokens", "unique_tokens"))
    floor, weight, data_weight, exponent = (symbol(name) for name in ("E", "A", "B", "a"))
    data_exponent = exponent if tied else symbol("b")
    unique_data = _min(unique, tokens)
    # Parameters that are compute-optimal for the unique tokens (Chinchilla's optimum, solved for D = U).
    log_ratio = _log(exponent * weight / (data_exponent * data_weight)) / (exponent + data_exponent)
    log_optimum = log_ratio + data_exponent / exponent * (log_ratio + _log(unique_data))
    unique_size = _min(_exp(log_optimum), size)
    data = _effective(unique_data, tokens / unique_data - 1.0, symbol("rd"))
    effective_size = _effective(unique_size, size / unique_size - 1.0, symbol("rn"))
    return floor + weight * effective_size ** (-exponent) + data_weight * data ** (-data_exponent)


def _starts(base: Law, inputs: Mapping[str, Array], target: Array) -> Array:
    """Chinchilla's starts on effective tokens, for each decay of tokens; then each decay of parameters."""
    from scaling.fitting.starts import grid_starts

    unique = np.minimum(inputs["unique_tokens"], inputs["tokens"])
    repeats = inputs["tokens"] / unique - 1.0
    rows = []
    for decay in _DECAYS:
        effective = {
            "params": inputs["params"],
            "tokens": unique * (1.0 + decay * (1.0 - np.exp(-repeats / decay))),
        }
        found = grid_starts(base, effective, target, np.ones(len(target)))
        errors = np.abs(np.log(base.predict(found, effective) / target)).sum(axis=1)
        best = found[np.argsort(errors, kind="stable")[:_KEPT]]
        rows += [np.column_stack([best, np.tile([decay, other], (len(best), 1))]) for other in _DECAYS]
    return np.concatenate(rows)


def _law(base: Law, name: str, *, tied: bool) -> Law:
    data_exponent = "a" if tied else "b"
    return dataclasses.replace(
        base,
        name=name,
        title="repeated data: Chinchilla on effective parameters and tokens"
        + (", one exponent" if tied else ""),
        formula=f"L = E + A / N'^a + B / D'^{data_exponent},  "
        "D' = U (1 + rd (1 - exp(-(D/U - 1) / rd))),  N' alike with rn",
        inputs=("params", "tokens", "unique_tokens"),
        parameters=(
            *base.parameters,
            Parameter(
                "rd",
                "repeats after which further ones are worth 1/e",
                "repeats",
                low=1e-2,
                high=1e4,
                transform="log",
                starts=_DECAYS,
                aliases=("RD*", "R_D"),
            ),
            Parameter(
                "rn",
                "the same for parameters beyond what the unique data supports",
                "repeats",
                low=1e-2,
                high=1e4,
                transform="log",
                starts=_DECAYS,
                aliases=("RN*", "R_N"),
            ),
        ),
        citation='Muennighoff et al., "Scaling Data-Constrained Language Models", arXiv 2305.16264, equation 5',
        expression=_expression(tied),
        assumptions=("schedule-matches-tokens",),
        starts=partial(_starts, base),
    )


REPEATED = _law(CHINCHILLA, "repeated-data", tied=False)
REPEATED_TIED = _law(CHINCHILLA_TIED, "repeated-data-tied", tied=True)
