"""Runs in this process, one after the other: for debugging and simulation."""

from __future__ import annotations

from hpo.allocation.base import Done, Wait
from hpo.config.model import SchedulerConfig
from hpo.execution.base import Executor, Source, Task
from hpo.execution.worker import perform

__all__ = ["InlineExecutor"]


class InlineExecutor(Executor):
    """One run at a time, nothing between it and a debugger."""

    def run(self, source: Source, task: Task, scheduler: SchedulerConfig | None = None) -> None:
        """Run all jobs in order."""
        from hpo.schedulers import InlineStopper

        stopper = (
            InlineStopper(scheduler, task) if scheduler is not None and scheduler.name != "none" else None
        )
        while not isinstance(job := source.ask(), Done):
            if isinstance(job, Wait):
                raise RuntimeError("the source waits for a run, and none is under way")
            record = perform(task, job, stopper.begin(job) if stopper else None)
            if stopper:
                stopper.end(job, record)
            source.tell(job, record)

    def slots(self, task: Task) -> int:
        """One."""
        return 1
