"""`scaling pass-at-k`: pass@k from counts of correct samples, and its law beyond the samples at hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaling.cli.options import AsJson, Level, Seed, check_folders, check_level, quantity

if TYPE_CHECKING:
    from scaling.repeated_sampling import Answers

__all__ = ["pass_at_k"]


def pass_at_k(
    counts: Annotated[
        Path,
        typer.Argument(
            help="CSV or Parquet, one row a problem: samples (or n) drawn, correct (or c) of them."
        ),
    ],
    k: Annotated[
        list[float] | None,
        typer.Option(
            "--k",
            "-k",
            parser=quantity,
            metavar="NUMBER",
            help="Samples allowed, such as 10k; repeatable. Powers of ten unless given.",
        ),
    ] = None,
    columns: Annotated[str | None, typer.Option(help="Your column names: samples=n,correct=right.")] = None,
    interval_for: Annotated[
        str, typer.Option("--for", help="Intervals for new `samples` of these problems, or other `problems`.")
    ] = "samples",
    level: Level = 0.9,
    bootstrap: Annotated[int, typer.Option(help="Replicates for the intervals.")] = 200,
    seed: Seed = 0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="CSV of the answers to write.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="One-page HTML report to write.")] = None,
    as_json: AsJson = False,
) -> None:
    """pass@k from counts of correct samples: measured where there are samples, by its law beyond.

    Example: `scaling pass-at-k counts.csv --k 100 --k 10k`
    """
    from scaling.repeated_sampling import answer_pass_at_k, load_counts
    from scaling.terminal import echo_json

    check_level(level)
    check_folders(output, report)
    found = answer_pass_at_k(
        load_counts(counts, columns),
        k,
        level=level,
        kind=interval_for,  # type: ignore[arg-type]  # checked there
        bootstrap=bootstrap,
        seed=seed,
    )
    if output is not None:
        found.table.to_csv(output, index=False)
    if report is not None:
        from scaling.report.repeated import write_pass_at_k_report

        write_pass_at_k_report(found, report)
    if as_json:
        echo_json(found.to_dict())
        return
    _show(found, output, report)


def _show(found: Answers, output: Path | None, report: Path | None) -> None:
    from scaling.terminal import table

    rows = [
        (
            f"{row['k']:g}",
            "-" if row["measured"] != row["measured"] else f"{row['measured']:.4f}",
            f"{row['pass_at_k']:.4f}",
            f"{row['low']:.4f} to {row['high']:.4f}",
        )
        for row in found.table.to_dict(orient="records")
    ]
    n = found.counts.samples
    table(
        f"{len(n)} problems of {found.counts.source}, {found.fitted.successes:g} of {n.sum():g} samples correct",
        ("k", "measured", "pass@k by the law", f"{found.level:.0%} interval ({found.kind})"),
        rows,
    )
    for warning in found.warnings:
        print(f"note: {warning}")
    for label, path in (("answers", output), ("report", report)):
        if path is not None:
            print(f"{label} written to {path}")
