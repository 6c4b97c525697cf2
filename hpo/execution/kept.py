"""What an interrupted run goes on from, where a scheduler looks at its reports: its last checkpoint, beside the record.

Tune keeps the checkpoints of an experiment in a folder that ends with it. A driver that is killed loses them, and with
them the values that a population had come to. Here is a copy in the study's own folder, renewed at each report and
removed when the run has ended. It needs a folder that driver and workers see, which a SQLite storage has.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpo.execution.base import Job, Task
from hpo.execution.worker import checkpoint_path

__all__ = ["drop", "keep", "made_of", "restore_into", "taken_up"]


def _pair(task: Task, job: Job) -> tuple[Path, Path] | None:
    """The checkpoint, and what is known of its making: ``step``, ``schedule`` of values up to there, ``seconds``."""
    path = checkpoint_path(task, job)
    return None if path is None else (path, path.with_suffix(".json"))


def keep(task: Task, job: Job, checkpoint: Path, made: Mapping[str, Any]) -> None:
    """Keep a run's checkpoint in place of the last, if it has one.

    Args:
        task: The study's.
        job: The run.
        checkpoint: File that the objective saves to: replaced with each save, never written into.
        made: ``step``, ``schedule`` and ``seconds`` of it.
    """
    pair = _pair(task, job)
    if pair is None or not checkpoint.is_file():
        return
    kept, notes = pair
    kept.parent.mkdir(parents=True, exist_ok=True)
    # A report without a new save leaves both names of one file, and moving one onto the other would do nothing.
    if not (kept.is_file() and kept.samefile(checkpoint)):
        fresh = kept.with_suffix(f".{os.getpid()}")
        _copy(checkpoint, fresh)
        fresh.replace(kept)
    fresh = notes.with_suffix(f".json-{os.getpid()}")
    fresh.write_text(json.dumps(dict(made)), encoding="utf-8")
    fresh.replace(notes)


def made_of(task: Task, job: Job) -> dict[str, Any] | None:
    """``step``, ``schedule`` and ``seconds`` of the checkpoint that an interrupted run left; ``None`` without one."""
    pair = _pair(task, job)
    if pair is None or not pair[0].is_file():
        return None
    with suppress(OSError, ValueError):
        made: dict[str, Any] = json.loads(pair[1].read_text(encoding="utf-8"))
        return made
    return None


def restore_into(task: Task, job: Job, checkpoint: Path) -> dict[str, Any] | None:
    """Put an interrupted run's checkpoint where its objective looks for it; what :func:`made_of` says of it."""
    made, pair = made_of(task, job), _pair(task, job)
    if made is None or pair is None or pair[0] == checkpoint:
        return None
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    _copy(pair[0], checkpoint)
    return made


def taken_up(task: Task, job: Job) -> tuple[Job, int]:
    """An interrupted population's member with the values it had come to, and the step; else the run itself, and 0."""
    made = made_of(task, job) if task.population else None
    if made is None:
        return job, 0
    values = made["schedule"][-1]["values"]
    rest = {name: value for name, value in job.config.items() if name not in job.sampled}
    return replace(job, config={**rest, **values}, sampled=values), int(made["step"])


def drop(task: Task, job: Job) -> None:
    """Forget the checkpoint of a run that has ended."""
    for path in _pair(task, job) or ():
        path.unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    """By a second name where the file system can: it costs nothing, and checkpoints are replaced, never changed."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy(source, target)
