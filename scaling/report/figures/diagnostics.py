"""What a fit leaves over: residuals, which runs it hangs on, predicted against measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from scaling.report.figures.curve import log_axis
from scaling.report.theme import COLOURS

__all__ = ["influence", "parity", "residuals"]


def residuals(
    x: ArrayLike,
    residual: ArrayLike,
    *,
    x_title: str,
    y_title: str = "measured − law (% of the loss)",
    spread: float | None = None,
    hover: Sequence[str] | None = None,
) -> Any:
    """Residuals over one input, with the band of twice their spread.

    Args:
        x: Shape: ``(runs,)``; drawn on a logarithmic axis.
        residual: In the unit of ``y_title``. Shape: ``(runs,)``.
        x_title: With its unit.
        y_title: With its unit.
        spread: Standard deviation of the residuals, in the same unit.
        hover: One line a run.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    if spread is not None:
        figure.add_hrect(
            y0=-2 * spread, y1=2 * spread, fillcolor=COLOURS["muted"], opacity=0.12, line_width=0
        )
    figure.add_hline(y=0, line={"color": COLOURS["muted"], "width": 1.5})
    figure.add_scatter(
        x=np.asarray(x, dtype=float),
        y=np.asarray(residual, dtype=float),
        mode="markers",
        marker={"size": 6, "opacity": 0.8, "color": COLOURS["measured"]},
        text=hover,
        hovertemplate=("%{text}<br>" if hover is not None else "") + "%{x:.4g}: %{y:.3g}<extra></extra>",
        showlegend=False,
    )
    figure.update_xaxes(title_text=x_title, **log_axis(x))
    figure.update_yaxes(title_text=y_title)
    return figure


def influence(shift: ArrayLike, labels: Sequence[str], *, x_title: str, top: int = 15) -> Any:
    """Bars: how far one number moves when each run is left out, the most influential on top.

    Args:
        shift: Change when the run is left out, in the unit of ``x_title``. Shape: ``(runs,)``.
        labels: One a run.
        x_title: Which number moves, and in which unit.
        top: Bars shown.
    """
    import plotly.graph_objects as go

    moves = np.asarray(shift, dtype=float)
    order = np.argsort(-np.abs(moves))[:top][::-1]
    colours = [COLOURS["law"] if moves[place] > 0 else COLOURS["measured"] for place in order]
    figure = go.Figure(
        go.Bar(
            x=moves[order],
            y=[labels[place] for place in order],
            orientation="h",
            marker={"color": colours},
            hovertemplate="%{y}<br>%{x:.3g}<extra></extra>",
        )
    )
    figure.update_xaxes(title_text=x_title, zeroline=True, zerolinecolor=COLOURS["muted"])
    figure.update_yaxes(type="category")
    figure.update_layout(height=120 + 22 * len(order), bargap=0.25)
    return figure


def parity(
    measured: ArrayLike,
    predicted: ArrayLike,
    *,
    title: str,
    low: ArrayLike | None = None,
    high: ArrayLike | None = None,
    hover: Sequence[str] | None = None,
) -> Any:
    """Predicted against measured, with the line where both agree and the predictions' intervals.

    Args:
        measured: Shape: ``(runs,)``.
        predicted: Shape: ``(runs,)``.
        title: What is predicted, with its unit; written on both axes.
        low: Lower ends of the intervals. Shape: ``(runs,)``.
        high: Upper ends.
        hover: One line a run.
    """
    import plotly.graph_objects as go

    x, y = np.asarray(measured, dtype=float), np.asarray(predicted, dtype=float)
    everything = np.concatenate([x, y])
    ends = [float(np.min(everything)), float(np.max(everything))]
    bars = None
    if low is not None and high is not None:
        bars = {
            "type": "data",
            "symmetric": False,
            "array": np.asarray(high, dtype=float) - y,
            "arrayminus": y - np.asarray(low, dtype=float),
            "thickness": 1.2,
            "width": 0,
        }
    figure = go.Figure()
    figure.add_scatter(
        x=ends,
        y=ends,
        mode="lines",
        line={"color": COLOURS["muted"], "width": 1.5},
        name="agreement",
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=x,
        y=y,
        mode="markers",
        marker={"size": 7, "opacity": 0.85, "color": COLOURS["held_out"]},
        error_y=bars,
        name="runs",
        text=hover,
        hovertemplate=("%{text}<br>" if hover is not None else "")
        + "measured %{x:.5g}, predicted %{y:.5g}<extra></extra>",
    )
    figure.update_xaxes(title_text=f"measured {title}")
    # Intervals may reach far: the axes follow the points.
    margin = 0.06 * (ends[1] - ends[0])
    span = [ends[0] - margin, ends[1] + margin]
    figure.update_xaxes(range=span)
    figure.update_yaxes(title_text=f"predicted {title}", range=span)
    return figure
