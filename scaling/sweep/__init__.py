"""Learning rate and batch size over sizes: the pooled model of a sweep, and Step Law's rule to compare with."""

from __future__ import annotations

from scaling.sweep.fitted import FittedSweep, fit_sweep
from scaling.sweep.problem import Prior

__all__ = ["FittedSweep", "Prior", "fit_sweep"]
