"""`hpo compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hpo.cli.options import Json, Storage
from scaling.errors import InputError

if TYPE_CHECKING:
    from hpo.report.comparison import CostView
    from hpo.statistics import Comparison, Method
    from hpo.study import Study

__all__ = ["compare"]


def compare(
    methods: Annotated[
        list[str],
        typer.Argument(
            metavar="STUDY[:ROLE]...",
            help="Studies (their incumbents), or what else was tested in them: `study:baseline`, `study:NAME`. "
            "One study alone is compared with its own baseline.",
        ),
    ],
    storage: Storage = None,
    target: Annotated[
        float | None, typer.Option("--target", help="Value that counts as solved, for the optimality gap.")
    ] = None,
    level: Annotated[
        float, typer.Option("--level", min=0.5, max=0.999, help="Coverage of intervals.")
    ] = 0.95,
    curve: Annotated[
        str | None,
        typer.Option(
            "--curve", metavar="STUDY", help="The baseline at several training lengths: quality against cost."
        ),
    ] = None,
    cost: Annotated[
        str,
        typer.Option(
            "--cost", metavar="COLUMN", help="What a run costs: seconds, flops, or a number of its own."
        ),
    ] = "seconds",
    report: Annotated[
        Path | None,
        typer.Option("--report", "-o", metavar="OUT.html", help="Write a page for people to read."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Methods or configurations against each other, on testing seeds: what is better, by how much, how sure."""
    from hpo import statistics

    studies = [_find(text, storage) for text in methods]
    if len(studies) == 1:
        studies = [*studies, (studies[0][0], "baseline")]
    given = [statistics.method_of(study, role) for study, role in studies]
    _check_alike([study for study, _ in studies])
    _check_names(given)
    study = studies[0][0]
    try:
        found = statistics.compare(
            given, direction=study.direction, metric=study.metric, target=target, level=level
        )
    except ValueError as error:
        raise InputError(str(error), key="STUDY") from None
    view = _costs(studies, given, _find(curve, storage)[0], cost, level) if curve else None
    if report is not None:
        from hpo.report import comparison_page

        comparison_page(found, given, view).write(report)
    if as_json:
        from dataclasses import asdict

        from scaling.terminal import echo_json

        echo_json(
            {**found.to_dict(), "costs": None if view is None else [asdict(entry) for entry in view.found]}
        )
    else:
        _show(found, view)
        if report is not None:
            print(f"written: {report}")


def _find(text: str, storage: str | None) -> tuple[Study, str | None]:
    """A study, and which of its tested configurations; a study's own name may hold a colon."""
    from hpo.cli.opening import find_study

    try:
        return find_study(text, storage), None
    except InputError:
        name, colon, role = text.rpartition(":")
        if not colon:
            raise
    return find_study(name, storage), role


def _check_alike(studies: list[Study]) -> None:
    first = studies[0]
    for other in studies[1:]:
        if (other.metric, other.direction) != (first.metric, first.direction):
            raise InputError(
                f"{first.name} is to {first.direction} {first.metric}, "
                f"{other.name} to {other.direction} {other.metric}",
                key="STUDY",
                remedy="compare studies of the same metric",
            )


def _check_names(methods: list[Method]) -> None:
    names = [method.name for method in methods]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{name!r} is there twice", key="STUDY", remedy="name each method once")


def _costs(
    studies: list[tuple[Study, str | None]], methods: list[Method], baseline: Study, column: str, level: float
) -> CostView:
    from hpo.report.comparison import CostView
    from hpo.statistics import Point, cost_points, oriented, trade_off

    along = cost_points(baseline, column)
    points = []
    for (study, _), method in zip(studies, methods, strict=True):
        scores = [oriented(runs.values(), study.direction) for runs in method.runs.values()]
        tested = {tuple(sorted(map(float, group))): group for group in scores}
        for point in cost_points(study, column):
            if tuple(sorted(point.scores)) in tested and study.name != baseline.name:
                points.append(Point(method.name, point.cost, point.scores))
                break
    try:
        found = [trade_off(point, along, level=level) for point in points]
    except ValueError as error:
        raise InputError(
            str(error), key="--curve", remedy="evaluate the baseline at two or more training lengths"
        ) from None
    return CostView(column, points, along, found)


def _show(found: Comparison, view: Any) -> None:
    from hpo.report.comparison import effect_rows, summary_rows
    from scaling.terminal import table

    level = f"{found.level:.0%}"
    for note in found.notes:
        print(f"note: {note}")
    gap = found.summaries[0].optimality_gap is not None
    columns = ["method", "runs", "IQM", "median", "mean", "gap"]
    rows = [
        [name, f"{runs} ({failed} failed)" if failed else runs, *measures]
        for name, runs, failed, *measures in summary_rows(found)
    ]
    cut = len(columns) - (not gap)
    table(f"{found.metric} on testing seeds [{level}]", columns[:cut], [row[:cut] for row in rows])
    table(
        f"Against each other [{level}]",
        ["pair", "better by (IQM)", "P(improvement)", "seeds", "needed (t, rank)"],
        [
            [pair, difference, probability, f"{seeds} paired" if paired == "yes" else seeds, needed]
            for pair, difference, probability, paired, seeds, needed in effect_rows(found)
        ],
    )
    for effect in found.effects:
        print(effect.verdict)
    for entry in view.found if view is not None else ():
        print(entry.statement)
