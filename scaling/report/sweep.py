"""The page of a learning-rate and batch-size law: optimum over sizes, plateau, loss, and the cells behind it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from scaling.report.blocks import Block, Checks, Code, Columns, Details, Figure, Table, Text, Tile, Tiles
from scaling.report.figures import Band, Points, law_curve
from scaling.report.numbers import count, number, percent
from scaling.report.page import Page
from scaling.report.provenance import titled
from scaling.report.theme import COLOURS
from scaling.sweep.table import DEFAULT_CENTRE

if TYPE_CHECKING:
    import pandas as pd

    from scaling.sweep.law import FittedSweep

__all__ = ["sweep_page"]

Array = npt.NDArray[np.float64]
LEVEL = 0.9
#: How far beyond the largest cell curves are drawn, in compute.
REACH = 30.0
NAMES = {"lr": "learning rate", "batch_size": "batch size"}


def sweep_page(fitted: FittedSweep) -> Page:
    """The report of a fitted sweep, to be written or added to."""
    cells = fitted.cells
    runs = int(sum(cell["runs"] for cell in cells))
    page = Page(
        "Optimal hyperparameters over model size and data",
        _lead(fitted),
        Tiles([
            Tile("Cells", len(cells), "sizes at which hyperparameters were swept"),
            Tile("Runs", runs, f"of {fitted.runs.get('rows', runs)} in the table"),
            Tile("Largest cell", count(float(_flops(cells).max())), "FLOP, 6ND"),
            Tile("Noise", percent(fitted.noise, 2) if np.isfinite(fitted.noise) else "–", "of the loss, run to run"),
        ]),
        kicker=f"Learning rate and batch size, method {fitted.method}",
    )  # fmt: skip
    page.section(
        "Checks",
        Text("What makes this law less trustworthy, and what to do about it."),
        Checks(fitted.checks),
    )
    page.section("Optimum over sizes", *_optima(fitted))
    if fitted.basin is not None:
        page.section("Plateau", *_plateau(fitted))
    if fitted.level is not None:
        page.section("Loss at the optimum", _loss(fitted))
    heads = ["parameter", "value", "standard error", "meaning"]
    page.section("Parameters", Table(heads, [list(row) for row in fitted.summary_rows()]))
    page.section("Cells", _cells(fitted))
    page.section("How it was made", *_made(fitted))
    return page


def _flops(cells: list[dict[str, float]]) -> Array:
    return np.array([6.0 * cell["params"] * cell["tokens"] for cell in cells])


def _largest(fitted: FittedSweep) -> dict[str, float]:
    return fitted.cells[int(np.argmax(_flops(fitted.cells)))]


def _scales(fitted: FittedSweep, cell: dict[str, float]) -> dict[str, float]:
    """What the law has to be asked with at a cell."""
    return {name: cell[name] for name in dict.fromkeys((*fitted.inputs, "params", "tokens")) if name in cell}


def _lead(fitted: FittedSweep) -> str:
    worst = sum(check.severity == "error" for check in fitted.checks)
    text = f"**{fitted.formula}** (N parameters, D tokens), from {len(fitted.cells)} cells."
    return text + (f" **{worst} checks say not to trust it.**" if worst else "")


def _path(fitted: FittedSweep) -> tuple[Array, dict[str, Array]]:
    """Sizes from the smallest cell to :data:`REACH` times beyond the largest, at the cells' own proportions."""
    flops = _flops(fitted.cells)
    grid = np.geomspace(flops.min(), flops.max() * REACH, 40)
    points = {}
    for name in _scales(fitted, fitted.cells[0]):
        values = np.log([cell[name] for cell in fitted.cells])
        if np.ptp(np.log(flops)) > 0:
            slope, level = np.polyfit(np.log(flops), values, 1)
        else:
            slope, level = 0.0, float(values.mean())
        points[name] = np.exp(level + slope * np.log(grid))
    points["tokens"] = grid / (6.0 * points["params"])
    return grid, points


def _band(grid: Array, answered: pd.DataFrame, output: str) -> Band:
    return Band(grid, answered[output], answered[f"{output}_low"], answered[f"{output}_high"])


def _hover(cells: list[dict[str, float]]) -> list[str]:
    return [f"params {count(cell['params'])}, tokens {count(cell['tokens'])}" for cell in cells]


def _optima(fitted: FittedSweep) -> list[Block]:
    import pandas as pd

    grid, points = _path(fitted)
    answered = fitted.predict(pd.DataFrame(points), LEVEL)
    flops, cells = _flops(fitted.cells), fitted.cells
    figures: list[Block] = []
    for law in fitted.hypers:
        name = law.name
        best = [cell[f"best_{name}"] for cell in cells]
        measured = [Points(flops, best, "best run of a cell", colour=COLOURS["muted"], size=5)]
        if name in cells[0]:
            found = [cell[name] for cell in cells]
            measured.append(Points(flops, found, "optimum of a cell", symbol="diamond", hover=_hover(cells)))
        band = _band(grid, answered, name)
        title = f"{NAMES.get(name, name)} ({law.unit})" if law.unit != NAMES.get(name) else law.unit
        figure = law_curve(
            measured,
            [band],
            x_title=titled("flops"),
            y_title=title,
            y_log=True,
            mark_range=(float(flops.min()), float(flops.max())),
        )
        called = NAMES.get(name, name)
        caption = f"Optimal {called}, with the {percent(LEVEL, 2)} interval of what a sweep would measure."
        figures.append(Figure(figure, caption, 420))
    text = Text(
        "The curves follow the cells' own proportions of parameters and tokens; cells at others lie off them without "
        "being badly fitted. Shaded is extrapolation."
    )
    return [text, Columns(figures) if len(figures) > 1 else figures[0]]


