"""How well would a law have predicted its own largest runs? Rolling-origin backtests."""

from scaling.backtest.result import Backtest, interval_score
from scaling.backtest.rolling import Fold, backtest, rolling_origins

__all__ = ["Backtest", "Fold", "backtest", "interval_score", "rolling_origins"]
