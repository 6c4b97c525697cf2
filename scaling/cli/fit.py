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

#: What `--set` and other options may say of an lr-batch fit; the switches are true or false.
_SWITCHES = ("bend", "joint", "level")
_SWEEP = ("centre", "unit", *_SWITCHES, "bootstrap", "method")
_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


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
        _refuse_others(target=target, loss=loss, delta=delta, residuals=residuals, upstream=upstream, fix=fix)
        if method is not None:
            options["method"] = method
        fitted = scaling.fit(table, law=law, seed=seed, **_sweep_settings(options))
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


def _refuse_others(**given: Any) -> None:
    """Options of other laws; ignored, they would seem to have been followed."""
    for name, value in given.items():
        if value is not None:
            raise InputError("is not an option of lr-batch", key=f"--{name}", remedy="leave it out")


def _sweep_settings(options: dict[str, Any]) -> dict[str, Any]:
    """The options of an lr-batch fit, ``yes`` and ``no`` as people write them."""
    for name, value in options.items():
        if name not in _SWEEP:
            raise InputError(
                f"lr-batch has no option {name!r}", key="--set", remedy=f"one of {', '.join(_SWEEP)}"
            )
        if name in _SWITCHES:
            if str(value).lower() not in _YES + _NO:
                raise InputError(
                    f"{name} is {value!r}", key="--set", remedy=f"write {name}=true or {name}=false"
                )
            options[name] = str(value).lower() in _YES
        elif name in ("centre", "unit"):
            options[name] = str(value)
    return options


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
