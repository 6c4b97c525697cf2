"""What an objective is handed: its trial, to report to and to keep checkpoints with."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["Diverged", "Pruned", "Trial"]


class Diverged(Exception):
    """Raised by an objective whose training has diverged. Recorded as such; never a number."""


class Pruned(Exception):
    """Raised by :meth:`Trial.report` once a scheduler has stopped the run. Let it pass through."""


class Trial:
    """One training run, as its objective sees it.

    Attributes:
        number: The configuration's number in its study; the same for each of its seeds.
        seed: Seed of this run, the same that the objective is called with.
        fidelity: Fraction of a full run that is asked for, in (0, 1].
        reports: What has been reported so far: ``(step, metrics)`` each.
        on_report: Called with each report.

    Args:
        number: See above.
        seed: See above.
        fidelity: See above.
        on_report: Called with each report; may raise :class:`Pruned`.
        checkpoint: File that :meth:`save` writes, or ``None`` to keep checkpoints in memory.
    """

    def __init__(
        self,
        number: int = 0,
        seed: int = 0,
        *,
        fidelity: float = 1.0,
        on_report: Callable[[int, dict[str, float]], None] | None = None,
        checkpoint: Path | None = None,
    ) -> None:
        self.number = number
        self.seed = seed
        self.fidelity = fidelity
        self.reports: list[tuple[int, dict[str, float]]] = []
        self.on_report = on_report
        self._checkpoint = checkpoint
        self._saved: bytes | None = None

    def report(self, step: int, **metrics: float) -> None:
        """Tell how training stands after ``step``, for early stopping and the record.

        Raises:
            Pruned: A scheduler has stopped this run. There is nothing to do but to let it pass.
        """
        plain = {name: float(value) for name, value in metrics.items()}
        self.reports.append((int(step), plain))
        if self.on_report is not None:
            self.on_report(int(step), plain)

    def save(self, state: Any) -> None:
        """Keep ``state`` (anything that pickles), in place of the last, for an interrupted run to go on from."""
        content = pickle.dumps(state)
        if self._checkpoint is None:
            self._saved = content
            return
        self._checkpoint.parent.mkdir(parents=True, exist_ok=True)
        # Written beside and moved, so that a kill between the two leaves the last whole checkpoint.
        fresh = self._checkpoint.with_suffix(f".{os.getpid()}")
        fresh.write_bytes(content)
        fresh.replace(self._checkpoint)

    def restore(self) -> Any | None:
        """What was saved last by this run, before an interruption too; ``None`` if nothing was."""
        if self._checkpoint is None:
            return None if self._saved is None else pickle.loads(self._saved)
        if not self._checkpoint.is_file():
            return None
        return pickle.loads(self._checkpoint.read_bytes())

    def forget(self) -> None:
        """Drop what was saved, by an earlier attempt too."""
        self._saved = None
        if self._checkpoint is not None:
            self._checkpoint.unlink(missing_ok=True)
