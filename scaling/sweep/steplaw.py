"""Step Law's own rule, to compare with: keep the runs within 0.25 % of each cell's best, regress logs on logs.

Li et al. 2025 (arXiv:2503.04715), section 4: ordinary least squares of ``log lr`` on ``log N`` and ``log D``, and of
``log batch`` on ``log D``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling.errors import InputError
from scaling.sweep.table import Sweep

__all__ = ["NEAR", "RuleFit", "fit_rule"]

Array = NDArray[np.float64]

#: A run is near-optimal within this fraction of its cell's lowest loss.
NEAR = 0.0025


@dataclass(frozen=True)
class RuleFit:
    """Coefficients of one hyperparameter's regression.

    Attributes:
        names: ``constant`` and the inputs.
        beta: log2 of the hyperparameter per log2 of the inputs (less ``x_mid``). Shape ``(f,)``.
        covariance: Of ``beta``. Shape ``(f, f)``.
        residual_sd: Octaves.
        freedom: Residual degrees of freedom.
    """

    names: tuple[str, ...]
    beta: Array
    covariance: Array
    residual_sd: float
    freedom: int


def fit_rule(sweep: Sweep) -> tuple[RuleFit, ...]:
    """One regression a hyperparameter, with statsmodels.

    Raises:
        InputError: Fewer near-optimal runs than coefficients.
    """
    from statsmodels.api import OLS

    best = np.full(sweep.cells, np.inf)
    np.minimum.at(best, sweep.cell, sweep.log_loss)
    near = sweep.log_loss - best[sweep.cell] <= np.log1p(NEAR)
    fits = []
    for column, hyper in enumerate(sweep.hypers):
        wanted = ("tokens",) if hyper == "batch_size" and "tokens" in sweep.inputs else sweep.centre[hyper]
        x = np.column_stack(
            [np.ones(len(sweep.z)), *(sweep.x[sweep.cell, sweep.inputs.index(name)] for name in wanted)]
        )
        if near.sum() <= x.shape[1]:
            raise InputError(
                f"{int(near.sum())} runs are within {NEAR:.2%} of their cell's best, fewer than the rule needs",
                key="method", remedy="use the pooled method, which uses every run",
            )  # fmt: skip
        result = OLS(sweep.z[near, column], x[near]).fit()
        fits.append(
            RuleFit(
                ("constant", *wanted),
                np.asarray(result.params),
                np.asarray(result.cov_params()),
                float(np.sqrt(max(result.scale, 0.0))),
                int(result.df_resid),
            )
        )
    return tuple(fits)
