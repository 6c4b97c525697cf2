"""What the optimum of a hyperparameter depends on: powers of a size, and two factors that bend the straight law.

    few_tokens       (1 + 20 N/D)^c     models of fewer tokens a parameter than are optimal for compute
    short_training   (1 + D_mid/D)^c    training shorter than the middle of the sweep, D_mid

Both fade as tokens grow, so that the law is straight where it is extrapolated to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling.sweep.table import Sweep

__all__ = ["FEW_TOKENS", "SHORT_TRAINING", "Design", "design", "factor", "features", "slopes"]

Array = NDArray[np.float64]

#: Feature of models trained on few tokens, and the tokens per parameter where it sets in: about what is optimal for
#: compute (Hoffmann et al. 2022, arXiv:2203.15556).
FEW_TOKENS, _ENOUGH_TOKENS = "few_tokens", 20.0
#: Feature of training on fewer tokens than the middle of the sweep, and the lengths of training it takes: with two the
#: runs cannot tell it from a straight law, and it is what the prior says.
SHORT_TRAINING, _LENGTHS = "short_training", 2
#: Cells from which on a bend is looked for.
_CELLS = 6


@dataclass(frozen=True)
class Design:
    """How the law's coefficients map to centres.

    Attributes:
        names: Of the features of each hyperparameter, ``P`` tuples.
        matrices: Features of each cell for each hyperparameter. ``P`` arrays of shape ``(cells, f_p)``.
        ratio_mid: log2(tokens/params) where ``few_tokens`` sets in, less that at ``x_mid``.
    """

    names: tuple[tuple[str, ...], ...]
    matrices: tuple[Array, ...]
    ratio_mid: float

    @property
    def size(self) -> int:
        """Number of coefficients of all hyperparameters."""
        return sum(len(names) for names in self.names)


def design(sweep: Sweep, bends: Mapping[str, Iterable[str]]) -> Design:
    """Features of a sweep's cells: a constant, the inputs, and those bends that its cells can show.

    Args:
        sweep: Runs in cells.
        bends: Names of the bends of each hyperparameter.
    """
    shown: set[str] = set()
    ratio_mid = 0.0
    if sweep.cells >= _CELLS and {"params", "tokens"} <= set(sweep.inputs):
        ratio = _ratio(sweep.inputs, sweep.x)
        ratio_mid = float(np.log2(_ENOUGH_TOKENS) - _ratio(sweep.inputs, sweep.x_mid))
        if ratio.min() < ratio_mid < ratio.max():
            shown.add(FEW_TOKENS)
    if sweep.cells >= _CELLS and "tokens" in sweep.inputs:
        lengths = np.unique(sweep.x[:, sweep.inputs.index("tokens")].round(2))
        if len(lengths) >= _LENGTHS:
            shown.add(SHORT_TRAINING)
    names = tuple(
        (
            "constant",
            *sweep.centre[hyper],
            *(name for name in bends[hyper] if name in shown and _over(name) <= set(sweep.centre[hyper])),
        )
        for hyper in sweep.hypers
    )
    matrices = tuple(features(one, sweep.inputs, sweep.x, ratio_mid) for one in names)
    return Design(names, matrices, ratio_mid)


def _over(bend: str) -> set[str]:
    """Inputs that a hyperparameter's law must have for it to bend."""
    return {"params", "tokens"} if bend == FEW_TOKENS else {"tokens"}


def _ratio(inputs: tuple[str, ...], x: Array) -> Array:
    return np.asarray(x[..., inputs.index("tokens")] - x[..., inputs.index("params")])


def features(names: tuple[str, ...], inputs: tuple[str, ...], x: Array, ratio_mid: float) -> Array:
    """Features at sizes ``x`` (octaves from the middle of the cells, shape ``(..., F)``). Shape ``(..., f)``."""
    columns = []
    for name in names:
        if name == "constant":
            columns.append(np.ones(x.shape[:-1]))
        elif name == FEW_TOKENS:
            columns.append(np.logaddexp2(0.0, ratio_mid - _ratio(inputs, x)))
        elif name == SHORT_TRAINING:
            columns.append(np.logaddexp2(0.0, -x[..., inputs.index("tokens")]))
        else:
            columns.append(x[..., inputs.index(name)])
    return np.stack(columns, axis=-1)


def slopes(bend: str, ratio_mid: float) -> dict[str, float]:
    """Octaves by which a bend to the power of one changes with an octave of each input, at the middle of the sweep."""
    if bend == SHORT_TRAINING:
        return {"tokens": -0.5}
    few = float(1.0 / (1.0 + 2.0**-ratio_mid))
    return {"params": few, "tokens": -few}


def factor(name: str, middle: float) -> str:
    """What the law multiplies, to the power of its coefficient.

    Args:
        name: Of a feature other than the constant.
        middle: Where the sweep's middle is, in the unit of the input (for ``short_training``: of tokens).
    """
    if name == FEW_TOKENS:
        return f"1 + {_ENOUGH_TOKENS:g} N/D"
    if name == SHORT_TRAINING:
        return f"1 + {middle:.3g}/D"
    return f"{ {'params': 'N', 'tokens': 'D'}.get(name, name) }/{middle:.3g}"
