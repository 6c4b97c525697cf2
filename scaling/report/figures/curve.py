"""A law over one axis: what was measured, the curve, its band, and predictions on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scaling.report.theme import COLOURS, faded

__all__ = ["Band", "Points", "law_curve", "log_axis"]


@dataclass(frozen=True)
class Band:
    """A curve with its interval.

    Attributes:
        x: Where the law was evaluated, ascending. Shape: ``(points,)``.
        value: The law there. Shape: ``(points,)``.
        low: Lower end of the interval, or ``None`` for a bare line. Shape: ``(points,)``.
        high: Upper end.
        name: In the legend.
        colour: ``#rrggbb``.
        dash: plotly's name of a dash pattern.
    """

    x: ArrayLike
    value: ArrayLike
    low: ArrayLike | None = None
    high: ArrayLike | None = None
    name: str = "law"
    colour: str = COLOURS["law"]
    dash: str = "solid"


@dataclass(frozen=True)
class Points:
    """Measured (or predicted) points.

    Attributes:
        x: Shape: ``(points,)``.
        y: Shape: ``(points,)``.
        name: In the legend.
        colour: ``#rrggbb``.
        symbol: plotly's name of a marker symbol.
        low: Lower ends of error bars, or ``None``.
        high: Upper ends of error bars.
        hover: One line of text a point, shown when pointed at.
        size: In pixels.
        shade: A number a point, drawn as colour in place of ``colour``; titled ``shade_title``.
        shade_title: What ``shade`` is.
    """

    x: ArrayLike
    y: ArrayLike
    name: str = "measured"
    colour: str = COLOURS["measured"]
    symbol: str = "circle"
    low: ArrayLike | None = None
    high: ArrayLike | None = None
    hover: Sequence[str] | None = None
    size: float = 7
    shade: ArrayLike | None = None
    shade_title: str = ""


def law_curve(
    points: Sequence[Points],
    bands: Sequence[Band] = (),
    *,
    x_title: str,
    y_title: str,
    x_log: bool = True,
    y_log: bool = False,
    mark_range: tuple[float, float] | None = None,
) -> Any:
    """Draw bands behind lines behind points.

    Args:
        points: Sets of points, drawn in order.
        bands: Curves with their intervals.
        x_title: With its unit.
        y_title: With its unit.
        x_log: Logarithmic axis.
        y_log: Logarithmic axis.
        mark_range: Where the law was fitted; what lies outside is shaded as extrapolation.

    Returns:
        A ``plotly.graph_objects.Figure``.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    for band in bands:
        _draw_band(figure, band)
    for group in points:
        _draw_points(figure, group)
    reach = _reach(points, bands)
    figure.update_xaxes(title_text=x_title, **(log_axis(reach) if x_log else {"type": "linear"}))
    figure.update_yaxes(title_text=y_title, type="log" if y_log else "linear")
    if mark_range is not None:
        _shade_extrapolation(figure, points, bands, mark_range, x_log)
    return figure


def _reach(points: Sequence[Points], bands: Sequence[Band]) -> NDArray[np.float64]:
    """Every x that is drawn."""
    drawn: list[ArrayLike] = [*(group.x for group in points), *(band.x for band in bands)]
    return np.concatenate([np.asarray(x, dtype=np.float64).ravel() for x in drawn])


def log_axis(values: ArrayLike) -> dict[str, Any]:
    """Settings of a logarithmic axis: labels at powers of ten only, where ``values`` span more than two."""
    x = np.asarray(values, dtype=float)
    x = x[np.isfinite(x) & (x > 0)]
    wide = x.size > 0 and x.max() >= 30 * x.min()
    return {
        "type": "log",
        **({"dtick": 1, "minor": {"ticks": "outside", "ticklen": 2, "dtick": "D1"}} if wide else {}),
    }


def _draw_band(figure: Any, band: Band) -> None:
    x = np.asarray(band.x, dtype=float)
    if band.low is not None and band.high is not None:
        around = np.concatenate([np.asarray(band.high, dtype=float), np.asarray(band.low, dtype=float)[::-1]])
        figure.add_scatter(
            x=np.concatenate([x, x[::-1]]),
            y=around,
            fill="toself",
            fillcolor=faded(band.colour),
            line={"width": 0},
            hoverinfo="skip",
            showlegend=False,
            legendgroup=band.name,
        )
    figure.add_scatter(
        x=x,
        y=np.asarray(band.value, dtype=float),
        mode="lines",
        name=band.name,
        legendgroup=band.name,
        line={"color": band.colour, "width": 2.5, "dash": band.dash},
        hovertemplate="%{y:.5g}<extra>" + band.name + "</extra>",
    )


def _draw_points(figure: Any, group: Points) -> None:
    y = np.asarray(group.y, dtype=float)
    marker: dict[str, Any] = {
        "size": group.size,
        "symbol": group.symbol,
        "opacity": 0.85,
        "color": group.colour,
    }
    if group.shade is not None:
        marker |= {
            "color": np.asarray(group.shade, dtype=float),
            "colorscale": "Viridis",
            "showscale": True,
            "colorbar": {
                "title": {"text": group.shade_title, "side": "right"},
                "thickness": 12,
                "outlinewidth": 0,
            },
        }
    bars = None
    if group.low is not None and group.high is not None:
        bars = {
            "type": "data",
            "symmetric": False,
            "array": np.asarray(group.high, dtype=float) - y,
            "arrayminus": y - np.asarray(group.low, dtype=float),
            "thickness": 1.5,
            "width": 4,
        }
    figure.add_scatter(
        x=np.asarray(group.x, dtype=float),
        y=y,
        mode="markers",
        name=group.name,
        marker=marker,
        error_y=bars,
        text=group.hover,
        hovertemplate=("%{text}<br>" if group.hover is not None else "")
        + "%{x:.4g}: %{y:.5g}<extra>"
        + group.name
        + "</extra>",
    )


def _shade_extrapolation(
    figure: Any, points: Sequence[Points], bands: Sequence[Band], fitted: tuple[float, float], x_log: bool
) -> None:
    reach = _reach(points, bands)
    for start, stop, label in ((reach.min(), fitted[0], ""), (fitted[1], reach.max(), "extrapolated")):
        if stop > start * (1 + 1e-9):
            figure.add_vrect(
                x0=start, x1=stop, fillcolor=faded(COLOURS["muted"], 0.12), line_width=0, layer="below"
            )
            # plotly places the label of a vrect wrongly on a logarithmic axis; annotations there take the exponent.
            figure.add_annotation(
                x=np.log10(stop) if x_log else stop,
                y=0.02,
                yref="y domain",
                text=label,
                showarrow=False,
                xanchor="right",
                font={"size": 12, "color": COLOURS["muted"]},
            )
