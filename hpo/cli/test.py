"""`hpo test`."""

from __future__ import annotations

import json
import shlex
import sys
from typing import Annotated, Any

import typer

from hpo.cli.options import Address, Json, Storage, StudyName, interruptible
from scaling.errors import InputError

__all__ = ["test"]


def test(
    study: StudyName = None,
    config: Annotated[
        list[str] | None,
        typer.Option(
            "--config", metavar="NAME=JSON", help="A further configuration, as in mine='{\"lr\": 0.01}'."
        ),
    ] = None,
    storage: Storage = None,
    address: Address = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
    as_json: Json = False,
) -> None:
    """Open the sealed testing seeds: the incumbent and the baseline on each. Every opening goes on the record."""
    from hpo.cli.opening import find_study
    from hpo.cli.status import show
    from hpo.summary import summary
    from scaling.terminal import echo_json

    found = find_study(study, storage)
    with interruptible(shlex.join(["hpo", *sys.argv[1:]])):
        found = found.test(dict(map(_named, config or ())), address=address, progress=not quiet)
    told = summary(found)
    echo_json(told) if as_json else show(told)


def _named(text: str) -> tuple[str, dict[str, Any]]:
    name, equals, body = text.partition("=")
    try:
        values = json.loads(body)
    except ValueError:
        values = None
    if not (equals and name and isinstance(values, dict)):
        raise InputError(
            f"cannot read {text!r}", key="--config", remedy="write NAME=JSON, as in mine='{\"lr\": 0.01}'"
        )
    return name, values
