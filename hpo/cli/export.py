"""`hpo export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hpo.cli.options import Storage, StudyName

__all__ = ["export"]


def export(
    study: StudyName = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="CSV or Parquet, by its ending.")] = Path(
        "runs.csv"
    ),
    storage: Storage = None,
    phase: Annotated[
        str | None, typer.Option(help="Only runs of this phase: tuning, testing, baseline, given.")
    ] = None,
) -> None:
    """Write the runs table, which `scaling fit` reads."""
    from hpo.cli.opening import find_study
    from hpo.table import write_table
    from scaling.errors import InputError

    frame = find_study(study, storage).runs
    if phase is not None:
        phases = sorted(set(frame["phase"]))
        if phase not in phases:
            raise InputError(
                f"there are no runs of {phase!r}",
                key="--phase",
                remedy=f"there are {', '.join(phases) or 'none'}",
            )
        frame = frame[frame["phase"] == phase]
    write_table(frame, output)
    print(f"{len(frame)} runs in {output}")
