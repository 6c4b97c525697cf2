"""Predictive intervals that hold in extrapolation: the law's own error is part of them."""

from scaling.uncertainty.predictive import Prediction, predictive, predictive_interval

__all__ = ["Prediction", "predictive", "predictive_interval"]
