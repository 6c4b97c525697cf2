"""The demo's pictures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from scaling.report.figures.curve import Band, Points, law_curve
from scaling.report.numbers import count
from scaling.report.theme import COLOURS, faded

if TYPE_CHECKING:
    from studies.demo.drive import Outcome
    from studies.demo.findings import Findings, Measured

__all__ = ["at_target", "landscapes", "law_of", "search", "seeds"]

#: Excess loss of the contours drawn around the law's optimum.
_CONTOURS = (0.003, 0.01, 0.03)
#: Colours saturate at this excess loss, per cent.
_WORST = 12.0
_TITLES = {"lr": "peak learning rate", "batch_size": "batch size, tokens"}


def landscapes(outcome: Outcome, findings: Findings) -> Any:
    """Loss over learning rate and batch size at each size: a run a point, the law's optimum and contours on it."""
    from plotly.subplots import make_subplots

    sizes = [(scale["params"], scale["tokens"]) for scale in findings.scales]
    sizes.append((findings.target["params"], findings.target["tokens"]))
    titles = [f"{count(params)} parameters, {count(tokens)} tokens" for params, tokens in sizes]
    titles[-1] = f"{titles[-1].replace(' parameters', '')}: predicted"
    figure = make_subplots(
        rows=math.ceil(len(sizes) / 2),
        cols=2,
        subplot_titles=titles,
        horizontal_spacing=0.1,
        vertical_spacing=0.16,
    )
    for index, (params, tokens) in enumerate(sizes):
        row, column = divmod(index, 2)
        at = {"row": row + 1, "col": column + 1}
        last = index == len(sizes) - 1
        frame = (
            outcome.target_runs
            if last
            else outcome.runs[outcome.runs["scale"] == findings.scales[index]["label"]]
        )
        _add_contours(figure, outcome, {"params": params, "tokens": tokens}, at)
        _add_runs(figure, frame, at, bar=index == 0)
        _add_optimum(figure, outcome, {"params": params, "tokens": tokens}, at, legend=index == 0)
        figure.update_xaxes(
            type="log", title_text=_TITLES["lr"], range=_log10(0.0035, 0.23), **_ticks("lr"), **at
        )
        figure.update_yaxes(
            type="log", title_text=_TITLES["batch_size"], range=_log10(40, 1600), **_ticks("batch_size"), **at
        )
    figure.update_layout(height=350 * math.ceil(len(sizes) / 2) + 60, legend={"y": 1.07})
    return figure


def _log10(low: float, high: float) -> list[float]:
    return [math.log10(low), math.log10(high)]


def _ticks(name: str) -> dict[str, Any]:
    values = {"lr": (0.005, 0.01, 0.02, 0.05, 0.1, 0.2), "batch_size": (32, 64, 128, 256, 512, 1024, 2048)}[
        name
    ]
    return {"tickvals": values, "ticktext": [f"{value:g}" for value in values]}


def _add_contours(figure: Any, outcome: Outcome, size: dict[str, float], at: dict[str, int]) -> None:
    for excess in _CONTOURS:
        curve = outcome.law.contour(size, tolerance=excess)
        figure.add_scatter(
            x=curve[:, 0],
            y=curve[:, 1],
            mode="lines",
            line={"color": COLOURS["law"], "width": 1.3, "dash": "dot"},
            name=f"{excess:.1%} above the optimum",
            showlegend=False,
            hovertemplate=f"law: {excess:.1%} above its optimum<extra></extra>",
            **at,
        )


def _add_runs(figure: Any, frame: Any, at: dict[str, int], *, bar: bool) -> None:
    done = frame[frame["status"] == "complete"]
    excess = 100 * (done["loss"] / done["loss"].min() - 1)
    hover = [
        f"loss {loss:.4f}, {over:.2f} % above the best<br>{role or phase}, seed {seed}"
        for loss, over, role, phase, seed in zip(
            done["loss"], excess, done["role"], done["phase"], done["seed"], strict=True
        )
    ]
    colours = {"thickness": 12, "outlinewidth": 0, "title": {"text": "% above the best run", "side": "right"}}
    figure.add_scatter(
        x=done["lr"],
        y=done["batch_size"],
        mode="markers",
        marker={
            "size": 9,
            "color": np.minimum(excess, _WORST),
            "cmin": 0,
            "cmax": _WORST,
            "colorscale": "Viridis_r",
            "showscale": bar,
            "colorbar": colours,
            "line": {"width": 0.5, "color": "rgba(127,127,127,0.7)"},
        },
        name="run",
        text=hover,
        hovertemplate="lr %{x:.4g}, batch %{y}<br>%{text}<extra></extra>",
        showlegend=bar,
        **at,
    )
    failed = frame[frame["status"] != "complete"]
    if len(failed):
        figure.add_scatter(
            x=failed["lr"],
            y=failed["batch_size"],
            mode="markers",
            marker={"symbol": "x-thin", "size": 9, "line": {"width": 2, "color": COLOURS["muted"]}},
            name="diverged or failed",
            showlegend=False,
            hovertemplate="lr %{x:.4g}, batch %{y}: no result<extra></extra>",
            **at,
        )


