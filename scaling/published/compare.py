"""A picture of how laws differ: learning rate and batch size over tokens, and how flat it is around the optimum."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scaling.errors import InputError

__all__ = ["comparison_curves", "plateau_curves", "write_comparison"]

_POINTS = 41
_DECADES = 1.5
#: Fractions of the loss that plateaus are drawn at.
_TOLERANCES = (1e-3, 1e-2)


def comparison_curves(
    laws: Mapping[str, Any], inputs: Mapping[str, float], outputs: tuple[str, ...] = ("lr", "batch_size")
) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Each law's answers over tokens, from 1.5 decades below the point asked for to 1.5 above.

    Args:
        laws: Name to law.
        inputs: The point; must hold ``tokens``.
        outputs: Predictions to trace.

    Returns:
        Output to law to ``(tokens, value)`` pairs; laws that do not answer are left out.
    """
    if "tokens" not in inputs:
        raise InputError("a picture needs --tokens, which it draws over", key="tokens", remedy="add --tokens")
    centre = math.log10(inputs["tokens"])
    grid = [10 ** (centre + _DECADES * (2 * step / (_POINTS - 1) - 1)) for step in range(_POINTS)]
    curves: dict[str, dict[str, list[tuple[float, float]]]] = {output: {} for output in outputs}
    for name, law in laws.items():
        for tokens in grid:
            try:
                said = law.answer({**inputs, "tokens": tokens}, level=0.9)["predictions"]
            except InputError:
                continue
            for output in outputs:
                if output in said:
                    curves[output].setdefault(name, []).append((tokens, said[output]["value"]))
    return curves


def write_comparison(
    path: Path, laws: Mapping[str, Any], inputs: Mapping[str, float], answers: Mapping[str, Any]
) -> None:
    """Write the picture as one HTML file that fetches nothing."""
    if not path.resolve().parent.is_dir():
        raise InputError("the folder does not exist", source=str(path), remedy=f"mkdir -p {path.parent}")
    from plotly import graph_objects, subplots
    from plotly.colors import qualitative

    curves = comparison_curves(laws, inputs)
    flat = plateau_curves(laws, inputs)
    titles = ("learning rate", "batch size (tokens)", "plateau: within 0.1 and 1 % of the best loss")
    figure = subplots.make_subplots(rows=1, cols=3 if flat else 2, subplot_titles=titles[: 3 if flat else 2])
    colours = dict(zip(laws, qualitative.Safe * 4, strict=False))
    for column, output in enumerate(curves, start=1):
        for name, pairs in curves[output].items():
            x, y = zip(*pairs, strict=True)
            line = {"color": colours[name]}
            figure.add_trace(
                graph_objects.Scatter(
                    x=x, y=y, name=name, legendgroup=name, line=line, showlegend=column == 1
                ),
                row=1,
                col=column,
            )
        for name, answer in answers["laws"].items():
            entry = answer["predictions"].get(output)
            if entry is not None:
                figure.add_trace(
                    _point(graph_objects, inputs["tokens"], entry, name, colours[name]), row=1, col=column
                )
    figure.update_xaxes(type="log", title="tokens", exponentformat="power")
    figure.update_yaxes(type="log", exponentformat="power")
    if flat:
        _draw_plateaus(figure, graph_objects, flat, answers["laws"], colours)
    where = ", ".join(f"{name} = {value:.4g}" for name, value in inputs.items())
    figure.update_layout(
        title=f"Laws from different recipes, at {where}"
        if len(laws) > 1
        else f"{next(iter(laws))} at {where}",
        template="plotly_white",
        height=520,
    )
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(figure.to_html(include_plotlyjs=True), encoding="utf-8")
    scratch.replace(path)


def plateau_curves(
    laws: Mapping[str, Any], inputs: Mapping[str, float]
) -> dict[str, dict[float, list[tuple[float, float]]]]:
    """Around the optimum of each fitted law, the settings that cost the same.

    Args:
        laws: Name to law.
        inputs: The point; a hyperparameter held there leaves no plateau to draw.

    Returns:
        Law to tolerance (fraction of the loss) to ``(lr, batch_size)`` pairs; laws without a basin are left out.
    """
    curves: dict[str, dict[float, list[tuple[float, float]]]] = {}
    for name, law in laws.items():
        hypers = [one.name for one in getattr(law, "hypers", ())]
        if sorted(hypers) != ["batch_size", "lr"] or law.basin is None or set(hypers) & set(inputs):
            continue
        across, up = hypers.index("lr"), hypers.index("batch_size")
        curves[name] = {
            tolerance: [(float(row[across]), float(row[up])) for row in law.contour(inputs, tolerance)]
            for tolerance in _TOLERANCES
        }
    return curves


def _draw_plateaus(
    figure: Any,
    graph_objects: Any,
    flat: Mapping[str, Any],
    answers: Mapping[str, Any],
    colours: Mapping[str, str],
) -> None:
    for name, levels in flat.items():
        for tolerance, dash in zip(levels, ("solid", "dot"), strict=True):
            x, y = zip(*levels[tolerance], strict=True)
            figure.add_scatter(
                x=x, y=y, mode="lines", line={"color": colours[name], "dash": dash}, legendgroup=name,
                name=f"{name}, {tolerance:.1%}", showlegend=False, row=1, col=3,
            )  # fmt: skip
    for name, answer in answers.items():
        said = answer["predictions"]
        if {"lr", "batch_size"} <= said.keys():
            mark = graph_objects.Scatter(
                x=[said["lr"]["value"]], y=[said["batch_size"]["value"]], mode="markers", name=name,
                marker={"color": colours[name], "size": 9}, legendgroup=name, showlegend=False,
            )  # fmt: skip
            figure.add_trace(mark, row=1, col=3)
    figure.update_xaxes(title="learning rate", row=1, col=3)
    figure.update_yaxes(title="batch size", row=1, col=3)


def _point(graph_objects: Any, tokens: float, entry: Mapping[str, Any], name: str, colour: str) -> Any:
    error = None
    if entry["low"] is not None:
        error = {
            "type": "data",
            "symmetric": False,
            "array": [entry["high"] - entry["value"]],
            "arrayminus": [entry["value"] - entry["low"]],
        }
    return graph_objects.Scatter(
        x=[tokens], y=[entry["value"]], error_y=error, mode="markers", marker={"color": colour, "size": 9},
        legendgroup=name, name=name, showlegend=False,
    )  # fmt: skip
