"""Options that several commands share, and how an interruption ends them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from scaling.errors import ForetuneError

__all__ = ["Address", "Interrupted", "Json", "Storage", "StudyName", "interruptible"]

Storage = Annotated[
    str | None,
    typer.Option(
        "--storage", metavar="URL", help="Database or SQLite file of the record. Default: foretune.db here."
    ),
]
Address = Annotated[
    str | None, typer.Option("--address", metavar="RAY", help="A Ray cluster. Default: this machine alone.")
]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
StudyName = Annotated[
    str | None,
    typer.Argument(
        metavar="[STUDY]", help="Name or file of the study; may be left out if there is only one."
    ),
]


class Interrupted(ForetuneError):
    """Ctrl-C; the shell's status for it."""

    exit_code = 130


@contextmanager
def interruptible(how: str) -> Iterator[None]:
    """Say how to go on where Ctrl-C ends the work."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted; finished runs are recorded, and `{how}` goes on from here") from None