def _plateau(fitted: FittedSweep) -> list[Block]:
    cell = _largest(fitted)
    where = _scales(fitted, cell)
    plateau = fitted.plateau(where)
    tolerance = percent(float(plateau["tolerance"]), 2)
    rows = [
        [NAMES.get(law.name, law.name)]
        + [number(float(value), 3) for value in (cell.get(law.name, np.nan), *_ends(plateau[law.name]))]
        for law in fitted.hypers
    ]
    at = ", ".join(f"{name} {count(value)}" for name, value in where.items())
    heads = ["hyperparameter", "optimum", "from", "to"]
    blocks: list[Block] = [
        Text(f"At the largest cell ({at}): the range of each that costs at most {tolerance} of the loss."),
        Table(heads, rows),
    ]
    if len(fitted.hypers) == 2:
        blocks.append(Figure(_contours(fitted, where, cell), "Within 0.1 and 1 % of the optimal loss.", 420))
    return blocks


def _ends(entry: dict[str, Any]) -> tuple[float, float]:
    return float(entry["low"]), float(entry["high"])


def _contours(fitted: FittedSweep, where: dict[str, float], cell: dict[str, float]) -> Any:
    import plotly.graph_objects as go

    first, second = (law.name for law in fitted.hypers)
    figure = go.Figure()
    for tolerance, dash in ((1e-3, "solid"), (1e-2, "dot")):
        curve = fitted.contour(where, tolerance)
        figure.add_scatter(
            x=curve[:, 0],
            y=curve[:, 1],
            mode="lines",
            name=percent(tolerance, 2),
            line={"color": COLOURS["law"], "dash": dash},
        )
    figure.add_scatter(
        x=[cell[f"best_{first}"]],
        y=[cell[f"best_{second}"]],
        mode="markers",
        name="best run",
        marker={"color": COLOURS["measured"], "size": 9},
    )
    figure.update_xaxes(title_text=NAMES.get(first, first), type="log")
    figure.update_yaxes(title_text=NAMES.get(second, second), type="log")
    return figure


def _loss(fitted: FittedSweep) -> Block:
    import pandas as pd

    grid, points = _path(fitted)
    answered = fitted.predict(pd.DataFrame(points), LEVEL)
    flops = _flops(fitted.cells)
    figure = law_curve(
        [
            Points(
                flops,
                [cell["loss"] for cell in fitted.cells],
                "best run of a cell",
                hover=_hover(fitted.cells),
            )
        ],
        [_band(grid, answered, "loss")],
        x_title=titled("flops"),
        y_title=titled("loss"),
        mark_range=(float(flops.min()), float(flops.max())),
    )
    return Figure(figure, "Loss at the optimum, with the interval for a new cell.", 420)


def _cells(fitted: FittedSweep) -> Block:
    names = list(fitted.cells[0])
    rows = [[float(cell[name]) for name in names] for cell in fitted.cells]
    return Details(f"All {len(rows)} cells", [Table([name.replace("_", " ") for name in names], rows)])


def _command(fitted: FittedSweep) -> str:
    """The command that makes this law again from the same runs."""
    options, runs = fitted.options, fitted.runs
    words = [f"scaling fit {Path(str(runs.get('source', 'runs.csv'))).name} --law lr-batch"]
    if runs.get("columns"):
        words.append("--columns " + ",".join(f"{ours}={theirs}" for ours, theirs in runs["columns"].items()))
    centre = {name: tuple(on) for name, on in options.get("centre", {}).items()}
    if any(DEFAULT_CENTRE.get(name) != on for name, on in centre.items()):
        text = ";".join(f"{name}:{'+'.join(on)}" for name, on in centre.items())
        words.append(f'--set "centre={text}"')
    words += [f"--set {name}=false" for name in ("bend", "joint") if options.get(name) is False]
    words.append(f"--method {fitted.method} --bootstrap {options.get('bootstrap', 0)}")
    return " ".join([*words, f"--seed {options.get('seed', 0)} -o law.json"])


def _made(fitted: FittedSweep) -> list[Block]:
    facts: list[list[object]] = [
        ["runs", fitted.runs.get("source", "–")],
        ["SHA-256 of the runs", fitted.runs.get("sha256", "–")],
        ["objective", f"{fitted.objective:.12g}"],
        ["converged", fitted.converged],
    ]
    return [Code(_command(fitted)), Table(["what", "value"], facts)]
