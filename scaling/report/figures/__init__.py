"""Figures that several reports share; each function takes arrays and returns a plotly figure."""

from __future__ import annotations

from scaling.report.figures.curve import Band, Points, law_curve
from scaling.report.figures.diagnostics import influence, parity, residuals

__all__ = ["Band", "Points", "influence", "law_curve", "parity", "residuals"]
