"""Figures of studies and comparisons; each function takes plain data and returns a plotly figure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hpo.statistics import Comparison, CostCurve, Interval, Point, Summary, interquartile_mean, profile_band
from scaling.report.theme import COLOURS, SEQUENCE, faded

__all__ = ["effects", "history", "measures", "profiles", "seeds", "slices", "trade_off"]

#: Height of figures that stand side by side.
PAIRED = 340


def measures(summaries: Sequence[Summary], metric: str) -> Any:
    """Interquartile mean, median and mean of each method with their intervals."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for place, (label, symbol) in enumerate(
        (("interquartile mean", "diamond"), ("median", "circle-open"), ("mean", "x-thin-open"))
    ):
        found = [getattr(summary, label.replace(" ", "_")) for summary in summaries]
        shown = [(row + 0.22 * (place - 1), f) for row, f in enumerate(found) if math.isfinite(f.value)]
        colour = SEQUENCE[place]
        figure.add_scatter(
            x=[f.value for _, f in shown],
            y=[row for row, _ in shown],
            mode="markers",
            name=label,
            marker={"symbol": symbol, "size": 10, "color": colour, "line": {"width": 2, "color": colour}},
            error_x=_bars([f for _, f in shown]),
            hovertemplate="%{x:.5g}<extra>" + label + "</extra>",
        )
    names = [summary.name for summary in summaries]
    figure.update_yaxes(
        tickmode="array", tickvals=list(range(len(names))), ticktext=names, range=[len(names) - 0.5, -0.5]
    )
    figure.update_xaxes(title_text=f"{metric} on testing seeds")
    figure.update_layout(height=PAIRED)
    return figure


def effects(comparison: Comparison) -> Any:
    """Probability of improvement of each pair, with its interval, around the line of no difference."""
    import plotly.graph_objects as go

    names = [f"{effect.first} > {effect.second}" for effect in comparison.effects]
    values = [effect.probability for effect in comparison.effects]
    figure = go.Figure()
    figure.add_vline(x=0.5, line={"color": COLOURS["muted"], "dash": "dash", "width": 1.5})
    figure.add_scatter(
        x=[value.value for value in values],
        y=names,
        mode="markers",
        marker={"size": 10, "color": COLOURS["held_out"]},
        error_x=_bars(values),
        hovertemplate="%{y}: %{x:.2f}<extra></extra>",
        showlegend=False,
    )
    figure.update_xaxes(title_text="P(a run of the first is better)", range=[-0.02, 1.02])
    figure.update_yaxes(type="category", autorange="reversed")
    figure.update_layout(height=PAIRED)
    return figure


def profiles(comparison: Comparison) -> Any:
    """Share of testing runs better than each value, with pointwise bands."""
    import plotly.graph_objects as go

    sign = 1.0 if comparison.direction == "maximize" else -1.0
    every = np.concatenate([runs for scores in comparison.scores.values() for runs in scores.values()])
    every = every[np.isfinite(every)]
    figure = go.Figure()
    if not len(every):
        return figure
    margin = 0.03 * (every.max() - every.min() or 1.0)
    grid = np.linspace(every.min() - margin, every.max() + margin, 160)
    for place, (name, scores) in enumerate(comparison.scores.items()):
        colour = SEQUENCE[place % len(SEQUENCE)]
        profile, low, high = profile_band(list(scores.values()), grid, level=comparison.level, replicates=500)
        x = sign * grid
        figure.add_scatter(
            x=np.concatenate([x, x[::-1]]), y=np.concatenate([high, low[::-1]]), fill="toself", hoverinfo="skip",
            fillcolor=faded(colour, 0.14), line={"width": 0}, legendgroup=name, showlegend=False,
        )  # fmt: skip
        figure.add_scatter(
            x=x, y=profile, mode="lines", name=name, legendgroup=name, line={"color": colour, "width": 2.5},
            hovertemplate="%{y:.0%} are better than %{x:.4g}<extra>" + name + "</extra>",
        )  # fmt: skip
    figure.update_xaxes(title_text=comparison.metric)
    figure.update_yaxes(title_text="share of runs that are better", range=[-0.02, 1.02], tickformat=".0%")
    figure.update_layout(height=PAIRED)
    return figure


