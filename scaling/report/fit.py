"""The page of a fitted law: what it says, how sure it is, what it hangs on, and how it was made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scaling.errors import InputError
from scaling.report.blocks import Block, Checks, Columns, Details, Figure, Table, Text, Tile, Tiles
from scaling.report.figures import Band, Points, influence, law_curve, parity, residuals
from scaling.report.numbers import count, number, percent
from scaling.report.page import Page
from scaling.report.provenance import data_blocks, made_blocks, titled

if TYPE_CHECKING:
    from scaling.backtest import Backtest
    from scaling.fitted import FittedLaw

__all__ = ["fit_page", "write_fit_report"]

Array = NDArray[np.float64]
LEVEL = 0.9


def write_fit_report(fitted: Any, path: str | Path, *, backtest: bool = True) -> Path:
    """Write the report of a fit as one self-contained HTML page.

    Args:
        fitted: What :func:`scaling.fit` returned, a law of the loss or of learning rate and batch size.
        path: Where to write it.
        backtest: Whether to also predict the law's own largest runs (a few fits more).

    Raises:
        InputError: The folder does not exist, or the fit is of another kind.
    """
    from scaling.fitted import FittedLaw
    from scaling.sweep.law import FittedSweep

    if isinstance(fitted, FittedSweep):
        from scaling.report.sweep import sweep_page

        return sweep_page(fitted).write(path)
    if not isinstance(fitted, FittedLaw):
        raise InputError(
            f"no report is written for {type(fitted).__name__}",
            key="--report",
            remedy="give what scaling.fit returned",
        )
    return fit_page(fitted, backtest=backtest).write(path)


def fit_page(fitted: FittedLaw, *, backtest: bool = True) -> Page:
    """The report of a fit, to be written or added to."""
    tested = _backtest(fitted) if backtest else None
    page = Page(
        f"{fitted.law.title[:1].upper()}{fitted.law.title[1:]}",
        _lead(fitted, tested),
        Tiles(_tiles(fitted, tested)),
        kicker=f"Scaling law fitted to {fitted.runs.n} runs",
    )
    page.section("Checks", _checks_text(fitted), Checks(fitted.checks))
    page.section("The law and the runs", *_curve(fitted))
    page.section("Parameters", *_parameters(fitted))
    page.section("Residuals", *_residuals(fitted))
    page.section("Influence", *_influence(fitted))
    page.section("Backtest", *_backtested(fitted, tested))
    page.section("Data", *data_blocks(fitted))
    page.section("How it was made", *made_blocks(fitted))
    return page


def _axis(fitted: FittedLaw) -> tuple[str, Array]:
    """The column that figures are drawn over, at the runs."""
    if {"params", "tokens"} <= set(fitted.inputs):
        return "flops", 6.0 * fitted.inputs["params"] * fitted.inputs["tokens"]
    name = next(iter(fitted.inputs))
    return name, fitted.inputs[name]


def _spread(fitted: FittedLaw) -> float:
    residual = fitted.residuals
    return float(1.4826 * np.median(np.abs(residual - np.median(residual))))


def _lead(fitted: FittedLaw, tested: Backtest | None) -> str:
    worst = [check for check in fitted.checks if check.severity == "error"]
    watch = [check for check in fitted.checks if check.severity == "warning"]
    unit = "of the " + fitted.output if fitted.law.residuals == "log" else f"in {fitted.output}"
    size = percent(_spread(fitted), 2) if fitted.law.residuals == "log" else number(_spread(fitted), 2)
    text = (
        f"**{fitted.law.formula}** describes {fitted.runs.n} runs to within {size} {unit} (typical residual)."
    )
    if tested is not None:
        text += (
            f" Fitted to its smaller runs it predicted its larger ones with a mean error of "
            f"**{percent(tested.mean_absolute_error, 2)}**; {percent(tested.coverage, 3)} of them fell "
            "inside "
            f"their {percent(tested.level, 2)} interval."
        )
    if worst:
        return (
            text + f" **{len(worst)} {'check says' if len(worst) == 1 else 'checks say'} not to trust it.**"
        )
    if watch:
        return text + f" {len(watch)} {'check asks' if len(watch) == 1 else 'checks ask'} to be read first."
    return text


def _tiles(fitted: FittedLaw, tested: Backtest | None) -> list[Tile]:
    spare = fitted.runs.n - len(fitted.theta)
    log = fitted.law.residuals == "log"
    tiles = [
        Tile("Runs", fitted.runs.n, f"{len(fitted.theta)} parameters, {spare} degrees of freedom"),
        Tile(
            "Typical residual",
            percent(_spread(fitted), 2) if log else number(_spread(fitted), 2),
            "robust standard deviation",
        ),
    ]
    if tested is not None:
        tiles.append(
            Tile(
                "Backtest error",
                percent(tested.mean_absolute_error, 2),
                f"mean of {len(tested.table)} predictions of larger runs",
            )
        )
        tiles.append(
            Tile(
                "Backtest coverage",
                percent(tested.coverage, 3),
                f"of {percent(tested.level, 2)} intervals",
                "good" if tested.coverage >= tested.level - 0.1 else "warning",
            )
        )
    count_of = {s: sum(check.severity == s for check in fitted.checks) for s in ("error", "warning", "info")}
    tone = "bad" if count_of["error"] else "warning" if count_of["warning"] else "good"
    tiles.append(
        Tile(
            "Checks",
            f"{count_of['error']} / {count_of['warning']}",
            "do not trust / read before you trust",
            tone,  # type: ignore[arg-type]
        )
    )
    return tiles


def _checks_text(fitted: FittedLaw) -> Text:
    if not fitted.checks:
        return Text("Each known pitfall is looked for, from warm-up to single influential runs.")
    return Text("What makes this fit less trustworthy, and what to do about it.")


def _grid(fitted: FittedLaw, reach: float = 10.0) -> tuple[Array, dict[str, Array]]:
    """A path from the smallest run to ``reach`` times beyond the largest, at the runs' own proportions."""
    name, along = _axis(fitted)
    grid = np.logspace(np.log10(along.min()), np.log10(along.max() * reach), 90)
    if name in fitted.inputs and len(fitted.inputs) == 1:
        if name == "loss":
            grid = np.linspace(along.min() * 0.9, along.max(), 90)
        return grid, {name: grid}
    # Each input follows the axis by its own power law over the runs.
    points = {}
    for column, values in fitted.inputs.items():
        slope, level = np.polyfit(np.log(along), np.log(values), 1)
        points[column] = np.exp(level + slope * np.log(grid))
    if name == "flops" and {"params", "tokens"} <= set(points):
        points["tokens"] = grid / (6.0 * points["params"])
    if "unique_tokens" in points:
        points["unique_tokens"] = np.minimum(points["unique_tokens"], points["tokens"])
    return grid, points


