"""`hpo run`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from hpo.cli.options import Address, Json, Storage, interruptible

__all__ = ["run"]


def run(
    study: Annotated[Path, typer.Argument(metavar="STUDY.yaml", help="The study file.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="In place of the file's, as in budget.trials=5."),
    ] = None,
    storage: Storage = None,
    address: Address = None,
    test: Annotated[
        bool, typer.Option("--test/--no-test", help="Open the testing seeds when tuning is done.")
    ] = True,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
    as_json: Json = False,
) -> None:
    """Tune, then test. Run again after an interruption, it goes on where it was."""
    from hpo.cli.status import show
    from hpo.protocol import run as run_study
    from hpo.summary import summary
    from scaling.terminal import echo_json

    with interruptible(shlex.join(["hpo", *sys.argv[1:]])):
        done = run_study(
            study, storage=storage, address=address, overrides=overrides or (), progress=not quiet, test=test
        )
        found = summary(done)
    echo_json(found) if as_json else show(found)