def seeds(
    groups: Mapping[str, Mapping[int, float | None]],
    metric: str,
    direction: str,
    colours: Mapping[str, str] | None = None,
) -> Any:
    """Every run as a dot above its group, the interquartile mean as a line: tuning against testing seeds.

    Failed runs are marked along the edge where worse is; no value is claimed for them, and their group has no line.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    known = [value for runs in groups.values() for value in runs.values() if value is not None]
    floor = _worse_than(known, direction)
    for place, (name, runs) in enumerate(groups.items()):
        colour = (colours or {}).get(name, SEQUENCE[place % len(SEQUENCE)])
        order = sorted(runs)
        spread = np.linspace(-0.22, 0.22, len(order)) if len(order) > 1 else [0.0]
        placed = [(float(x), seed, runs[seed]) for x, seed in zip(spread, order, strict=True)]
        done = [(x, seed, value) for x, seed, value in placed if value is not None]
        lost = [(x, seed) for x, seed, value in placed if value is None]
        figure.add_scatter(
            x=[place + x for x, _, _ in done], y=[value for _, _, value in done], mode="markers", name=name,
            marker={"size": 9, "color": colour, "opacity": 0.8}, text=[f"seed {seed}" for _, seed, _ in done],
            hovertemplate="%{text}: %{y:.5g}<extra>" + name + "</extra>", showlegend=False,
        )  # fmt: skip
        if lost:
            figure.add_scatter(
                x=[place + x for x, _ in lost], y=[floor] * len(lost), mode="markers", name="failed",
                marker={"size": 10, "symbol": "x", "color": COLOURS["law"]}, text=[f"seed {s}" for _, s in lost],
                hovertemplate="%{text} failed<extra>" + name + "</extra>", showlegend=False,
            )  # fmt: skip
        if done and not lost:  # there is no mean of the survivors
            middle = float(interquartile_mean([value for _, _, value in done]))
            figure.add_scatter(
                x=[place - 0.32, place + 0.32], y=[middle, middle], mode="lines", showlegend=False,
                line={"color": colour, "width": 3},
                hovertemplate=f"interquartile mean {middle:.5g}<extra>{name}</extra>",
            )  # fmt: skip
    figure.update_xaxes(
        tickmode="array",
        tickvals=list(range(len(groups))),
        ticktext=[_broken(name) for name in groups],
        range=[-0.6, len(groups) - 0.4],
    )
    figure.update_yaxes(title_text=metric)
    return figure


def history(
    runs: Sequence[tuple[int, float | None, str]],
    best: Sequence[tuple[int, float]],
    metric: str,
    direction: str,
) -> Any:
    """Tuning in the order of configurations: every run, and the best mean over whole sets of seeds so far.

    Args:
        runs: Configuration, value and status of each.
        best: Configuration and the best mean up to it.
        metric: Of the value.
        direction: Of the metric; runs without a value are marked where worse is.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    for status, colour, symbol in (("complete", "measured", "circle"), ("pruned", "muted", "circle-open")):
        shown = [(number, value) for number, value, kind in runs if kind == status and value is not None]
        if shown:
            label = "run" if status == "complete" else "stopped early, where it stood"
            figure.add_scatter(
                x=[x for x, _ in shown], y=[y for _, y in shown], mode="markers", name=label,
                marker={"color": COLOURS[colour], "symbol": symbol, "size": 6, "opacity": 0.65},
                hovertemplate="configuration %{x}: %{y:.5g}<extra>" + label + "</extra>",
            )  # fmt: skip
    lost = [number for number, value, _ in runs if value is None]
    known = [value for _, value, _ in runs if value is not None]
    if lost and known:
        floor = _worse_than(known, direction)
        figure.add_scatter(
            x=lost, y=[floor] * len(lost), mode="markers", name="failed or diverged (no value)",
            marker={"color": COLOURS["law"], "symbol": "x", "size": 8},
            hovertemplate="configuration %{x} failed<extra></extra>",
        )  # fmt: skip
    if best:
        figure.add_scatter(
            x=[x for x, _ in best], y=[y for _, y in best], mode="lines", name="best mean over seeds so far",
            line={"color": COLOURS["held_out"], "width": 2.5, "shape": "hv"},
            hovertemplate="up to configuration %{x}: %{y:.5g}<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(title_text="configuration, in the order proposed")
    figure.update_yaxes(title_text=metric)
    return figure


def slices(
    name: str,
    values: Sequence[Any],
    scores: ArrayLike,
    metric: str,
    *,
    log: bool,
    chosen: Any,
    categorical: bool = False,
) -> Any:
    """The metric over one hyperparameter: each configuration's mean, the chosen value marked."""
    import plotly.graph_objects as go

    figure = go.Figure()
    shown = [str(value) for value in values] if categorical else list(values)
    order = np.arange(len(shown))
    figure.add_scatter(
        x=shown, y=np.asarray(scores, dtype=float), mode="markers", showlegend=False,
        marker={"size": 8, "color": order, "colorscale": "Viridis", "opacity": 0.85,
                "colorbar": {"title": {"text": "order"}, "thickness": 8, "outlinewidth": 0}},
        text=[f"configuration {i}" for i in order], hovertemplate="%{x}: %{y:.5g}<extra></extra>",
    )  # fmt: skip
    if not categorical and chosen is not None:
        figure.add_vline(x=chosen, line={"color": COLOURS["law"], "dash": "dot", "width": 2})
    figure.update_xaxes(title_text=name, type="category" if categorical else "log" if log else "linear")
    figure.update_yaxes(title_text=metric)
    figure.update_layout(height=300, margin={"t": 12})
    return figure


def trade_off(
    methods: Sequence[Point], baseline: Sequence[Point], *, cost: str, metric: str, direction: str
) -> Any:
    """Quality over cost: the baseline's curve, and which points lie above it.

    Args:
        methods: Points to judge.
        baseline: Those the curve goes through.
        cost: What cost is, with its unit.
        metric: The quality.
        direction: Of the metric; the axis is turned so that better is up.
    """
    import plotly.graph_objects as go

    sign = 1.0 if direction == "maximize" else -1.0
    curve = CostCurve(
        [point.cost for point in baseline], [interquartile_mean(point.scores) for point in baseline]
    )
    grid = np.geomspace(curve.costs[0], curve.costs[-1], 200)
    figure = go.Figure()
    figure.add_scatter(
        x=grid, y=sign * curve.quality_at(grid), mode="lines", name="baseline's curve",
        line={"color": COLOURS["baseline"], "width": 2.5}, hovertemplate="%{x:.4g}: %{y:.5g}<extra>baseline</extra>",
    )  # fmt: skip
    for points, label, colour, symbol in (
        (baseline, "baseline", "baseline", "circle"),
        (methods, "methods", "measured", "diamond"),
    ):
        figure.add_scatter(
            x=[point.cost for point in points],
            y=[sign * float(interquartile_mean(point.scores)) for point in points],
            mode="markers" if points is baseline else "markers+text",
            text=[point.name for point in points],
            textposition="top center",
            name=label,
            marker={"size": 10, "symbol": symbol, "color": COLOURS[colour]},
            hovertemplate="%{text}<br>%{x:.4g}: %{y:.5g}<extra></extra>",
        )
    figure.update_xaxes(title_text=cost, type="log")
    figure.update_yaxes(title_text=metric, autorange="reversed" if sign < 0 else True)
    return figure


def _broken(name: str) -> str:
    """A tick label on several lines."""
    return name.replace(", ", ",<br>").replace(":", ":<br>").replace(" ", "<br>", 1 if len(name) > 14 else 0)


def _worse_than(known: Sequence[float], direction: str) -> float:
    """A place beyond the worst value, for marks that claim none."""
    low, high = min(known, default=0.0), max(known, default=1.0)
    margin = 0.08 * ((high - low) or 1.0)
    return low - margin if direction == "maximize" else high + margin


def _bars(found: Sequence[Interval]) -> dict[str, Any]:
    """Error bars; an end that is not finite is not drawn."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [f.high - f.value if math.isfinite(f.high) else 0.0 for f in found],
        "arrayminus": [f.value - f.low if math.isfinite(f.low) else 0.0 for f in found],
        "thickness": 1.6,
    }