def _hover(fitted: FittedLaw) -> list[str]:
    names = list(fitted.inputs)
    return [
        f"run {row + 1}: " + ", ".join(f"{name} {count(float(fitted.inputs[name][row]))}" for name in names)
        for row in range(len(fitted.target))
    ]


def _curve(fitted: FittedLaw) -> list[Block]:
    name, along = _axis(fitted)
    grid, points = _grid(fitted)
    value, low, high = fitted.expect(points, LEVEL)
    ratio = None
    if {"params", "tokens"} <= set(fitted.inputs):
        ratio = np.log10(fitted.inputs["tokens"] / fitted.inputs["params"])
    measured = Points(
        along,
        fitted.target,
        hover=_hover(fitted),
        shade=ratio,
        shade_title="log10 of tokens per parameter" if ratio is not None else "",
    )
    figure = law_curve(
        [measured],
        [Band(grid, value, low, high, name=f"prediction, {percent(LEVEL, 2)} interval")],
        x_title=titled(name),
        y_title=f"{fitted.output} ({fitted.law.unit})" if fitted.law.unit else fitted.output,
        x_log=name != "loss",
        mark_range=(float(along.min()), float(along.max())),
    )
    caption = "The prediction with its interval for a new run; shaded is extrapolation."
    if len(fitted.inputs) > 1:
        caption += (
            " The curve follows the runs' own proportions, so runs at others lie off it without being "
            "badly fitted:"
            " the next figure compares each run with the law at its own inputs."
        )
    fits = parity(fitted.target, fitted.fitted_values, title=fitted.output, hover=_hover(fitted))
    return [
        Figure(figure, caption, 460),
        Figure(fits, "The law at each run against what was measured there.", 400),
    ]


def _parameters(fitted: FittedLaw) -> list[Block]:
    errors = fitted.standard_errors
    rows = []
    for place, parameter in enumerate(fitted.law.parameters):
        ends = "–"
        if len(fitted.draws) > 20:
            low, high = np.nanquantile(fitted.draws[:, place], [0.05, 0.95])
            ends = f"{number(low, 3)} to {number(high, 3)}"
        rows.append(
            [
                parameter.name,
                number(fitted.params[parameter.name], 6),
                number(errors[parameter.name], 3),
                ends,
                parameter.meaning + (f" ({parameter.unit})" if parameter.unit else ""),
            ]
        )
    method = (
        f"{len(fitted.draws)} bootstrap replicates of the runs"
        if len(fitted.draws)
        else "the sandwich formula"
    )
    table = Table(
        ["parameter", "value", "standard error", "5th to 95th percentile", "meaning"],
        rows,
        f"Uncertainty from {method}. They say how well these runs determine the parameters if the law is "
        "true.",
    )
    if len(fitted.theta) < 2:
        return [table]
    spread = np.sqrt(np.maximum(np.diag(fitted.covariance), 1e-300))
    correlation = fitted.covariance / np.outer(spread, spread)
    pairs = [
        [name, *map(float, row)] for name, row in zip(fitted.law.names, correlation.round(3), strict=True)
    ]
    folded = Details("Correlations of the parameters", [Table(["", *fitted.law.names], pairs)])
    return [table, folded]