def _add_optimum(
    figure: Any, outcome: Outcome, size: dict[str, float], at: dict[str, int], *, legend: bool
) -> None:
    predicted = outcome.law.answer(size, level=outcome.plan.level)["predictions"]
    lr, batch = predicted["lr"], predicted["batch_size"]
    figure.add_scatter(
        x=[lr["value"]],
        y=[batch["value"]],
        mode="markers",
        marker={
            "symbol": "star",
            "size": 17,
            "color": COLOURS["law"],
            "line": {"width": 1, "color": "white"},
        },
        error_x=_bars(lr),
        error_y=_bars(batch),
        name=f"the law's optimum with {outcome.plan.level:.0%} intervals",
        hovertemplate="the law: lr %{x:.4g}, batch %{y:.0f}<extra></extra>",
        showlegend=legend,
        **at,
    )


def _bars(entry: dict[str, float]) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [entry["high"] - entry["value"]],
        "arrayminus": [entry["value"] - entry["low"]],
        "thickness": 1.5,
        "color": COLOURS["law"],
    }


def law_of(outcome: Outcome, findings: Findings, name: str) -> Any:
    """One hyperparameter's law over model size, with its band, the optima it was fitted to, and the prediction."""
    smallest, target = findings.scales[0], findings.target
    sizes = np.geomspace(smallest["params"] / 1.3, target["params"] * 1.3, 41)
    # Along the line of sizes that was measured: tokens follow from parameters.
    slope = math.log(target["tokens"] / smallest["tokens"]) / math.log(target["params"] / smallest["params"])
    tokens = smallest["tokens"] * (sizes / smallest["params"]) ** slope
    answers = [
        outcome.law.answer({"params": n, "tokens": d}, level=outcome.plan.level)["predictions"][name]
        for n, d in zip(sizes, tokens, strict=True)
    ]
    value, low, high = ([answer[part] for answer in answers] for part in ("value", "low", "high"))
    predicted, best = findings.prediction[name], min(findings.measured, key=lambda one: one.mean)
    points = [
        Points(
            [cell["params"] for cell in outcome.law.cells],
            [cell[name] for cell in outcome.law.cells],
            "optimum of a size, by its runs",
        ),
        Points(
            [target["params"]],
            [predicted["value"]],
            "prediction",
            colour=COLOURS["law"],
            symbol="star",
            low=[predicted["low"]],
            high=[predicted["high"]],
            size=16,
        ),
        Points(
            [target["params"]],
            [getattr(best, name)],
            f"best of the {len(findings.measured)} trained there",
            colour=COLOURS["held_out"],
            symbol="diamond-open",
            size=13,
        ),
    ]
    figure = law_curve(
        points,
        [Band(sizes, value, low, high, f"law, {outcome.plan.level:.0%} band")],
        x_title="non-embedding parameters",
        y_title=_TITLES[name],
        y_log=True,
        mark_range=(float(smallest["params"]), float(findings.scales[-1]["params"])),
    )
    figure.update_yaxes(**_ticks(name))
    shown = [*(scale["params"] for scale in findings.scales), target["params"]]
    figure.update_xaxes(tickvals=shown, ticktext=[count(size) for size in shown])
    figure.update_layout(height=430)
    return figure


def seeds(findings: Findings) -> Any:
    """What was chosen, on the seeds it was chosen on and on fresh ones, beside the baseline."""
    from plotly.subplots import make_subplots

    titles = [f"{count(scale['params'])} parameters" for scale in findings.scales]
    figure = make_subplots(rows=1, cols=len(titles), subplot_titles=titles, horizontal_spacing=0.09)
    for index, scale in enumerate(findings.scales):
        at = {"row": 1, "col": index + 1}
        chosen, baseline = scale["incumbent"], scale["baseline"]
        groups = (
            ("chosen,<br>tuning", chosen.tuning, COLOURS["light"]),
            ("chosen,<br>testing", chosen.losses, COLOURS["measured"]),
            ("baseline,<br>testing", baseline.losses, COLOURS["baseline"]),
        )
        for label, losses, colour in groups:
            _add_strip(figure, label, losses, colour, at)
        if index == 0:
            figure.update_yaxes(title_text="held-out loss, nats a byte", **at)
    figure.update_layout(height=360, showlegend=False)
    return figure


