"""What every executor must do, whoever wrote it. Subclass :class:`ExecutorContract` and give ``executor``."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hpo.allocation.base import Done, Wait
from hpo.config.model import SchedulerConfig
from hpo.execution import Executor, Job, Source, Task
from hpo.ledger import Atom, RunRecord
from hpo.trial import Diverged, Trial


def objective(config: dict[str, Any], *, seed: int, trial: Trial) -> dict[str, float]:
    """Ends in the way that its configuration says."""
    how = config["how"]
    if how == "raise":
        raise ValueError("no luck today")
    if how == "exit":
        raise SystemExit("bye")
    if how == "diverge":
        raise Diverged("loss above ten")
    if how == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "sleep":
        time.sleep(30)
    if how == "curve":
        for step in range(1, 10):
            trial.report(step, loss=config["level"] + 1 / step)
    if how == "climb":
        state = trial.restore() or {"step": 0, "height": 0.0}
        while state["step"] < 8:
            if state["step"] == config.get("fails_at"):
                raise ValueError("amid its course")
            state = {"step": state["step"] + 1, "height": state["height"] + config["rate"]}
            trial.save(state)
            trial.report(state["step"], loss=state["height"])
        return {"loss": state["height"], "seen_seed": trial.seed}
    values = {
        "nan": math.nan,
        "inf": -math.inf,
        "good": 10.0 * config.get("x", 0) + seed,
        "curve": config.get("level"),
    }
    if how == "missing":
        return {"accuracy": 1.0}
    return {"loss": values[how], "seen_seed": trial.seed, "number": trial.number}


class Listed(Source):
    """Gives jobs in order; ``limit`` of them at a time at most."""

    def __init__(self, configs: list[dict[str, Any]], limit: int = 100) -> None:
        self.jobs = [Job("listed", Atom(i, 100 + i), config, config) for i, config in enumerate(configs)]
        self.waiting = list(self.jobs)
        self.limit = limit
        self.under_way: set[Atom] = set()
        self.most = 0
        self.told: dict[int, RunRecord] = {}

    def ask(self) -> Job | Wait | Done:
        if self.waiting and len(self.under_way) < self.limit:
            job = self.waiting.pop(0)
            self.under_way.add(job.atom)
            self.most = max(self.most, len(self.under_way))
            return job
        return Wait() if self.under_way else Done()

    def tell(self, job: Job, record: RunRecord) -> None:
        assert record.atom == job.atom
        assert record.atom in self.under_way, "told twice, or of a run that was never asked for"
        self.under_way.remove(record.atom)
        self.told[record.atom.configuration] = record


class Failing(Listed):
    """An error in the study's own code."""

    def tell(self, job: Job, record: RunRecord) -> None:
        super().tell(job, record)
        if job.atom.configuration == 1:
            raise RuntimeError("the store is gone")


class ExecutorContract:
    """The contract."""

    #: Whether the executor survives the death of a worker.
    survives_death = True

    @pytest.fixture(scope="class")
    def executor(self) -> Iterator[Executor]:
        raise NotImplementedError

    def run(
        self, executor: Executor, source: Listed, scheduler: SchedulerConfig | None = None, **options: Any
    ) -> dict[int, RunRecord]:
        executor.run(
            source, Task(objective, "loss", path=(str(Path(__file__).parent),), **options), scheduler
        )
        assert not source.waiting and not source.under_way
        return source.told

    def test_all_jobs_are_run_once_with_their_own_seed(self, executor: Executor) -> None:
        source = Listed([{"how": "good", "x": i} for i in range(6)])
        told = self.run(executor, source)
        assert {i: run.value for i, run in told.items()} == {i: 10.0 * i + 100 + i for i in range(6)}
        assert source.most == executor.slots(Task(objective, "loss"))
        assert all(
            run.metrics["seen_seed"] == run.atom.seed and run.metrics["number"] == i
            for i, run in told.items()
        )
        assert all(
            run.status == "complete" and run.seconds >= 0 and run.cost["host"] for run in told.values()
        )

    def test_every_way_to_fail_is_a_state_and_never_a_number(self, executor: Executor) -> None:
        ways = {
            "raise": "failed", "exit": "failed", "diverge": "diverged", "nan": "diverged", "inf": "diverged",
            "missing": "failed", "sleep": "failed", "good": "complete",
        }  # fmt: skip
        if self.survives_death:
            ways = {"die": "failed", **ways}
        source = Listed([{"how": way, "x": 1} for way in ways], limit=1)
        runs = dict(
            zip(
                ways,
                [run for _, run in sorted(self.run(executor, source, time_limit=2.0).items())],
                strict=True,
            )
        )
        assert {way: run.status for way, run in runs.items()} == ways
        assert source.most == 1, "a source that waits was not waited for"
        assert all(run.value is None and run.error for way, run in runs.items() if way != "good")
        assert "ValueError: no luck today" in str(runs["raise"].error) and "Traceback" in str(
            runs["raise"].error
        )
        assert runs["diverge"].error == "loss above ten" and "time_limit" in str(runs["sleep"].error)
        assert "died" in str(runs["die"].error) if self.survives_death else True

    def test_errors_of_the_source_come_out(self, executor: Executor) -> None:
        with pytest.raises(RuntimeError, match="the store is gone"):
            self.run(executor, Failing([{"how": "good"}] * 3, limit=1))

    def test_early_stopping_prunes_the_worse_and_finishes_the_better(self, executor: Executor) -> None:
        rule = SchedulerConfig(name="asha", max_t=9, grace_period=1, reduction_factor=3)  # type: ignore[call-arg]
        levels = [0.0, 5.0, 6.0, 7.0]
        told = self.run(
            executor, Listed([{"how": "curve", "level": level} for level in levels], limit=1), rule
        )
        assert told[0].status == "complete" and told[0].value == 0.0
        assert told[3].status == "pruned" and told[3].value == 8.0 and told[3].metrics["step"] == 1
