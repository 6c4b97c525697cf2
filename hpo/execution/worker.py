"""One training run, the same wherever it happens: every way it can end becomes a record, none a stand-in number."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hpo.budget import flops_of
from hpo.cost import measure
from hpo.execution.base import Job, Task
from hpo.ledger import RunRecord, Status
from hpo.replay import replay
from hpo.trial import Diverged, Pruned, Trial

__all__ = ["MISSING_METRIC", "perform", "pruned_record"]

#: Start of the error of a run whose objective did not return the metric.
MISSING_METRIC = "MissingMetric"

#: Status, value, metrics, error.
Outcome = tuple[Status, float | None, dict[str, Any], str | None]
Report = Callable[[int, dict[str, float]], None]


class OutOfTime(Exception):
    """The run took longer than the study's ``time_limit``."""


def perform(
    task: Task, job: Job, on_report: Report | None = None, *, checkpoint: Path | None = None
) -> RunRecord:
    """Train once.

    Args:
        task: What to run.
        job: With which configuration and seed.
        on_report: Called with each of the run's reports; raises :class:`Pruned` to stop it.
        checkpoint: The run's checkpoint, where it is not the task's own.

    Returns:
        The record. Only ``KeyboardInterrupt`` passes through.
    """
    kept = checkpoint or checkpoint_path(task, job)
    trial = Trial(
        job.atom.configuration,
        job.atom.seed,
        fidelity=job.atom.fidelity,
        on_report=on_report,
        checkpoint=kept,
    )
    started = time.time()
    with measure(gpus=task.gpu, energy=task.energy) as cost:
        status, value, metrics, error = _train(task, job, trial)
    if kept is not None and checkpoint is None:
        kept.unlink(missing_ok=True)
    seconds = float(cost.pop("seconds"))
    cost.update(host=socket.gethostname(), device=device_name(task))
    record = RunRecord(job.atom, status, value, metrics, seconds, started, error, cost)
    # What the study fixes is what a whole run was asked for, and no measure of one that ended before.
    asked = job.config if status == "complete" else {}
    if flops := flops_of(record, asked):
        cost["flops"] = flops
    return record


def _train(task: Task, job: Job, trial: Trial) -> Outcome:
    try:
        with _threads(task.cpu), _limit(task.time_limit):
            return judge(replay(task.objective, job.config, seed=job.atom.seed, trial=trial), task.metric)
    except Pruned:
        return _stopped(trial, task.metric)
    except Diverged as reason:
        return "diverged", None, {}, str(reason) or "the objective raised hpo.Diverged"
    except OutOfTime:
        return "failed", None, {}, f"took longer than time_limit, {task.time_limit:g} s"
    except (Exception, SystemExit):  # a script's sys.exit must not end the worker
        return "failed", None, {}, traceback.format_exc()


def judge(returned: object, metric: str) -> Outcome:
    """Status, value, metrics and error of what an objective returned."""
    if isinstance(returned, (int, float)) and not isinstance(returned, bool):
        returned = {metric: returned}
    if not isinstance(returned, Mapping):
        return (
            "failed",
            None,
            {},
            f"{MISSING_METRIC}: the objective returned {type(returned).__name__}, not a dict of metrics",
        )
    metrics = {str(name): plain(value) for name, value in returned.items()}
    if metric not in metrics:
        names = ", ".join(map(repr, metrics)) or "nothing"
        return "failed", None, metrics, f"{MISSING_METRIC}: the objective returned {names}, but no {metric!r}"
    value = metrics[metric]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "failed", None, metrics, f"{MISSING_METRIC}: {metric!r} is {value!r}, not a number"
    if not math.isfinite(value):
        return "diverged", None, _finite(metrics), f"{metric} is {value}"
    return "complete", float(value), _finite(metrics), None


def pruned_record(
    job: Job, metric: str, reports: Mapping[str, Any], seconds: float, started: float
) -> RunRecord:
    """The record of a run that a scheduler has ended after a report."""
    value = reports.get(metric)
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        return RunRecord(
            job.atom, "failed", None, {}, seconds, started, f"stopped early without a finite {metric!r}"
        )
    metrics = _finite({name: plain(entry) for name, entry in reports.items()})
    return RunRecord(job.atom, "pruned", float(value), metrics, seconds, started)


def plain(value: Any) -> Any:
    """A number or string without numpy or torch around it."""
    if hasattr(value, "tolist"):  # an array of no dimensions gives a number
        return value.tolist()
    return value if isinstance(value, (bool, int, float, str, type(None), list, dict)) else str(value)


def _finite(metrics: dict[str, Any]) -> dict[str, Any]:
    """Metrics as JSON can hold them in any database: what is not finite becomes ``None``."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in metrics.items()
    }


def _stopped(trial: Trial, metric: str) -> Outcome:
    if not trial.reports or metric not in trial.reports[-1][1]:
        return "failed", None, {}, f"stopped early without having reported {metric!r}"
    step, metrics = trial.reports[-1]
    status, value, metrics, error = judge(metrics, metric)
    return ("pruned" if status == "complete" else status), value, {**metrics, "step": step}, error


def checkpoint_path(task: Task, job: Job) -> Path | None:
    """Where a run keeps its checkpoint, the same when it is taken up again."""
    if task.checkpoints is None:
        return None
    section = job.section.replace("/", "_").replace(":", "_").replace(" ", "_")
    return task.checkpoints / f"{section}-{job.atom.configuration}-{job.atom.seed}.pickle"


@contextlib.contextmanager
def _limit(seconds: float | None) -> Iterator[None]:
    """Raise :class:`OutOfTime` in the running code after ``seconds``; only possible in a main thread."""
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise OutOfTime

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _threads(cpu: float) -> Iterator[None]:
    """Let torch use as many threads as the run has cores: the last digit of a sum depends on their number."""
    wanted = max(1, int(cpu))
    os.environ.setdefault("OMP_NUM_THREADS", str(wanted))
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch is not None else None
    if torch is not None and before != wanted:
        torch.set_num_threads(wanted)
    try:
        yield
    finally:
        if torch is not None and before != wanted:
            torch.set_num_threads(before)


def device_name(task: Task) -> str:
    """The accelerator that the run was given, else the processor."""
    if task.gpu:
        with contextlib.suppress(Exception):
            import torch

            return str(torch.cuda.get_device_name())
    return "cpu"
