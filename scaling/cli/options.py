"""What several commands ask in the same words: their options, and how those become settings, tables and progress."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaling.errors import InputError

if TYPE_CHECKING:
    from scaling.runs import Runs

__all__ = [
    "AsJson",
    "Columns",
    "LawName",
    "Level",
    "RunsFile",
    "Seed",
    "Settings",
    "Target",
    "Where",
    "check_folders",
    "check_level",
    "load_where",
    "parse_numbers",
    "parse_settings",
    "progress_bar",
    "quantity",
]

_SUFFIXES = {"k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12}


def quantity(text: str) -> float:
    """A number as people write it: ``7e9``, ``7B``, ``1.4T``, ``512k``."""
    word = text.strip().lower().replace("_", "")
    scale = _SUFFIXES.get(word[-1:], 1.0)
    try:
        # Decimal: 1.07B is 1070000000, in floats a little more, and beyond a range that ends there.
        return float(word) if scale == 1.0 else float(Decimal(word[:-1]) * int(scale))
    except (ValueError, InvalidOperation):
        raise typer.BadParameter(f"{text!r} is not a number; write 7e9 or 7B") from None


RunsFile = Annotated[
    Path, typer.Argument(help="Runs table: CSV or Parquet, one row a finished training run.")
]
LawName = Annotated[
    str,
    typer.Option("--law", "-l", help="A name from `scaling laws`, or a formula such as 'E + A*params**-a'."),
]
Columns = Annotated[str | None, typer.Option(help="Your column names: params=N,tokens=D.")]
Target = Annotated[str | None, typer.Option(help="Column to predict; the law's own output by default.")]
Where = Annotated[str | None, typer.Option(help="Rows to use, such as 'tokens > 1e9 and seed == 0'.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="Option of the law: breaks=2, axis=tokens. Repeatable.")
]
Level = Annotated[float, typer.Option(help="Coverage that the intervals claim.")]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


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


def parse_numbers(pairs: list[str] | None, option: str) -> dict[str, float]:
    """``["width=1024", "active_params=1B"]`` as a mapping."""
    numbers = {}
    for pair in pairs or []:
        name, equals, value = pair.partition("=")
        if not (equals and name.strip()):
            raise InputError(
                f"cannot read {pair!r}", key=option, remedy=f"write NAME=NUMBER, as in {option} width=1024"
            )
        numbers[name.strip()] = quantity(value)
    return numbers


def check_level(level: float) -> None:
    """Refuse a coverage that is none."""
    if not 0 < level < 1:
        raise InputError(
            f"is {level:g}", key="--level", remedy="give a coverage between 0 and 1, such as 0.9"
        )


def check_folders(*files: Path | None) -> None:
    """Refuse files to be written where there is no folder, before any work is done for them."""
    for path in files:
        if path is not None and not path.parent.is_dir():
            raise InputError("the folder does not exist", source=str(path), remedy=f"mkdir -p {path.parent}")


def load_where(path: Path, columns: str | None, where: str | None) -> Runs:
    """The runs of a table that meet a condition on its columns."""
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
def progress_bar(what: str, *, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar on standard error, where a person is looking."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)

        def told(done: int, of: int) -> None:
            bar.update(task, completed=done, total=of)

        yield told
