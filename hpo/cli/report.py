"""`hpo report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hpo.cli.options import Storage, StudyName

__all__ = ["report"]


def report(
    study: StudyName = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="OUT.html", help="Where to write it.")
    ] = Path("report.html"),
    storage: Storage = None,
) -> None:
    """One self-contained page about a study: what is better, by how much, how sure, at what cost, how to repeat
    it.
    """
    from hpo.cli.opening import find_study
    from hpo.report import study_page

    print(f"written: {study_page(find_study(study, storage)).write(output)}")
