"""Kaplan's law of parameters and tokens, which has no floor."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from scaling.laws.base import Law, Parameter
from scaling.laws.formula import parse

__all__ = ["KAPLAN"]

Array = NDArray[np.float64]
_TEXT = "L = ((Nc / N)^(aN / aD) + Dc / D)^aD"
_EXPONENTS = (0.03, 0.05, 0.08, 0.12, 0.2, 0.35)


def _starts(inputs: Mapping[str, Array], target: Array) -> Array:
    """For given exponents ``L^(1/aD)`` is linear in ``Nc^(aN/aD)`` and ``Dc``: least squares of relative errors."""
    rows = []
    for size_exponent, data_exponent in itertools.product(_EXPONENTS, _EXPONENTS):
        ratio = size_exponent / data_exponent
        with np.errstate(all="ignore"):
            power = target ** (1.0 / data_exponent)
            columns = np.stack([inputs["params"] ** -ratio, 1.0 / inputs["tokens"]], axis=1) / power[:, None]
        if not np.isfinite(columns).all():
            continue
        scale = np.maximum(np.sqrt((columns**2).sum(axis=0)), 1e-300)
        solved = np.linalg.lstsq(columns / scale, np.ones(len(target)), rcond=None)[0]
        # A term that least squares would make negative starts at a hundredth of the whole.
        solved = np.maximum(solved, 0.01 * np.abs(solved).max()) / scale
        rows.append([solved[0] ** (1.0 / ratio), size_exponent, solved[1], data_exponent])
    return np.array(rows, dtype=np.float64)


KAPLAN = Law(
    name="kaplan",
    title="Kaplan: loss over parameters and tokens, without a floor",
    formula=_TEXT,
    inputs=("params", "tokens"),
    parameters=(
        Parameter("Nc", "scale of parameters", "parameters", low=1.0, high=1e40, transform="log"),
        Parameter("aN", "exponent of parameters", low=1e-3, high=3.0, transform="log", aliases=("alpha_N",)),
        Parameter("Dc", "scale of tokens", "tokens", low=1.0, high=1e40, transform="log"),
        Parameter("aD", "exponent of tokens", low=1e-3, high=3.0, transform="log", aliases=("alpha_D",)),
    ),
    citation='Kaplan et al., "Scaling Laws for Neural Language Models", arXiv 2001.08361, equation 1.5',
    expression=parse(_TEXT).expression,
    assumptions=("one-epoch", "schedule-matches-tokens", "no-floor"),
    starts=_starts,
)
