"""One training run as a Ray Tune trainable, whose process serves many runs one after the other."""

from __future__ import annotations

import ctypes
import json
import pickle
import queue
import shutil
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from ray import tune

from hpo.execution.base import Job, Task
from hpo.execution.kept import keep, restore_into
from hpo.execution.worker import OutOfTime, checkpoint_path, perform
from hpo.ledger import Atom, RunRecord
from hpo.populations import from_model, to_model
from hpo.replay import SCHEDULE, extended
from hpo.schedulers import STEP
from hpo.trial import Pruned

__all__ = ["FINAL", "JOB", "RECORD", "TrainingRun", "decode", "encode", "judged", "step_of", "trial_name"]

#: Result key of the finished run's record, as JSON: one string, which Tune does not walk through.
RECORD = "foretune_record"
#: Key of the job in Tune's configuration.
JOB = "foretune_job"
#: Metric that says with which values a run ended, where a population scheduler has changed them on the way.
FINAL = "final_config"
_CHECKPOINT = "checkpoint.pickle"
#: Of a checkpoint: the step at which it was taken, and the schedule of values up to there.
_MADE = "made.json"


def encode(job: Job, task: Task, step: int = 0) -> dict[str, Any]:
    """A job as Tune's configuration. Sampled values stand beside it, where population schedulers change them.

    Args:
        job: The run.
        task: The study's.
        step: That it goes on from, where it was interrupted.
    """
    plain = {
        "section": job.section,
        "config": dict(job.config),
        "sampled": list(job.sampled),
        "judged": job.judged,
        "step": step,
    }
    held = to_model(task.space, job.sampled) if task.space and task.population == "pb2" else job.sampled
    return {JOB: json.dumps(plain), **held}


def judged(trial: Any) -> bool:
    """Whether early stopping may end the run of a Tune trial."""
    return bool(json.loads(trial.config[JOB])["judged"])


def step_of(trial: Any) -> int:
    """The step that a Tune trial goes on from, 0 unless an interrupted run is taken up again."""
    return int(json.loads(trial.config[JOB])["step"])


def trial_name(job: Job) -> str:
    """The name of a job's Tune trial.

    It says which run this is: a population scheduler overwrites a trial's configuration by another's, whole.
    """
    return f"{job.atom.configuration}_{job.atom.seed}_{job.atom.fidelity!r}"


def decode(name: str, config: dict[str, Any], task: Task) -> Job:
    """The job of a Tune trial's name and configuration."""
    plain = json.loads(config[JOB])
    number, seed, fidelity = name.split("_")[:3]
    sampled = plain["sampled"]
    values = from_model(task.space, config) if task.space and task.population == "pb2" else config
    kept = {name: value for name, value in plain["config"].items() if name not in sampled}
    if task.space and task.population and task.space.conditional:
        # With another optimizer a member has other parameters; Ray has drawn values for all there could be.
        sampled = task.space.active(values)
    params = {name: values[name] for name in sampled}
    return Job(
        plain["section"],
        Atom(int(number), int(seed), float(fidelity)),
        {**kept, **params},
        params,
        plain["judged"],
    )


