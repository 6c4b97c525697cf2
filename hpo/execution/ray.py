"""Runs on a Ray cluster through Ray Tune: reused actors, no loggers, our own record in place of Tune's.

As shipped, a trial costs Tune about a second, spent on an actor process, loggers and a directory for each. Actors are
reused here, and what Tune would write is not needed: a study goes on from its own store, never from ``Tuner.restore``.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.search import SearchAlgorithm, Searcher, SearchGenerator

from hpo.allocation.base import Done, Wait
from hpo.config.model import SchedulerConfig
from hpo.execution.base import Executor, Job, Source, Task
from hpo.execution.kept import drop, taken_up
from hpo.execution.trainable import RECORD, TrainingRun, encode, judged, step_of, trial_name
from hpo.execution.worker import pruned_record
from hpo.ledger import RunRecord
from hpo.populations import continued
from hpo.schedulers import PAUSING, POPULATION, first_runs_only, make_scheduler
from scaling.errors import ForetuneError, InputError

__all__ = ["RayExecutor"]

_QUIET = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a failed run has no metric
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # ours ends the session and says how to go on
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",  # the record is in our store
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # objectives keep the working directory of the user
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}
#: Bytes of shared memory for a local Ray: jobs and records are small, and Ray would take 30 % of the machine's memory.
_OBJECT_STORE = 100 * 2**20


class RayExecutor(Executor):
    """Ray Tune on a cluster, or on this machine alone.

    Args:
        address: Of the cluster (``auto``, ``HOST:PORT``, ``ray://...``); ``None`` starts a small Ray here, for as
            long as the executor is open, unless this process has one already.

    Raises:
        InputError: No cluster answers at ``address``.
    """

    def __init__(self, address: str | None = None) -> None:
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
        for name in ("ray", "ray.tune", "ray.air", "ray.train"):
            logging.getLogger(name).setLevel(logging.ERROR)
        # It lists failed runs, which the record has.
        logging.getLogger("ray.tune.tune").setLevel(logging.CRITICAL)
        self._ours = not ray.is_initialized()
        if self._ours:
            self._start(address)
        # Only schedulers that pause runs write here; on several machines all of them must see it.
        self._folder = Path(
            tempfile.mkdtemp(prefix="foretune-ray-", dir=os.environ.get("FORETUNE_RAY_STORAGE"))
        )

    @staticmethod
    def _start(address: str | None) -> None:
        common: dict[str, Any] = {
            "log_to_driver": False,
            "logging_level": logging.ERROR,
            "configure_logging": False,
        }
        if address is None:
            cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
            ray.init(
                address="local",
                num_cpus=int(os.environ.get("FORETUNE_CPUS", cores or 1)),
                include_dashboard=False,
                object_store_memory=_OBJECT_STORE,
                **common,
            )
            return
        try:
            _knock(address)
            ray.init(address=address, runtime_env={"env_vars": _QUIET}, **common)
        except (OSError, ValueError, RuntimeError) as error:
            raise InputError(
                f"no Ray cluster answers there ({str(error).splitlines()[0]})",
                source=address,
                key="--address",
                remedy="start one with `ray start --head`, or leave --address out to use this machine alone",
            ) from None

    def slots(self, task: Task) -> int:
        """How many runs the cluster has room for."""
        have = ray.cluster_resources()
        rooms = [have.get("CPU", 0.0) / task.cpu] if task.cpu else []
        rooms += [have.get("GPU", 0.0) / task.gpu] if task.gpu else []
        slots = int(min(rooms, default=1.0) + 1e-9)
        if slots < 1:
            raise InputError(
                f"one run asks for {task.cpu:g} CPU and {task.gpu:g} GPU, and the cluster has "
                f"{have.get('CPU', 0):g} and {have.get('GPU', 0):g}",
                key="resources",
                remedy="ask for less, or give --address of a larger cluster",
            )
        return slots

    def run(self, source: Source, task: Task, scheduler: SchedulerConfig | None = None) -> None:
        """Run all jobs in one Ray Tune experiment."""
        scheduler = scheduler or SchedulerConfig()
        task = replace(task, population=scheduler.name if scheduler.name in POPULATION else "")
        rule = make_scheduler(scheduler, task.metric, task.direction, task.space)
        if task.population:
            continued(rule, step_of)
        elif scheduler.name != "none":
            first_runs_only(rule, judged)
        searcher = _SourceSearcher(source, task)
        searcher.listen(rule)
        trainable = tune.with_parameters(
            TrainingRun,
            task=ray.cloudpickle.dumps(task),
            path=task.path,
            stepwise=scheduler.name != "none",
            last_step=_last_step(scheduler),
        )
        tuner = tune.Tuner(
            tune.with_resources(trainable, {"cpu": task.cpu, "gpu": task.gpu}),
            tune_config=tune.TuneConfig(
                search_alg=_Members(searcher) if task.population else searcher,
                scheduler=rule,
                num_samples=-1,
                # Paused runs count as live: where a scheduler pauses, they must not keep new ones from starting.
                max_concurrent_trials=None if scheduler.name in PAUSING else self.slots(task),
                reuse_actors=True,
                trial_dirname_creator=_folder_name,
                trial_name_creator=searcher.name,
            ),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=str(self._folder),
                verbose=0,
                callbacks=[],
                # A lost machine says nothing about the configuration, so once more; too little memory is so twice.
                failure_config=tune.FailureConfig(max_failures=1),
            ),
        )
        try:
            tuner.fit()
        except Exception as error:
            if searcher.error is None:
                raise ForetuneError(f"Ray Tune gave up: {type(error).__name__}: {error}") from error
        if searcher.error is not None:
            raise searcher.error

    def close(self) -> None:
        """End our Ray and remove what Tune wrote."""
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._ours:
            ray.shutdown()


def _knock(address: str) -> None:
    """Raise ``OSError`` where nothing listens; Ray itself would try for minutes, and then end the process."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()


def _folder_name(trial: Any) -> str:
    return str(trial.trial_id)


def _last_step(scheduler: SchedulerConfig) -> float | None:
    last = scheduler.options.get("max_t")
    return float(last) if last is not None else None


class _Members(SearchAlgorithm):
    """A population's members from a source.

    Ray refuses searchers beside a population scheduler, as most would take a run's value for that of the
    configuration they proposed. Ours keeps both on the record, so that it may.
    """

    def __init__(self, searcher: Searcher) -> None:
        self._inner = SearchGenerator(searcher)

    @property
    def metric(self) -> str | None:
        """Tune's property."""
        return None

    @property
    def total_samples(self) -> int:
        """As many as the source gives."""
        return 0

    def add_configurations(self, experiments: Any) -> None:
        """Tune's specification of what a trial is."""
        self._inner.add_configurations(experiments)

    def next_trial(self) -> Any:
        """The next member, if there is one."""
        return self._inner.next_trial()

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """A report."""
        self._inner.on_trial_result(trial_id, result)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """A member's end."""
        self._inner.on_trial_complete(trial_id, result, error)

    def is_finished(self) -> bool:
        """Whether the source has no more."""
        return bool(self._inner.is_finished())

    def has_checkpoint(self, dirpath: str) -> bool:
        """Never: the study's store has it all."""
        return False

    def save_to_dir(self, dirpath: str, **_: Any) -> None:
        """Nothing."""

    def restore_from_dir(self, dirpath: str) -> None:
        """Nothing."""


class _SourceSearcher(Searcher):
    """Ray Tune's view of a source. An error of the source ends the experiment, and is raised by the executor."""

    def __init__(self, source: Source, task: Task) -> None:
        super().__init__()
        self._source = source
        self._task = task
        self._wanted = task.metric
        self._jobs: dict[str, tuple[Job, float]] = {}
        self._troubles: dict[str, str] = {}
        self._last: dict[str, dict[str, Any]] = {}
        self.error: BaseException | None = None

    def name(self, trial: Any) -> str:
        """Tune's trial, named after its run."""
        return trial_name(self._jobs[trial.trial_id][0])

    def listen(self, rule: Any) -> None:
        """Have the scheduler pass on what a trial failed of: searchers are not told, and schedulers are told first."""
        handle = rule.on_trial_error

        def on_trial_error(controller: Any, trial: Any) -> None:
            with suppress(OSError, TypeError):
                self._troubles[trial.trial_id] = Path(trial.error_file).read_text(encoding="utf-8")
            handle(controller, trial)

        rule.on_trial_error = on_trial_error

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        """Tune hands over the metric; the source knows its own."""
        return True

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The source's next job; ``None`` while it waits."""
        if self.error is not None:
            return str(self.FINISHED)
        try:
            job = self._source.ask()
        except Exception as error:
            self.error = error
            return str(self.FINISHED)
        if isinstance(job, Done):
            return str(self.FINISHED)
        if isinstance(job, Wait):
            return None
        self._jobs[trial_id] = (job, time.time())
        member, step = taken_up(self._task, job)
        return encode(member, self._task, step)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell the source how the run ended: by itself, by a scheduler, or with its worker."""
        job, started = self._jobs.pop(trial_id)
        last = self._last.pop(trial_id, {})
        if not (result or error):  # Tune gives none of a run that was stopped while it paused
            result = last
        result = result or {}
        if RECORD in result:
            record = RunRecord.from_dict(json.loads(result[RECORD]))
        elif error or not result:
            reason = "its process died twice: killed, out of memory, or its machine was lost"
            trouble = f"{self._troubles.pop(trial_id, '')}\n{reason}".strip()  # tables show the last line
            record = RunRecord(job.atom, "failed", None, {}, time.time() - started, started, trouble)
        else:
            reports = {name: value for name, value in result.items() if name in result.get("reported", ())}
            record = pruned_record(
                job, self._wanted, reports, float(result.get("time_total_s", 0.0)), started
            )
        if self.error is None:
            try:
                self._source.tell(job, record)
                drop(self._task, job)
            except Exception as problem:
                self.error = problem

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Remember the last report, for a run that ends while it pauses."""
        self._last[trial_id] = result

    def on_pause(self, trial_id: str) -> None:
        """Hyperband tells; a paused run is under way like any other."""

    def on_unpause(self, trial_id: str) -> None:
        """Hyperband tells."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the study's store has it all."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the study's store has it all."""
