"""The runs table of a study, which ``hpo export`` writes and ``scaling`` reads."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaling.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from hpo.store import Section

__all__ = ["runs_table", "write_table"]

_FIRST = ("study", "scale", "phase", "role", "configuration", "seed", "status")


def runs_table(sections: Iterable[Section]) -> pd.DataFrame:
    """One row a finished run.

    Columns: ``study``, ``scale``, ``phase`` (:data:`hpo.study.PHASES`), ``role`` (incumbent or baseline, of
    testing runs), ``configuration``, ``seed``, ``status``; the configuration's values; the metrics, which win over a
    value of the same name (``tokens`` as trained, not as asked for); ``seconds``, ``started``, cost, ``error``. The
    metric of a failed or diverged run is blank.
    """
    import pandas as pd

    rows = [row for section in sections for row in _rows(section)]
    frame = pd.DataFrame(rows)
    if not len(frame):
        return pd.DataFrame(columns=list(_FIRST))
    return frame.sort_values(["started", "configuration", "seed"], kind="stable").reset_index(drop=True)


def _rows(section: Section) -> Iterable[dict[str, Any]]:
    ledger = section.ledger()
    roles = section.roles()
    about = section.attributes
    for run in ledger:
        number = run.atom.configuration
        values = {**about.get("fixed", {}), **ledger.params[number]}
        metrics = {name: value for name, value in run.metrics.items() if value is not None}
        yield {
            "study": about["study"],
            "scale": about.get("label", ""),
            "phase": about["phase"],
            "role": roles.get(number, ""),
            "configuration": number,
            "seed": run.atom.seed,
            "status": run.status,
            **{
                name: value for name, value in {**values, **run.cost, **metrics}.items() if name not in _FIRST
            },
            about["metric"]: run.value,
            "seconds": run.seconds,
            "started": run.started,
            "error": _last_line(run.error),
        }


def _last_line(error: str | None) -> str | None:
    """What went wrong, without the way there: a table's cell. The store has the whole traceback."""
    lines = (error or "").strip().splitlines()
    return lines[-1].strip() if lines else None


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write the table as CSV or Parquet, whole or not at all."""
    if path.suffix not in (".csv", ".parquet"):
        raise InputError(
            f"cannot write {path.suffix or 'a file without ending'!r}",
            source=str(path),
            remedy="end it in .csv or .parquet",
        )
    if not path.parent.is_dir():
        raise InputError(
            f"there is no folder {path.parent}", source=str(path), remedy="create it, or fix the path"
        )
    fresh = path.with_name(f".{path.name}.part")
    if path.suffix == ".csv":
        frame.to_csv(fresh, index=False)
    else:
        frame.to_parquet(fresh, index=False)
    fresh.replace(path)
