"""What both commands share at the terminal: how errors end a command, JSON for machines, tables for people."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer

from scaling.errors import ForetuneError

__all__ = ["VersionOption", "clean", "echo_json", "run_app", "table"]


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"foretune {version('foretune')}")
        raise typer.Exit


#: The option ``--version`` of a command's root.
VersionOption = Annotated[
    bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print Foretune's version.")
]


def run_app(app: Callable[..., Any]) -> None:
    """Run a typer app; a :class:`ForetuneError` becomes its message on standard error and its exit status."""
    try:
        app()
    except ForetuneError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        raise SystemExit(130) from None


def clean(value: Any) -> Any:
    """``value`` with numpy scalars and arrays made plain and non-finite numbers made ``None``, for JSON."""
    if isinstance(value, Mapping):
        return {str(key): clean(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(entry) for entry in value]
    if hasattr(value, "tolist"):  # numpy arrays and scalars, without importing numpy
        return clean(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def echo_json(value: Any) -> None:
    """Print ``value`` as indented JSON; numbers keep full precision, NaN and infinities are ``null``."""
    print(json.dumps(clean(value), indent=2, ensure_ascii=False, allow_nan=False))


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table for people."""
    from rich.console import Console
    from rich.table import Table

    grid = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        grid.add_column(column)
    for row in rows:
        grid.add_row(*("" if cell is None else str(cell) for cell in row))
    Console().print(grid)
