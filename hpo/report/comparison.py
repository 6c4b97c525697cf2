"""The page of a comparison: what is better, by how much, how sure, at what cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hpo.report import figures
from hpo.report.words import interval, ranges
from hpo.statistics import Comparison, Method, Point, TradeOff
from scaling.report import Columns, Figure, Page, Table, Text, Tile, Tiles
from scaling.report.numbers import count

__all__ = ["CostView", "comparison_page", "effect_rows", "sections", "summary_rows"]

#: What the measures are, for people who meet them for the first time.
GLOSSARY = """\
*Interquartile mean*: the mean of the middle half of the runs; as robust as the median, less noisy. *Probability of
improvement*: how often a run of the first is better than a run of the second, over all pairs of runs. *Performance
    profile*:
the share of runs better than each value. All three are those of Agarwal et al. (2021, "Deep RL at the edge of the
statistical precipice"). Intervals are stratified bootstraps, widened for few runs (Hesterberg 2015); where methods
ran the same seeds they are drawn together. A run that failed or diverged ranks below every value and is never
averaged away."""


@dataclass(frozen=True)
class CostView:
    """Quality against cost.

    Attributes:
        column: What a run costs.
        methods: Points judged.
        baseline: Points of the curve.
        found: What came out for each method.
    """

    column: str
    methods: Sequence[Point]
    baseline: Sequence[Point]
    found: Sequence[TradeOff]


def comparison_page(comparison: Comparison, methods: Sequence[Method], costs: CostView | None = None) -> Page:
    """The page.

    Args:
        comparison: Of these methods.
        methods: With their budgets and hardware.
        costs: Quality against cost, if it was asked for.
    """
    lead = " ".join(effect.verdict for effect in comparison.effects[:3])
    page = Page(
        " against ".join(m.name for m in methods),
        lead,
        _tiles(comparison),
        kicker="Comparison on testing seeds",
    )
    loud = [note for note in comparison.notes if note.split(":")[0].isupper()]
    if loud:
        page.section("Read this first", Text("\n".join(f"- **{note}**" for note in loud)))
    for heading, blocks in sections(comparison):
        page.section(heading, *blocks)
    if costs is not None:
        page.section("Quality against cost", *_cost_blocks(comparison, costs))
    page.section("What was compared", _budgets(methods))
    quiet = [note for note in comparison.notes if note not in loud]
    if quiet:
        page.section("Notes", Text("\n".join(f"- {note}" for note in quiet)))
    return page


def sections(comparison: Comparison, *, dots: bool = True) -> list[tuple[str, list[Any]]]:
    """The parts that a study's report has, too; without the figure of single runs where it has one already."""
    level = f"{comparison.level:.0%}"
    both = [
        Figure(figures.measures(comparison.summaries, comparison.metric), f"With {level} intervals."),
        Figure(
            figures.seeds(_runs(comparison), comparison.metric, comparison.direction),
            "Every testing run; lines are interquartile means.",
            figures.PAIRED,
        ),
    ]
    against = [
        Figure(figures.effects(comparison), f"{level} intervals; the dashed line is no difference."),
        Figure(figures.profiles(comparison), f"Performance profiles with pointwise {level} bands."),
    ]
    verdicts = Text("\n".join(f"- {effect.verdict}" for effect in comparison.effects))
    return [
        ("How good each is", [Columns(both) if dots else both[0], _summary_table(comparison)]),
        ("Against each other", [verdicts, Columns(against), _effect_table(comparison), Text(GLOSSARY)]),
    ]


def _summary_table(comparison: Comparison) -> Table:
    columns = ["method", "runs", "failed", "interquartile mean", "median", "mean", "optimality gap"]
    if comparison.summaries[0].optimality_gap is None:
        columns.pop()
    rows = [row[: len(columns)] for row in summary_rows(comparison)]
    return Table(
        columns, rows, f"{comparison.metric} on testing seeds, with {comparison.level:.0%} intervals"
    )


def _effect_table(comparison: Comparison) -> Table:
    return Table(
        ["pair", "better by (IQM)", "P(improvement)", "paired", "seeds", "seeds needed"],
        effect_rows(comparison),
        "The last column: testing seeds for each method at which a difference this large is found with probability "
        "80 % (t test, rank test)",
    )


def _runs(comparison: Comparison) -> dict[str, dict[int, float | None]]:
    """Testing runs of each method in the metric's own direction, numbered across tasks."""
    sign = 1.0 if comparison.direction == "maximize" else -1.0
    runs = {}
    for name, tasks in comparison.scores.items():
        values = [sign * float(score) for scores in tasks.values() for score in scores]
        runs[name] = {i: value if math.isfinite(value) else None for i, value in enumerate(values)}
    return runs


def summary_rows(comparison: Comparison) -> list[list[Any]]:
    """One row a method."""
    return [
        [
            summary.name,
            summary.runs,
            summary.failed,
            interval(summary.interquartile_mean),
            interval(summary.median),
            interval(summary.mean),
            interval(summary.optimality_gap),
        ]
        for summary in comparison.summaries
    ]


def effect_rows(comparison: Comparison) -> list[list[Any]]:
    """One row a pair."""
    return [
        [
            f"{effect.first} – {effect.second}",
            interval(effect.difference),
            interval(effect.probability),
            "yes" if effect.paired else "no",
            effect.seeds,
            f"{_needed(effect.seeds_needed)}, {_needed(effect.seeds_needed_rank)}",
        ]
        for effect in comparison.effects
    ]


def _needed(seeds: int | None) -> str:
    return "not defined" if seeds is None else f"{seeds:,}"


def _tiles(comparison: Comparison) -> Tiles:
    tiles = [
        Tile(
            summary.name,
            interval(summary.interquartile_mean),
            f"interquartile mean {comparison.metric} of {summary.runs} testing runs"
            + (f", {summary.failed} failed" if summary.failed else ""),
            "bad" if summary.failed else "",
        )
        for summary in comparison.summaries[:4]
    ]
    if len(comparison.effects) == 1:
        effect = comparison.effects[0]
        clear = effect.difference.excludes(0.0)
        tiles.append(
            Tile(
                "difference",
                interval(effect.difference),
                "clear of zero" if clear else "not clear of zero",
                "good" if clear else "warning",
            )
        )
    return Tiles(tiles)


def _cost_blocks(comparison: Comparison, costs: CostView) -> list[Any]:
    figure = figures.trade_off(
        costs.methods,
        costs.baseline,
        cost=costs.column,
        metric=comparison.metric,
        direction=comparison.direction,
    )
    rows = [
        [found.name, found.cost, interval(found.better), interval(found.cheaper), found.above]
        for found in costs.found
    ]
    return [
        Text("\n".join(f"- {found.statement}" for found in costs.found)),
        Figure(
            figure,
            "The baseline at several costs, made monotone and interpolated; a point above the curve is better at equal "
            "cost, and as good at less.",
        ),
        Table(
            [
                "method",
                costs.column,
                "better at equal cost",
                "times cheaper at equal quality",
                "above the curve",
            ],
            rows,
        ),
    ]


def _budgets(methods: Sequence[Method]) -> Table:
    units = ("runs", "seconds", "gpu_seconds", "flops", "kwh")
    used = [unit for unit in units if any(unit in method.budget for method in methods)]
    rows = [
        [
            method.name,
            "yes" if method.tuned else "no",
            *(count(method.budget[unit]) if unit in method.budget else None for unit in used),
            ranges(seed for runs in method.runs.values() for seed in runs),
            method.hardware,
        ]
        for method in methods
    ]
    headings = [
        "method",
        "tuned",
        *(f"tuning {unit.replace('_', ' ')}" for unit in used),
        "testing seeds",
        "hardware",
    ]
    return Table(headings, rows, "Both sides should have had the same budget on the same hardware.")
