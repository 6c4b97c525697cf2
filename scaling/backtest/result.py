"""What a backtest found: one row a held-out run, and the summaries that people read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["METHODS", "Backtest", "interval_score"]

Array = NDArray[np.float64]
#: Prefix of each method's columns in the table, and its name for people.
METHODS = {"": "foretune", "bootstrap_": "bootstrap"}


def interval_score(actual: ArrayLike, low: ArrayLike, high: ArrayLike, level: float) -> Array:
    """Winkler's interval score: width, plus ``2 / (1 - level)`` times the distance of what falls outside.

    Gneiting and Raftery, "Strictly Proper Scoring Rules, Prediction, and Estimation", J. Am. Stat. Assoc. 102, 2007,
    equation 43. Smaller is better; no interval does better on average than the one that really holds at ``level``.

    Args:
        actual: What was measured, shape ``(m,)``. Give logarithms of everything to score relative widths.
        low: Lower ends, shape ``(m,)``.
        high: Upper ends, shape ``(m,)``.
        level: Coverage that the intervals claim.

    Returns:
        Shape ``(m,)``, in the unit of ``actual``.
    """
    y, a, b = (np.asarray(values, dtype=np.float64) for values in (actual, low, high))
    outside = np.maximum(a - y, 0.0) + np.maximum(y - b, 0.0)
    result: Array = (b - a) + 2.0 / (1.0 - level) * outside
    return result


@dataclass(frozen=True)
class Backtest:
    """Predictions of runs that the fit had not seen.

    Attributes:
        table: One row a held-out run and fold: ``fold``, ``cutoff``, ``reach`` (axis over cutoff), ``actual``,
            ``predicted``, ``low``, ``high``, ``error`` (relative), and the same of the plain bootstrap as
            ``bootstrap_predicted``, ``bootstrap_low``, ``bootstrap_high``.
        law: Name of the law.
        axis: Column along which runs were held out.
        level: Coverage that the intervals claim.
        source: Where the runs came from.
    """

    table: pd.DataFrame
    law: str
    axis: str
    level: float
    source: str

    @property
    def coverage(self) -> float:
        """Share of the held-out runs inside their interval."""
        return float(self._inside("").mean())

    @property
    def bootstrap_coverage(self) -> float:
        """The same for the plain bootstrap interval of the law."""
        return float(self._inside("bootstrap_").mean())

    @property
    def mean_absolute_error(self) -> float:
        """Mean absolute relative error of the central prediction."""
        return float(np.abs(self.table["error"]).mean())

    @property
    def interval_score(self) -> float:
        """Mean interval score, in shares of the measured value."""
        return self._score("")

    @property
    def bootstrap_interval_score(self) -> float:
        """The same for the plain bootstrap interval of the law."""
        return self._score("bootstrap_")

    @property
    def width_needed(self) -> float:
        """Factor on the intervals' width at which a share ``level`` of these predictions would have been covered.

        Conformal, with the rank of a finite sample (Vovk et al., "Algorithmic Learning in a Random World", 2005). It
        speaks of origins and horizons like these, not of predictions that reach further.
        """
        table = self.table
        off = table["actual"] - table["predicted"]
        half = np.where(off > 0, table["high"] - table["predicted"], table["predicted"] - table["low"])
        ratios = np.abs(off) / np.maximum(half, 1e-300)
        rank = min(1.0, np.ceil((len(ratios) + 1) * self.level) / len(ratios))
        return float(np.quantile(ratios, rank, method="higher"))

    @property
    def folds(self) -> pd.DataFrame:
        """One row a fold: runs fitted and predicted, error, and each method's coverage, width and interval score."""
        import pandas as pd

        rows = []
        for fold, part in self.table.groupby("fold", sort=True):
            alone = Backtest(part, self.law, self.axis, self.level, self.source)
            row: dict[str, Any] = {
                "fold": fold,
                "cutoff": part["cutoff"].iloc[0],
                "fitted": part["fitted"].iloc[0],
                "predicted": len(part),
                "reach": part["reach"].max(),
                "error": alone.mean_absolute_error,
            }
            for prefix in METHODS:
                row[f"{prefix}coverage"] = float(alone._inside(prefix).mean())
                row[f"{prefix}width"] = float(
                    alone._relative(prefix, "high").sub(alone._relative(prefix, "low")).mean()
                )
                row[f"{prefix}interval_score"] = alone._score(prefix)
            rows.append(row)
        return pd.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        """As ``scaling backtest --json`` prints it."""
        return {
            "law": self.law,
            "source": self.source,
            "axis": self.axis,
            "level": self.level,
            "predicted": len(self.table),
            "mean_absolute_error": self.mean_absolute_error,
            "coverage": self.coverage,
            "interval_score": self.interval_score,
            "width_needed": self.width_needed,
            "bootstrap_coverage": self.bootstrap_coverage,
            "bootstrap_interval_score": self.bootstrap_interval_score,
            "folds": self.folds.to_dict(orient="records"),
        }

    def _inside(self, prefix: str) -> pd.Series[bool]:
        actual = self.table["actual"]
        inside: pd.Series[bool] = (actual >= self.table[f"{prefix}low"]) & (
            actual <= self.table[f"{prefix}high"]
        )
        return inside

    def _relative(self, prefix: str, end: str) -> pd.Series[float]:
        ratio: pd.Series[float] = self.table[f"{prefix}{end}"] / self.table["actual"]
        return ratio

    def _score(self, prefix: str) -> float:
        low, high = self._relative(prefix, "low"), self._relative(prefix, "high")
        return float(interval_score(np.ones(len(low)), low, high, self.level).mean())
