"""What both engines share: jobs come from a source, their records go back to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo.allocation.base import Done, Wait
from hpo.ledger import Atom, RunRecord

if TYPE_CHECKING:
    from hpo.config.model import SchedulerConfig
    from hpo.objective import Objective
    from hpo.space import Space

__all__ = ["Executor", "Job", "Source", "Task"]


@dataclass(frozen=True)
class Job:
    """One training run to be made.

    Attributes:
        section: The part of the study that it belongs to, and is recorded in.
        atom: Configuration, seed, fidelity.
        config: What the objective is called with.
        sampled: Those of its values that the sampler chose; population schedulers may change them.
        judged: Whether early stopping may end it: the first run of its configuration. Further seeds are trained to the
            end. Put before the rule again, on seeds that differ in difficulty, hardly a configuration would ever finish
            its seeds, and a mean over seeds could not be had of any.
    """

    section: str
    atom: Atom
    config: Mapping[str, Any]
    sampled: Mapping[str, Any] = field(default_factory=dict)
    judged: bool = True


class Source(ABC):
    """Where an executor gets its jobs: the study's side of the loop. Called from one thread."""

    @abstractmethod
    def ask(self) -> Job | Wait | Done:
        """The next run; ``Wait`` until one that is under way has been told; ``Done`` for good."""

    @abstractmethod
    def tell(self, job: Job, record: RunRecord) -> None:
        """Take a finished run. Once for each job."""


@dataclass(frozen=True)
class Task:
    """What is the same for all jobs of a study.

    Attributes:
        objective: Called as ``objective(config, seed=..., trial=...)``.
        metric: Which of its numbers counts.
        direction: ``minimize`` or ``maximize``.
        cpu, gpu: What one run occupies.
        time_limit: Seconds after which a run counts as failed.
        checkpoints: Folder of the runs' checkpoints; ``None`` keeps them in memory.
        energy: Whether to measure each run's energy.
        path: Folders to import the objective from, on workers.
        space: Of what is sampled, for schedulers that change it on the way.
        population: Name of the scheduler that does; empty where none does.
    """

    objective: Objective
    metric: str
    direction: str = "minimize"
    cpu: float = 1.0
    gpu: float = 0.0
    time_limit: float | None = None
    checkpoints: Path | None = None
    energy: bool = False
    path: tuple[str, ...] = ()
    space: Space | None = None
    population: str = ""


class Executor(ABC):
    """Runs all jobs of a source. Used as a context manager; leaving it frees what it holds, on Ctrl-C too."""

    @abstractmethod
    def run(self, source: Source, task: Task, scheduler: SchedulerConfig | None = None) -> None:
        """Run jobs, as many at a time as there is room for, until the source is done.

        Args:
            source: Asked for jobs and told of their ends.
            task: What to run.
            scheduler: Early stopping among the runs of this source; ``None`` for none.

        Raises:
            Exception: Whatever the source raises; runs under way are given up.
        """

    @abstractmethod
    def slots(self, task: Task) -> int:
        """How many runs are made at a time."""

    def close(self) -> None:  # noqa: B027 - nothing to free is fine
        """Free processes and devices."""

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
