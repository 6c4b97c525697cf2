"""`scaling fit`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaling.errors import InputError

if TYPE_CHECKING:
    from scaling.runs import Runs

__all__ = ["fit", "parse_settings"]


def fit(
    runs: Annotated[
        Path, typer.Argument(help="Runs table: CSV or Parquet, one row a finished training run.")
    ],
    law: Annotated[
        str,
        typer.Option(
            "--law", "-l", help="A name from `scaling laws`, or a formula such as 'E + A*params**-a'."
        ),
    ] = "chinchilla",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Law file to write.")] = None,
    columns: Annotated[str | None, typer.Option(help="Your column names: params=N,tokens=D.")] = None,
    target: Annotated[
        str | None, typer.Option(help="Column to predict; the law's own output by default.")
    ] = None,
    where: Annotated[
        str | None, typer.Option(help="Rows to use, such as 'tokens > 1e9 and seed == 0'.")
    ] = None,
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
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="Option of the law: breaks=2, axis=tokens. Repeatable.")
    ] = None,
    fix: Annotated[list[str] | None, typer.Option(help="Parameter to hold: a=0.34. Repeatable.")] = None,
    method: Annotated[str | None, typer.Option(help="lr-batch only: how the optima are found.")] = None,
    report: Annotated[Path | None, typer.Option(help="One-page HTML report to write.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Fit a law to a runs table; say what it is, how sure, and what makes it less trustworthy."""
    import scaling

    for path in (output, report):
        if path is not None and not path.parent.is_dir():
            raise InputError("the folder does not exist", source=str(path), remedy=f"mkdir -p {path.parent}")
    options: dict[str, Any] = {
        name: value
        for name, value in (("loss", loss), ("delta", delta), ("bootstrap", bootstrap))
        if value is not None
    }
    options |= parse_settings(setting)
    table = _load(runs, columns, where)
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
        with _progress("bootstrap", quiet=json) as told:
            fitted = scaling.fit(table, law=law, seed=seed, target=target, progress=told, **options)
    if output is not None:
        fitted.save(output)
    if report is not None:
        from scaling.report import write_fit_report

        write_fit_report(fitted, report)
    _print(fitted, output, report, json)


def parse_settings(pairs: list[str] | None) -> dict[str, Any]:
    """``["breaks=2", "axis=tokens"]`` as a mapping, numbers read as numbers."""
    settings: dict[str, Any] = {}
    for pair in pairs or []:
        name, equals, text = pair.partition("=")
        if not equals or not name.strip():
            raise InputError(f"cannot read {pair!r}", key="--set", remedy="write NAME=VALUE")
        value: Any = text.strip()
        for kind in (int, float):
            try:
                value = kind(text)
                break
            except ValueError:
                continue
        settings[name.strip()] = value
    return settings


def _load(path: Path, columns: str | None, where: str | None) -> Runs:
    import numpy as np

    from scaling.runs import load_runs

    table = load_runs(path, columns=columns, require=())
    if where is None:
        return table
    try:
        chosen = table.where(np.asarray(table.frame.eval(where), dtype=bool))
    except Exception as error:  # pandas raises whatever its parser does
        raise InputError(
            f"cannot be read ({error})",
            source=str(path),
            key="--where",
            remedy="such as 'tokens > 1e9 and seed == 0'",
        ) from None
    if not len(chosen):
        raise InputError("no run is left", source=str(path), key="--where", remedy="ask for less")
    return chosen


@contextmanager
def _progress(what: str, *, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar on standard error, where a person is looking."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None
        return
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)

        def told(done: int, of: int) -> None:
            bar.update(task, completed=done, total=of)

        yield told


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
