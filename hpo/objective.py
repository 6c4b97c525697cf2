"""Objectives, what users write: a Python function, or a command whose script prints its metrics."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo.trial import Trial
from scaling.errors import InputError

__all__ = ["Command", "Objective", "check_signature", "import_objective", "load_objective"]

#: ``objective(config, seed=seed, trial=trial)`` gives the metrics.
Objective = Callable[..., Mapping[str, Any]]

_SIGNATURE = "write it as `def train(config: dict, *, seed: int, trial: hpo.Trial) -> dict[str, float]`"


def load_objective(
    objective: str | Objective | None, command: str | None, *, source: str | None = None
) -> Objective:
    """The objective of a study, ready to be called.

    Raises:
        InputError: It cannot be imported, is no function, or cannot be called as objectives are.
    """
    if command is not None:
        return Command(command)
    if isinstance(objective, str):
        function = import_objective(objective, source=source)
        check_signature(function, objective, source=source)
        return function
    assert objective is not None
    check_signature(objective, getattr(objective, "__qualname__", repr(objective)), source=source)
    return objective


def import_objective(reference: str, *, source: str | None = None) -> Objective:
    """The function that ``module:function`` names, looked for in the working directory first."""
    module_name, colon, name = reference.partition(":")
    if not (colon and module_name and name):
        raise InputError(
            f"{reference!r} does not name a function",
            source=source,
            key="objective",
            remedy="write module:function, as in studies.language_model:train",
        )
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:
        raise InputError(
            f"{module_name!r} cannot be imported ({type(error).__name__}: {error})",
            source=source,
            key="objective",
            remedy="run from the directory that holds the module, or install what it needs",
        ) from error
    for part in name.split("."):
        if not hasattr(found, part):
            functions = [
                key for key, value in vars(found).items() if callable(value) and not key.startswith("_")
            ]
            raise InputError(
                f"module {module_name!r} has no {part!r}",
                source=source,
                key="objective",
                remedy=f"it has {', '.join(functions[:8]) or 'no functions'}",
            )
        found = getattr(found, part)
    if not callable(found):
        raise InputError(f"{reference!r} is no function", source=source, key="objective", remedy=_SIGNATURE)
    function: Objective = found
    return function


def check_signature(function: Objective, name: str, *, source: str | None = None) -> None:
    """Raise :class:`InputError` unless ``function(config, seed=..., trial=...)`` can be called."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # builtins and some extension types tell nothing; the first run will
    try:
        signature.bind({}, seed=0, trial=Trial())
    except TypeError as error:
        raise InputError(
            f"{name}{signature} cannot be called with (config, seed=..., trial=...): {error}",
            source=source,
            key="objective",
            remedy=_SIGNATURE,
        ) from None


@dataclass(frozen=True)
class Command:
    """A shell command as an objective.

    ``{name}`` stands for a parameter, a fixed value, ``{seed}`` or ``{number}``, quoted for the shell. The script gives
    its metrics as a JSON object: written to the file that the environment variable ``FORETUNE_METRICS`` names, or
    printed, of which the last such line counts. ``FORETUNE_CONFIG`` (JSON) and ``FORETUNE_SEED`` are set as well.
    """

    template: str

    def __call__(self, config: Mapping[str, Any], *, seed: int, trial: Trial) -> dict[str, Any]:
        """Run the script and read its metrics.

        Raises:
            RuntimeError: It exited with an error, or gave no metrics.
        """
        line = self.render(config, seed=seed, number=trial.number)
        with tempfile.TemporaryDirectory(prefix="foretune-") as folder:
            target = Path(folder) / "metrics.json"
            environment = {
                **os.environ,
                "FORETUNE_METRICS": str(target),
                "FORETUNE_CONFIG": json.dumps(dict(config)),
                "FORETUNE_SEED": str(seed),
            }
            done = _run(line, environment)
            if done.returncode:
                tail = "\n".join((done.stderr or done.stdout).splitlines()[-40:])
                raise RuntimeError(f"the command exited with status {done.returncode}: {line}\n{tail}")
            return self._metrics(target, done.stdout, line)

    def render(self, config: Mapping[str, Any], *, seed: int, number: int) -> str:
        """The command line of one run."""
        values = {**config, "seed": seed, "number": number}
        return self.template.format_map({name: shlex.quote(_text(value)) for name, value in values.items()})

    @staticmethod
    def _metrics(target: Path, printed: str, line: str) -> dict[str, Any]:
        if target.is_file():
            found = _json_object(target.read_text(encoding="utf-8"))
            if found is None:
                raise RuntimeError(f"the command wrote no JSON object to $FORETUNE_METRICS: {line}")
            return found
        for text in reversed(printed.splitlines()):
            found = _json_object(text)
            if found is not None:
                return found
        raise RuntimeError(
            f"the command printed no line of JSON and wrote none to $FORETUNE_METRICS: {line}\n"
            'print the metrics as the last line, such as {"loss": 2.31}'
        )


def _run(line: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run ``line`` in a process group of its own, which goes when we are interrupted or out of time."""
    with subprocess.Popen(
        line,
        shell=True,
        text=True,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate()
        except BaseException:
            import signal

            os.killpg(process.pid, signal.SIGKILL)
            raise
        return subprocess.CompletedProcess(line, process.returncode, out, err)


def _json_object(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