def _residuals(fitted: FittedLaw) -> list[Block]:
    scale = 100.0 if fitted.law.residuals == "log" else 1.0
    title = (
        f"measured − law (% of the {fitted.output})"
        if scale == 100.0
        else f"measured − law ({fitted.output})"
    )
    name, along = _axis(fitted)
    columns = {name: along}
    if {"params", "tokens"} <= set(fitted.inputs):
        columns["tokens per parameter"] = fitted.inputs["tokens"] / fitted.inputs["params"]
    columns |= {
        key: value
        for key, value in fitted.inputs.items()
        if len(fitted.inputs) > 2 and key == "unique_tokens"
    }
    figures: list[Block] = [
        Figure(
            residuals(
                values,
                scale * fitted.residuals,
                x_title=titled(key),
                y_title=title,
                spread=scale * _spread(fitted),
                hover=_hover(fitted),
            ),
            f"Over {titled(key)}; grey is twice the typical residual.",
            360,
        )
        for key, values in columns.items()
    ]
    text = Text(
        "What the law leaves over. A trend along either axis is the law's own error, and grows beyond the runs."
    )
    return [text, Columns(figures) if len(figures) > 1 else figures[0]]


def _influence(fitted: FittedLaw) -> list[Block]:
    if len(fitted.target) <= len(fitted.theta) + 1:
        return [Text("There are too few runs to leave any out.")]
    from scaling.checks.influence import influence as leave_out

    found = leave_out(fitted)
    where = ", ".join(f"{name} {count(float(value[0]))}" for name, value in found.point.items())
    labels = _hover(fitted)
    figure = influence(
        100.0 * found.shift,
        [labels[row] for row in found.rows],
        x_title=f"change of the predicted {fitted.output} (%)",
    )
    largest = float(np.nanmax(np.abs(found.shift)))
    text = (
        f"Each run left out in turn, and the law fitted again: how far the prediction at {where} moves. "
        "The largest move is "
        f"{percent(largest, 2)}"
        + (f", the standard error there {percent(found.spread, 2)}." if np.isfinite(found.spread) else ".")
    )
    return [Text(text), Figure(figure, "The fifteen runs that move it most.")]


def _backtest(fitted: FittedLaw) -> Backtest | None:
    from scaling.backtest import backtest

    frame = fitted.frame.assign(**fitted.inputs).assign(**{fitted.output: fitted.target})
    options = fitted.options
    try:
        return backtest(
            frame,
            fitted.law,
            loss=options.loss,
            delta=options.delta,
            bootstrap=100,
            level=LEVEL,
            target=fitted.output,
        )
    except InputError:
        return None


def _backtested(fitted: FittedLaw, tested: Backtest | None) -> list[Block]:
    if tested is None:
        return [
            Text("There are too few runs of different sizes to fit the smaller and predict the larger ones.")
        ]
    table = tested.table
    figure = parity(
        table["actual"], table["predicted"], title=fitted.output, low=table["low"], high=table["high"]
    )
    rows = [
        [
            count(float(fold["cutoff"])),
            int(fold["fitted"]),
            int(fold["predicted"]),
            f"{number(float(fold['reach']), 3)}x",
            percent(float(fold["error"]), 2),
            percent(float(fold["coverage"]), 3),
            percent(float(fold["width"]), 2),
            percent(float(fold["bootstrap_coverage"]), 3),
        ]
        for _, fold in tested.folds.iterrows()
    ]
    heads = [
        "fitted up to",
        "runs fitted",
        "predicted",
        "reach",
        "mean error",
        "covered",
        "width",
        "by bootstrap alone",
    ]
    return [
        Text(
            f"The law fitted to the smaller runs only (by {titled(tested.axis)}), and asked for the "
            "larger ones that it "
            f"had not seen. {percent(tested.coverage, 3)} of {len(table)} lie inside their "
            f"{percent(tested.level, 2)} "
            "interval; of intervals from the bootstrap alone it would be "
            f"{percent(tested.bootstrap_coverage, 3)}. Intervals {number(tested.width_needed, 2)} times as wide would "
            f"have covered {percent(tested.level, 2)} of them."
        ),
        Figure(figure, "Larger runs, predicted from smaller ones, with their intervals.", 420),
        Table(heads, rows, "One row a cutoff."),
    ]
