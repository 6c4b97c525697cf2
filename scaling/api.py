"""The Python interface: :func:`fit`, :func:`load`, :func:`predict`, :func:`plan`, as the commands have it."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaling import lawfile

if TYPE_CHECKING:
    import pandas as pd

    from scaling.runs import Runs

__all__ = ["fit", "load", "plan", "predict"]


def fit(runs: str | Path | pd.DataFrame | Runs, law: Any = "chinchilla", **options: Any) -> Any:
    """Fit a law to a runs table.

    Args:
        runs: Path of a CSV or Parquet file, a DataFrame, or :class:`scaling.Runs`.
        law: A name from ``scaling laws`` (``chinchilla``, ``lr-batch``, ...), a formula, or a law object.
        options: Those of the family that fits it: :func:`scaling.fitted.fit_law` for losses (``loss``,
            ``delta``, ``bootstrap``, ``seed``, ...), :func:`scaling.sweep.fitted.fit_sweep` for ``lr-batch``
            (``method``, ``bootstrap``, ``seed``, ...).

    Returns:
        A fitted law with ``.params``, ``.objective``, ``.checks``, ``.predict(points, level=0.9)``,
        ``.answer(inputs, level=0.9)`` and ``.save(path)``.
    """
    module, function = (
        ("scaling.sweep.fitted", "fit_sweep") if law == "lr-batch" else ("scaling.fitted", "fit_law")
    )
    arguments = options if law == "lr-batch" else {"law": law, **options}
    return getattr(import_module(module), function)(runs, **arguments)


def load(path: str | Path) -> Any:
    """The fitted law in a file that ``.save`` or ``scaling fit -o`` wrote."""
    return lawfile.load(path)


def predict(law: str | Path | Any, *, level: float = 0.9, **inputs: float) -> dict[str, Any]:
    """What a law says of one point, as ``scaling predict --json`` answers it.

    Args:
        law: A published law's name (``step-law``), a law file, or a fitted law.
        level: Coverage that the intervals claim.
        inputs: ``params``, ``tokens``, and what else the law takes, such as ``batch_size``.
    """
    from scaling.published.ask import open_law

    fitted = law if hasattr(law, "answer") else open_law(str(law))
    answer: dict[str, Any] = fitted.answer(inputs, level=level)
    return answer


def plan(runs: str | Path | pd.DataFrame | Runs, **options: Any) -> Any:
    """The next runs to make; see :func:`scaling.planning.plan`."""
    from scaling.planning import plan as plan_runs

    return plan_runs(runs, **options)
