"""pass@k at any k from a table of counts: what was measured, what the law says, and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from scaling.errors import InputError
from scaling.repeated_sampling.aggregate import PassAtK, fit_pass_at_k
from scaling.repeated_sampling.estimator import pass_at_k
from scaling.runs import Runs, load_runs

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Answers", "Counts", "answer_pass_at_k", "load_counts"]

Array = NDArray[np.float64]
#: Short names of the two columns, as papers have them.
SHORT = {"samples": "n", "correct": "c"}
#: Correct samples below which the expected tail says more than the data do.
FEW = 30
#: Factor beyond the samples of a problem from which on nothing has been tested.
FAR = 100.0


@dataclass(frozen=True)
class Counts:
    """Samples of some problems, and how many were correct.

    Attributes:
        samples: n of each problem, shape ``(problems,)``.
        correct: c of each problem, shape ``(problems,)``.
        source: Where they came from.
    """

    samples: Array
    correct: Array
    source: str


@dataclass(frozen=True)
class Answers:
    """pass@k at several k.

    Attributes:
        table: One row a k: ``k``, ``measured`` (unbiased, not a number beyond the samples), ``pass_at_k`` (the law),
            ``low``, ``high``.
        fitted: The law.
        counts: What it was fitted to.
        level: Coverage that the intervals claim.
        kind: What they are for: new ``samples`` of these problems, or other ``problems`` like these.
        warnings: What makes it less trustworthy.
    """

    table: pd.DataFrame
    fitted: PassAtK
    counts: Counts
    level: float
    kind: str
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As ``scaling pass-at-k --json`` prints it."""
        n = self.counts.samples
        return {
            "source": self.counts.source,
            "problems": len(n),
            "samples": {"smallest": float(n.min()), "largest": float(n.max())},
            "correct": self.fitted.successes,
            "tail": self.fitted.a,
            "b": self.fitted.b,
            "level": self.level,
            "interval_for": self.kind,
            "pass_at_k": self.table.to_dict(orient="records"),
            "warnings": list(self.warnings),
        }


def load_counts(
    source: str | Path | pd.DataFrame | Runs, columns: Mapping[str, str] | str | None = None
) -> Counts:
    """A table with one row a problem: ``samples`` (or ``n``) and ``correct`` (or ``c``).

    Args:
        source: A CSV or Parquet file, or a DataFrame.
        columns: Our column names to theirs, ``"samples=drawn,correct=right"``.

    Raises:
        InputError: A file or column is missing, or counts that cannot be.
    """
    table = load_runs(source, columns=columns, require=())
    found = {}
    for name, short in SHORT.items():
        place = short if name not in table and short in table else name
        table.require(place)
        found[name] = _whole(table, place, least=1.0 if name == "samples" else 0.0)
    wrong = found["correct"] > found["samples"]
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(
            f"row {row + 1} has {found['correct'][row]:g} correct of {found['samples'][row]:g} samples",
            source=table.source,
            key="correct",
            remedy="give counts, not shares, and check which column is which: --columns samples=...,correct=...",
        )
    return Counts(found["samples"], found["correct"], table.source)


def _whole(table: Runs, name: str, *, least: float) -> Array:
    import pandas as pd

    values = pd.to_numeric(table.frame[name], errors="coerce").to_numpy(dtype=np.float64)
    wrong = ~(np.isfinite(values) & (values >= least) & (values == np.round(values)))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(
            f"row {row + 1} has {str(table.frame[name].iloc[row])!r}, where a whole number of {least:g} or more "
            f"is needed ({int(wrong.sum())} such rows)",
            source=table.source,
            key=name,
            remedy="one row a problem, with how many samples were drawn and how many of them were correct",
        )
    return values


def answer_pass_at_k(
    counts: Counts,
    k: Sequence[float] | None = None,
    *,
    level: float = 0.9,
    kind: Literal["samples", "problems"] = "samples",
    bootstrap: int = 200,
    seed: int = 0,
) -> Answers:
    """pass@k at several k, with the law behind it.

    Args:
        counts: As :func:`load_counts` gives them.
        k: Samples allowed; powers of ten up to a hundred times the samples by default.
        level: Coverage that the intervals claim.
        kind: See :class:`Answers`.
        bootstrap: Replicates for the intervals.
        seed: Of the replicates.

    Raises:
        InputError: A k below one, a wrong level or kind, or fewer than two problems.
    """
    if not 0.0 < level < 1.0:
        raise InputError(
            f"is {level:g}", key="--level", remedy="give a coverage between 0 and 1, such as 0.9"
        )
    if kind not in ("samples", "problems"):
        raise InputError(f"is {kind!r}", key="--for", remedy="one of samples, problems")
    n, c = counts.samples, counts.correct
    if len(n) < 2:
        raise InputError(
            "one problem has no distribution of success rates",
            source=counts.source,
            remedy="give a row for each of two or more problems",
        )
    asked = np.unique(np.asarray(_powers(n) if k is None else k, dtype=np.float64))
    if not (np.isfinite(asked) & (asked >= 1)).all():
        raise InputError(f"is {asked.min():g}", key="--k", remedy="give numbers of samples, one or more")
    fitted = fit_pass_at_k(n, c, kind=kind, bootstrap=bootstrap, seed=seed)
    low, high = fitted.interval(asked, level)
    import pandas as pd

    measured = [float(pass_at_k(n, c, at).mean()) if at <= n.min() else np.nan for at in asked]
    table = pd.DataFrame(
        {"k": asked, "measured": measured, "pass_at_k": fitted.value(asked), "low": low, "high": high}
    )
    return Answers(table, fitted, counts, level, kind, _warnings(counts, asked))


def _powers(n: Array) -> list[float]:
    return [10.0**power for power in range(int(np.log10(n.min() * FAR)) + 1)]


def _warnings(counts: Counts, asked: Array) -> tuple[str, ...]:
    told = []
    correct, unsolved = counts.correct.sum(), int((counts.correct == 0).sum())
    if not correct:
        told.append("no sample was correct: nothing is known but that success is rare; draw more samples")
    elif correct < FEW:
        told.append(
            f"{correct:g} correct samples in all: what lies beyond them is mostly what is expected of any problems; "
            "draw more samples of each"
        )
    if correct and unsolved > len(counts.correct) / 2:
        told.append(
            f"{unsolved} of {len(counts.correct)} problems have no correct sample, and the counts cannot say whether "
            "they are hard or impossible"
        )
    if asked.max() > FAR * counts.samples.min():
        told.append(
            f"k = {asked.max():,.0f} is {asked.max() / counts.samples.min():,.0f} times the samples of a problem; "
            f"the law has been tested up to {FAR:g} times"
        )
    if counts.samples.max() > counts.samples.min():
        told.append(
            f"problems have {counts.samples.min():g} to {counts.samples.max():g} samples; pass@k is measured up to the "
            "fewest, beyond which some problems would have to be left out"
        )
    return tuple(told)
