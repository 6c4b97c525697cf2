"""The page of pass@k: the curve with its interval, what it rests on, and what to know before relying on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scaling.report.blocks import Figure, Table, Text, Tile, Tiles
from scaling.report.figures import Band, Points, law_curve
from scaling.report.numbers import count, number, percent
from scaling.report.page import Page

if TYPE_CHECKING:
    from scaling.repeated_sampling import Answers

__all__ = ["write_pass_at_k_report"]


def write_pass_at_k_report(found: Answers, path: str | Path) -> Path:
    """Write the report of pass@k as one self-contained HTML page.

    Raises:
        InputError: The folder does not exist.
    """
    n, c = found.counts.samples, found.counts.correct
    last = found.table.iloc[-1]
    page = Page(
        "pass@k",
        f"With **{count(float(last['k']))}** samples a problem, **{percent(float(last['pass_at_k']), 3)}** of the "
        f"problems would be solved ({percent(float(last['low']), 3)} to {percent(float(last['high']), 3)}, "
        f"{percent(found.level, 2)} interval).",
        Tiles([
            Tile("Problems", len(n), f"{int((c == 0).sum())} without a correct sample"),
            Tile("Samples a problem", count(float(n.min())), f"up to {count(float(n.max()))}"),
            Tile("Correct samples", count(float(c.sum())), "of " + count(float(n.sum()))),
            Tile("Tail exponent", number(found.fitted.a, 3), "-log pass@k falls as k to minus this power"),
        ]),
        kicker=f"Repeated sampling, {found.counts.source}",
    )  # fmt: skip
    page.section(
        "What to know", Text("\n".join(f"- {told}" for told in found.warnings) or "Nothing was found.")
    )
    page.section("Curve", _curve(found))
    heads = ["k", "measured", "by the law", "low", "high"]
    rows = [
        [count(row["k"]), "–" if np.isnan(row["measured"]) else number(row["measured"], 4)]
        + [number(row[name], 4) for name in ("pass_at_k", "low", "high")]
        for row in found.table.to_dict(orient="records")
    ]
    page.section("Answers", Table(heads, rows, f"Intervals are for new {found.kind} like these."))
    return page.write(path)


def _curve(found: Answers) -> Figure:
    from scaling.repeated_sampling import pass_at_k

    n, c = found.counts.samples, found.counts.correct
    most = float(n.min())
    k = np.unique(np.round(np.geomspace(1.0, most, 24)))
    grid = np.geomspace(1.0, max(float(found.table["k"].max()), most), 80)
    low, high = found.fitted.interval(grid, found.level)
    figure = law_curve(
        [Points(k, pass_at_k(n[:, None], c[:, None], k).mean(axis=0))],
        [Band(grid, found.fitted.value(grid), low, high)],
        x_title="k, samples allowed",
        y_title="pass@k",
        mark_range=(1.0, most),
    )
    return Figure(figure, "Measured without bias, and the law carried on; shaded is extrapolation.", 440)
