"""What a person sees while a study runs: runs done, the best so far, the time left."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from hpo.definition import SEALED
from hpo.execution.base import Job
from hpo.ledger import RunRecord

if TYPE_CHECKING:
    from rich.progress import TaskID

__all__ = ["Bar", "Progress", "Quiet"]


class Progress:
    """Told of each finished run; a context manager around the work."""

    def resumed(self, section: str, records: Collection[RunRecord]) -> None:
        """Take note of the planned runs that a section holds already."""

    def finished(self, job: Job, record: RunRecord) -> None:
        """Take note of a run that has just been committed."""

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        return None


class Quiet(Progress):
    """Shows nothing."""


class Bar(Progress):
    """A progress bar on standard error; where that is no terminal, a line every now and then.

    Args:
        title: What is running.
        planned: Runs that each section will make; ``None`` in a section whose budget is hours or FLOPs.
        weights: Relative cost of one run in each section, so that the time left is not judged by the cheap runs alone.
        metric: The number shown as best so far.
        direction: Whether less or more of it is better.
    """

    #: Seconds between lines where the output is no terminal.
    EVERY = 30.0

    def __init__(
        self,
        title: str,
        planned: Mapping[str, int | None],
        weights: Mapping[str, float],
        metric: str,
        direction: str,
    ) -> None:
        self.title = title
        self.planned = dict(planned)
        self.weights = dict(weights)
        self.metric = metric
        self.sign = 1.0 if direction == "minimize" else -1.0
        self.done: dict[str, int] = defaultdict(int)
        self.before: dict[str, int] = {}
        self.failed = 0
        self._place = ""
        self.values: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
        self._began = time.monotonic()
        self._said = self._began
        self._rich: Any = None
        self._task: TaskID | None = None

    def __enter__(self) -> Bar:
        import sys

        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress

        self._began = self._said = time.monotonic()
        if not sys.stderr.isatty():
            return self
        columns = (
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[runs]}"),
            TextColumn("{task.fields[best]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
        )
        self._rich = RichProgress(*columns, console=Console(stderr=True), refresh_per_second=4)
        self._rich.start()
        self._task = self._rich.add_task(self.title, total=1.0, **self._fields())
        return self

    def __exit__(self, *_: object) -> None:
        if self._rich is not None:
            self._rich.stop()
            self._rich = None
        elif self.done:
            self._say()

    def resumed(self, section: str, records: Collection[RunRecord]) -> None:
        """Runs that are there already count as done, and as costing no time."""
        self.before[section] = len(records)
        for record in records:
            self._count(section, record)
        self._show()

    def finished(self, job: Job, record: RunRecord) -> None:
        """One more run."""
        self._count(job.section, record)
        self._show()

    def fraction(self) -> float | None:
        """Share of the work that is done, by cost; ``None`` where it cannot be known."""
        if any(count is None for count in self.planned.values()):
            return None
        total = sum((count or 0) * self.weights.get(name, 1.0) for name, count in self.planned.items())
        return min(1.0, self._cost(self.done) / total) if total else None

    def left(self) -> float | None:
        """Seconds left, judged by the cost of what this session has done."""
        fraction = self.fraction()
        fresh = self._cost(self.done) - self._cost(self.before)
        if fraction is None or fresh <= 0:
            return None
        total = self._cost(self.done) / fraction
        return (time.monotonic() - self._began) * (total - self._cost(self.done)) / fresh

    def best(self, section: str) -> float | None:
        """Best mean among the configurations of ``section`` with the most completed seeds."""
        means = self.values.get(section)
        if not means:
            return None
        most = max(len(values) for values in means.values())
        return self.sign * min(self.sign * sum(v) / len(v) for v in means.values() if len(v) == most)

    def _cost(self, counts: Mapping[str, int]) -> float:
        return sum(count * self.weights.get(name, 1.0) for name, count in counts.items())

    def _count(self, section: str, record: RunRecord) -> None:
        self.done[section] += 1
        if not section.endswith(SEALED):  # what testing finds is for the end, not to be watched
            self._place = section
        if record.status in ("failed", "diverged"):
            self.failed += 1
        elif record.status == "complete" and record.value is not None:
            self.values[section][record.atom.configuration].append(record.value)

    def _fields(self) -> dict[str, str]:
        planned = list(self.planned.values())
        total = "" if any(count is None for count in planned) else f"/{sum(count or 0 for count in planned)}"
        runs = f"{sum(self.done.values())}{total} runs" + (f", {self.failed} failed" if self.failed else "")
        best, left = self.best(self._place), self.left()
        place = self._place.partition("/")[2]
        return {
            "runs": runs,
            "best": f"best {self.metric} {best:.5g}" + (f" ({place})" if place else "")
            if best is not None
            else "",
            "left": f"{_clock(left)} left" if left is not None else "",
        }

    def _show(self) -> None:
        if self._rich is not None:
            fraction = self.fraction()
            self._rich.update(
                self._task,
                total=1.0 if fraction is not None else None,
                completed=fraction or 0.0,
                **self._fields(),
            )
        elif time.monotonic() - self._said >= self.EVERY:
            self._say()

    def _say(self) -> None:
        import sys

        self._said = time.monotonic()
        fields = self._fields()
        print(
            f"{self.title}: " + ", ".join(text for text in fields.values() if text),
            file=sys.stderr,
            flush=True,
        )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
