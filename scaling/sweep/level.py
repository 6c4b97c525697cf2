"""The loss at the optimum over sizes, so that the loss itself is predicted.

With cells in both params and tokens the levels get a loss law (Chinchilla's form, its exponents held where there are
fewer than eight cells); on a ladder of one line a power law in compute. Either is fitted to the levels that the
pooled model found, so that badly tuned runs do not pull it up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Level", "fit_level"]

Array = NDArray[np.float64]

#: Cells that a loss law with five parameters needs, and one whose exponents are held.
_ENOUGH, _ENOUGH_HELD = 8, 4
#: Exponents to hold where the cells cannot show them: Hoffmann et al. 2022 (arXiv:2203.15556), rounded.
_EXPONENTS = {"a": 0.34, "b": 0.28}
_REPLICATES = 200


@dataclass(frozen=True)
class Level:
    """Loss at the optimum.

    Attributes:
        kind: ``chinchilla``, or ``power`` for ``log L = a + b log C``.
        stored: What the kind needs, JSON-serialisable.
    """

    kind: str
    stored: dict[str, Any]

    @cached_property
    def _law(self) -> Any:
        from scaling.fitted import FittedLaw

        return FittedLaw.from_dict(self.stored["law"])

    def log_loss(self, scales: Mapping[str, float], level: float) -> tuple[float, float, float]:
        """Log of the loss and of its interval's ends at one size."""
        value, low, high = self.log_losses({name: np.array([at]) for name, at in scales.items()}, level)[0]
        return float(value), float(low), float(high)

    def log_losses(self, scales: Mapping[str, Array], level: float) -> Array:
        """Log of the loss and of its interval's ends at sizes.

        Args:
            scales: ``params`` and ``tokens`` of each size. Shapes ``(n,)``.
            level: Coverage of the interval.

        Returns:
            Value, low and high. Shape ``(n, 3)``.
        """
        if self.kind == "chinchilla":
            # The interval of the loss law itself; it was fitted to cells, one point each.
            said = self._law.predict({name: scales[name] for name in ("params", "tokens")}, level=level)
            return np.asarray(np.log(said[["loss", "loss_low", "loss_high"]].to_numpy(dtype=np.float64)))
        from scipy.special import stdtrit

        compute = np.log(6.0 * scales["params"] * scales["tokens"]) - self.stored["mid"]
        x = np.column_stack([np.ones(len(compute)), compute])
        beta, covariance = np.array(self.stored["beta"]), np.array(self.stored["covariance"])
        middle = x @ beta
        spread = np.sqrt((x @ covariance * x).sum(axis=1) + self.stored["residual"] ** 2)
        reach = spread * float(stdtrit(max(self.stored["freedom"], 1), 0.5 + level / 2))
        return np.column_stack([middle, middle - reach, middle + reach])


def fit_level(
    scales: Mapping[str, Array], levels: Array, variances: Array, inputs: tuple[str, ...]
) -> Level | None:
    """Fit the loss law of the levels; ``None`` with fewer than three cells.

    Args:
        scales: ``params`` and ``tokens`` of each cell.
        levels: Log loss at each cell's optimum. Shape ``(cells,)``.
        variances: Of the levels. Shape ``(cells,)``.
        inputs: Inputs that the cells tell apart.
    """
    if len(levels) < 3:
        return None
    if len(levels) >= _ENOUGH_HELD and {"params", "tokens"} <= set(inputs):
        law = _chinchilla(scales, levels, held=len(levels) < _ENOUGH)
        if law is not None:
            return law
    compute = np.log(6.0 * scales["params"] * scales["tokens"])
    mid = float(compute.mean())
    x = np.column_stack([np.ones(len(levels)), compute - mid])
    weight = 1.0 / (variances + 1e-6)
    matrix = np.linalg.inv((x.T * weight) @ x)
    beta = matrix @ (x.T * weight) @ levels
    freedom = max(len(levels) - 2, 1)
    residual = levels - x @ beta
    inflate = max(float((weight * residual**2).sum() / freedom), 1.0)
    return Level(
        "power",
        {
            "beta": beta.tolist(),
            "covariance": (matrix * inflate).tolist(),
            "mid": mid,
            "residual": float(np.sqrt((residual**2).sum() / freedom)),
            "freedom": freedom,
        },
    )


def _chinchilla(scales: Mapping[str, Array], levels: Array, *, held: bool) -> Level | None:
    from scaling.errors import ForetuneError
    from scaling.fitted import fit_law

    table = {"params": scales["params"], "tokens": scales["tokens"], "loss": np.exp(levels)}
    try:
        law = fit_law(
            {name: list(column) for name, column in table.items()},
            "chinchilla",
            bootstrap=_REPLICATES,
            fixed=_EXPONENTS if held else None,
        )
    except ForetuneError:
        return None
    return Level("chinchilla", {"law": law.to_dict()})
