"""`scaling fit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from scaling.cli.options import (
    AsJson,
    Columns,
    LawName,
    RunsFile,
    Seed,
    Settings,
    Target,
    Where,
    check_folders,
    load_where,
    parse_settings,
    progress_bar,
)
from scaling.errors import InputError

__all__ = ["fit"]


def fit(
    runs: RunsFile,
    law: LawName = "chinchilla",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Law file to write.")] = None,
    columns: Columns = None,
    target: Target = None,
    where: Where = None,
    loss: Annotated[
        str | None, typer.Option(help="huber, squared, soft-l1 or absolute; summed over runs.")
    ] = None,
    delta: Annotated[
        float | None, typer.Option(help="Scale of the loss, in log units for most laws.")
    ] = None,
    residuals: Annotated[str | None, typer.Option(help="Scale of residuals: log or linear.")] = None,
    upstream: Annotated[
        str | None,
        typer.Option(help="For --law downstream: the law of the loss to chain it to, or its law file."),
    ] = None,
    bootstrap: Annotated[int | None, typer.Option(help="Bootstrap replicates.")] = None,
    seed: Seed = 0,
    setting: Settings = None,
    fix: Annotated[list[str] | None, typer.Option(help="Parameter to hold: a=0.34. Repeatable.")] = None,
    method: Annotated[str | None, typer.Option(help="lr-batch only: how the optima are found.")] = None,
    report: Annotated[Path | None, typer.Option(help="One-page HTML report to write.")] = None,
    json: AsJson = False,
) -> None:
    """Fit a law to a runs table; say what it is, how sure, and what makes it less trustworthy."""
    import scaling

    check_folders(output, report)
    options: dict[str, Any] = {
        name: value
        for name, value in (("loss", loss), ("delta", delta), ("bootstrap", bootstrap))
        if value is not None
    }
    options |= parse_settings(setting)
    table = load_where(runs, columns, where)
    if law == "lr-batch":
        if method is not None:
            options["method"] = method
        fitted = scaling.fit(table, law=law, seed=seed, **options)
    else:
        if method is not None:
            raise InputError("only lr-batch has methods", key="--method", remedy="leave it out")
        if fix:
            options["fixed"] = {name: float(value) for name, value in parse_settings(fix).items()}
        if upstream is not None:
            options["upstream"] = scaling.load(upstream) if upstream.endswith(".json") else upstream
        if residuals is not None:
            options["residuals"] = residuals
        with progress_bar("bootstrap", quiet=json) as told:
            fitted = scaling.fit(table, law=law, seed=seed, target=target, progress=told, **options)
    if output is not None:
        fitted.save(output)
    if report is not None:
        from scaling.report import write_fit_report

        write_fit_report(fitted, report)
    _print(fitted, output, report, json)


def _print(fitted: Any, output: Path | None, report: Path | None, json: bool) -> None:
    from scaling.terminal import echo_json, table

    if json:
        stored = fitted.to_dict()
        echo_json({key: value for key, value in stored.items() if key not in ("data", "draws")})
        return
    rows = fitted.summary_rows()
    heads = ["parameter", "value", "standard error", "meaning"]
    formula = getattr(getattr(fitted, "law", fitted), "formula", "")
    table(
        f"{getattr(getattr(fitted, 'law', None), 'name', 'lr-batch')}  {formula}".rstrip(),
        heads[: len(rows[0])],
        rows,
    )
    if hasattr(fitted, "reached"):
        state = "converged" if fitted.converged else "NOT CONVERGED"
        print(
            f"{fitted.runs.n} runs from {fitted.runs.source}; summed {fitted.options.loss} objective "
            f"{fitted.objective:.10g}, {state}, {fitted.reached} of {fitted.starts} starts ended here"
        )
    marks = {"info": "note", "warning": "warning", "error": "ERROR"}
    for check in sorted(fitted.checks, key=lambda check: ("error", "warning", "info").index(check.severity)):
        print(f"{marks[check.severity]}: {check.message} [{check.name}]")
    for label, path in (("law", output), ("report", report)):
        if path is not None:
            print(f"{label} written to {path}")