def _add_strip(figure: Any, label: str, losses: tuple[float, ...], colour: str, at: dict[str, int]) -> None:
    figure.add_scatter(
        x=[label] * len(losses),
        y=losses,
        mode="markers",
        marker={"size": 10, "color": faded(colour, 0.6), "line": {"width": 1, "color": colour}},
        hovertemplate="%{y:.4f}<extra></extra>",
        **at,
    )
    if losses:
        figure.add_scatter(
            x=[label],
            y=[float(np.mean(losses))],
            mode="markers",
            marker={"symbol": "line-ew", "size": 34, "line": {"width": 3, "color": colour}},
            hovertemplate="mean %{y:.4f}<extra></extra>",
            **at,
        )


def at_target(findings: Findings) -> Any:
    """Every configuration of the larger model, the best on top: a point a seed, a bar their mean."""
    import plotly.graph_objects as go

    figure = go.Figure()
    ordered = sorted(findings.measured, key=lambda one: one.mean, reverse=True)
    for one in ordered:
        colour = _colour(one)
        label = f"{one.role}<br><sub>lr {one.lr:.3g}, batch {one.batch_size:.0f}</sub>"
        figure.add_scatter(
            x=one.losses,
            y=[label] * len(one.losses),
            mode="markers",
            marker={"size": 10, "color": faded(colour, 0.6), "line": {"width": 1, "color": colour}},
            hovertemplate="%{x:.4f}<extra>a seed</extra>",
        )
        if one.losses:
            figure.add_scatter(
                x=[float(np.mean(one.losses))],
                y=[label],
                mode="markers",
                marker={"symbol": "line-ns", "size": 22, "line": {"width": 3, "color": colour}},
                hovertemplate="%{x:.4f}<extra>mean</extra>",
            )
    if findings.predicted_loss is not None:
        loss = findings.predicted_loss
        figure.add_vrect(
            x0=loss["low"],
            x1=loss["high"],
            fillcolor=faded(COLOURS["law"], 0.12),
            line_width=0,
            layer="below",
        )
        figure.add_vline(x=loss["value"], line={"color": COLOURS["law"], "dash": "dash", "width": 1.5})
    figure.update_xaxes(title_text="held-out loss, nats a byte")
    figure.update_layout(height=90 + 52 * len(ordered), showlegend=False)
    return figure


def _colour(one: Measured) -> str:
    return {
        "prediction": COLOURS["law"],
        "baseline, unchanged": COLOURS["baseline"],
        "small model's best, unchanged": COLOURS["other"],
    }.get(one.role, COLOURS["measured"])


def search(outcome: Outcome, findings: Findings) -> Any:
    """Each configuration in the order it was proposed, and the best so far, on the tuning seeds."""
    from plotly.subplots import make_subplots

    titles = [f"{count(scale['params'])} parameters" for scale in findings.scales]
    figure = make_subplots(rows=1, cols=len(titles), subplot_titles=titles, horizontal_spacing=0.09)
    for index, scale in enumerate(findings.scales):
        at = {"row": 1, "col": index + 1}
        frame = outcome.runs
        here = frame[
            (frame["scale"] == scale["label"])
            & (frame["phase"] == "tuning")
            & (frame["status"] == "complete")
        ]
        means = here.groupby("configuration")["loss"].mean().sort_index()
        figure.add_scatter(
            x=means.index + 1,
            y=means,
            mode="markers",
            marker={"size": 8, "color": COLOURS["measured"]},
            hovertemplate="configuration %{x}: %{y:.4f}<extra></extra>",
            **at,
        )
        figure.add_scatter(
            x=means.index + 1,
            y=means.cummin(),
            mode="lines",
            line={"color": COLOURS["law"], "shape": "hv"},
            hoverinfo="skip",
            **at,
        )
        figure.update_xaxes(title_text="configuration", **at)
        if index == 0:
            figure.update_yaxes(title_text="loss, mean of the tuning seeds", **at)
    figure.update_layout(height=340, showlegend=False)
    return figure
