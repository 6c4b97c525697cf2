"""A picture of how laws differ: learning rate and batch size over tokens, one line a law."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scaling.errors import InputError

__all__ = ["comparison_curves", "write_comparison"]

_POINTS = 41
_DECADES = 1.5


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
    figure = subplots.make_subplots(rows=1, cols=2, subplot_titles=("learning rate", "batch size (tokens)"))
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
    where = ", ".join(f"{name} = {value:.4g}" for name, value in inputs.items())
    figure.update_layout(
        title=f"Laws from different recipes, at {where}", template="plotly_white", height=520
    )
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(figure.to_html(include_plotlyjs=True), encoding="utf-8")
    scratch.replace(path)


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
