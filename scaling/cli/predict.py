"""`scaling predict`: ask one law, or several at once, about one point or a table of points."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from scaling.cli.options import AsJson, Level, check_level, parse_numbers, quantity
from scaling.errors import InputError
from scaling.terminal import echo_json, table

__all__ = ["predict"]

#: Warnings shown of a table of points; each row may have its own.
_MOST = 8
_Number = Annotated[float | None, typer.Option(parser=quantity, metavar="NUMBER")]


def predict(
    laws: Annotated[
        list[str], typer.Argument(metavar="LAW...", help="Law files, or names from `scaling laws`.")
    ],
    params: _Number = None,
    tokens: _Number = None,
    batch_size: Annotated[
        float | None,
        typer.Option(
            parser=quantity, metavar="NUMBER", help="Ask for the best learning rate at this batch size."
        ),
    ] = None,
    flops: _Number = None,
    loss: _Number = None,
    lr: _Number = None,
    given: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=NUMBER", help="Any other input, such as width=1024."),
    ] = None,
    points: Annotated[
        Path | None, typer.Option(help="Table of inputs, CSV or Parquet, instead of one point.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Where the table of answers goes.")
    ] = None,
    level: Level = 0.9,
    plot: Annotated[
        Path | None, typer.Option(help="Write a picture of how the laws differ to this HTML file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask a law, or several at once, about one point or a table of points.

    Example: `scaling predict step-law deepseek --params 7B --tokens 1.4T`
    """
    from scaling.published.ask import answer_all, open_law

    check_level(level)
    opened = {name: open_law(name) for name in laws}
    inputs = {
        "params": params,
        "tokens": tokens,
        "batch_size": batch_size,
        "flops": flops,
        "loss": loss,
        "lr": lr,
    }
    inputs |= parse_numbers(given, "--set")
    asked = {name: value for name, value in inputs.items() if value is not None}
    if points is not None:
        _predict_table(opened, points, output, asked, level, as_json)
        return
    if output is not None:
        raise InputError(
            "goes with --points", key="--output", remedy="add --points FILE, or leave it out (see --json)"
        )
    answers = answer_all(opened, asked, level)
    if plot is not None:
        from scaling.published.compare import write_comparison

        write_comparison(plot, opened, asked, answers)
    if as_json:
        echo_json(next(iter(answers["laws"].values())) if len(opened) == 1 else answers)
    elif len(opened) == 1:
        _show_one(*next(iter(answers["laws"].items())))
    else:
        _show_several(answers)


def _predict_table(
    opened: dict[str, Any],
    points: Path,
    output: Path | None,
    asked: dict[str, float],
    level: float,
    as_json: bool,
) -> None:
    from scaling.published.ask import answer_table

    if len(opened) != 1:
        raise InputError(
            "--points takes one law at a time", key="LAW", remedy="run the command once for each law"
        )
    if output is None:
        raise InputError("is missing", key="--output", remedy="say where the table goes: -o predictions.csv")
    rows, warnings = answer_table(next(iter(opened.values())), points, output, asked, level)
    if as_json:
        echo_json({"rows": rows, "output": str(output), "level": level, "warnings": warnings})
        return
    print(f"{rows} rows written to {output}")
    _show_warnings(warnings[:_MOST])
    if len(warnings) > _MOST:
        print(f"note: and {len(warnings) - _MOST} more, of single rows: see --json")


def _show_one(name: str, answer: dict[str, Any]) -> None:
    at = ", ".join(f"{key} = {value:.4g}" for key, value in answer["inputs"].items())
    rows = [
        (output, f"{entry['value']:.4g}", _interval(entry), entry["unit"])
        for output, entry in answer["predictions"].items()
    ]
    table(f"{name} at {at}", ("prediction", "value", f"{answer['level']:.0%} interval", "unit"), rows)
    for output, entry in (answer.get("plateau") or {}).items():
        if isinstance(entry, dict) and {"low", "high"} <= entry.keys():
            print(f"plateau: {output} from {entry['low']:.3g} to {entry['high']:.3g} costs at most "
                  f"{answer['plateau'].get('tolerance', 1e-3):.1%} of loss")  # fmt: skip
    _show_warnings(answer["warnings"])


def _show_several(answers: dict[str, Any]) -> None:
    outputs = list(dict.fromkeys(output for one in answers["laws"].values() for output in one["predictions"]))
    rows = []
    for name, one in answers["laws"].items():
        cells = [one["predictions"].get(output) for output in outputs]
        rows.append((name, *("-" if cell is None else _with_interval(cell) for cell in cells)))
    at = ", ".join(f"{key} = {value:.4g}" for key, value in answers["inputs"].items())
    table(f"at {at}", ("law", *outputs), rows)
    _show_warnings(answers["warnings"])


def _interval(entry: dict[str, Any]) -> str:
    return "-" if entry["low"] is None else f"{entry['low']:.4g} to {entry['high']:.4g}"


def _with_interval(entry: dict[str, Any]) -> str:
    return f"{entry['value']:.4g}" + ("" if entry["low"] is None else f" ({_interval(entry)})")


def _show_warnings(warnings: list[str]) -> None:
    for warning in warnings:
        print(f"note: {warning}")