class TrainingRun(tune.Trainable):
    """Without a scheduler one step is the whole run. With one, each step is up to the objective's next report."""

    def setup(
        self,
        config: dict[str, Any],
        task: bytes,
        path: tuple[str, ...],
        stepwise: bool,
        last_step: float | None,
    ) -> None:
        """Called once for each process. The task arrives pickled: to read it takes the path of the user's modules."""
        for folder in path:
            if folder not in sys.path:
                sys.path.insert(0, folder)
        loaded: Task = pickle.loads(task)
        self._foretune_task = loaded
        self._stepwise = stepwise
        self._last_step = last_step
        self._stage: _Stage | None = None
        self._begin(config)

    def _begin(self, config: dict[str, Any]) -> None:
        self._job = decode(self.trial_name, config, self._foretune_task)
        self._begin_anew()
        if self._stepwise and (made := restore_into(self._foretune_task, self._job, self._saved())):
            self._go_on(made)

    def _begin_anew(self) -> None:
        self._schedule = extended((), 0, self._job.sampled)
        self._step = 0
        self._seconds = 0.0
        (Path(self.logdir) / _CHECKPOINT).unlink(missing_ok=True)

    def _saved(self) -> Path:
        """Where the objective saves to. A run that no scheduler looks at has no other checkpoint than the one kept."""
        kept = checkpoint_path(self._foretune_task, self._job)
        looked_at = self._job.judged or self._foretune_task.population
        return Path(self.logdir) / _CHECKPOINT if looked_at or kept is None else kept

    def _go_on(self, made: dict[str, Any]) -> None:
        """From a checkpoint. Another member's brings the schedule that made it."""
        self._step, self._seconds = made["step"], made["seconds"]
        self._schedule = extended(made["schedule"], self._step, self._job.sampled)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Called for each further run of this process."""
        self.cleanup()
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train to the end, or to the next report."""
        if not self._stepwise:
            return _final(perform(self._foretune_task, self._job), self._foretune_task.metric)
        if self._stage is None:
            self._stage = _Stage(
                self._foretune_task,
                self._job,
                self._saved(),
                self._last_step,
                self._schedule,
                self._seconds,
            )
        began = time.perf_counter()
        result = self._stage.advance()
        self._seconds += time.perf_counter() - began
        self._step = int(result.get(STEP, self._step))
        if RECORD not in result:
            keep(self._foretune_task, self._job, self._saved(), self._made())
        return result

    def _made(self) -> dict[str, Any]:
        return {"step": self._step, "schedule": self._schedule, "seconds": self._seconds}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """What the objective saved last, for schedulers that pause or copy runs."""
        saved = Path(self.logdir) / _CHECKPOINT
        if saved.is_file():
            shutil.copy(saved, Path(checkpoint_dir) / _CHECKPOINT)
        (Path(checkpoint_dir) / _MADE).write_text(json.dumps(self._made()), encoding="utf-8")

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Put back what was saved; the objective is called anew and finds it by ``trial.restore()``."""
        self.cleanup()
        saved = Path(str(checkpoint)) / _CHECKPOINT
        if not saved.is_file():
            self._begin_anew()  # the objective too, with its own values
            return
        Path(self.logdir).mkdir(parents=True, exist_ok=True)
        mine = Path(self.logdir) / _CHECKPOINT
        mine.unlink(missing_ok=True)  # what is kept may be the same file by another name
        shutil.copy(saved, mine)
        self._go_on(json.loads((saved.parent / _MADE).read_text(encoding="utf-8")))

    def cleanup(self) -> None:
        """End a run that a scheduler has stopped."""
        if self._stage is not None:
            self._stage.stop()
            self._stage = None


def _final(record: RunRecord, metric: str, step: int | None = None) -> dict[str, Any]:
    result: dict[str, Any] = {"done": True, RECORD: json.dumps(record.to_dict())}
    if record.value is not None:
        result[metric] = record.value
        result[STEP] = step if step is not None else 1
    return result


def _prolonged(record: RunRecord, before: float, gpus: float) -> RunRecord:
    """The record of a run that was taken up again: with the seconds that led to its checkpoint, and no other cost that
    is only known of the last part.
    """
    cost = {name: value for name, value in record.cost.items() if name in ("flops", "host", "device")}
    seconds = record.seconds + before
    if gpus:
        cost["gpu_seconds"] = seconds * gpus
    return replace(record, seconds=seconds, cost=cost)


class _Stage:
    """An objective in a thread of its own that stands still between its reports, until the scheduler has decided."""

    def __init__(
        self,
        task: Task,
        job: Job,
        checkpoint: Path,
        last_step: float | None,
        schedule: list[dict[str, Any]],
        seconds: float,
    ) -> None:
        self._task = task
        self._job = job
        self._checkpoint = checkpoint
        self._last_step = last_step
        self._schedule = schedule
        self._before = seconds
        self._results: queue.Queue[dict[str, Any]] = queue.Queue()
        self._go = threading.Semaphore(0)
        self._stopped = False
        self._step: int | None = None
        self._thread: threading.Thread | None = None

    def advance(self) -> dict[str, Any]:
        """Let the objective go on; its next report or its end."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._perform, daemon=True)
            self._thread.start()
        else:
            self._go.release()
        try:
            return self._results.get(timeout=self._task.time_limit)
        except queue.Empty:
            self._raise(OutOfTime)
            reason = f"took longer than time_limit, {self._task.time_limit:g} s, between two reports"
            return _final(RunRecord(self._job.atom, "failed", error=reason), self._task.metric)

    def stop(self) -> None:
        """End it, at its report or wherever it is."""
        self._stopped = True
        self._go.release()
        if self._thread is not None:
            self._thread.join(timeout=10)
            if self._thread.is_alive():
                self._raise(Pruned)

    def _perform(self) -> None:
        record = perform(self._task, self._job, self._report, checkpoint=self._checkpoint)
        if self._task.population:
            changed = {FINAL: dict(self._job.sampled), SCHEDULE: self._schedule}
            record = replace(record, metrics={**record.metrics, **changed})
        if self._before:
            record = _prolonged(record, self._before, self._task.gpu)
        result = _final(record, self._task.metric, self._step)
        if not (self._job.judged or self._task.population):
            result.pop(STEP, None)  # without its time it is no result that schedulers compare others with
        self._results.put(result)

    def _report(self, step: int, metrics: dict[str, float]) -> None:
        self._step = step
        if not (self._job.judged or self._task.population):
            return
        if self._task.metric not in metrics or (self._last_step is not None and step >= self._last_step):
            return  # at its last step a run is finished, not stopped: its own return value is the result
        self._results.put({STEP: step, **metrics, "reported": [STEP, *metrics]})
        self._go.acquire()
        if self._stopped:
            raise Pruned(f"stopped at step {step}")

    def _raise(self, exception: type[BaseException]) -> None:
        if self._thread is not None and self._thread.ident is not None:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(self._thread.ident), ctypes.py_object(exception)
            )
