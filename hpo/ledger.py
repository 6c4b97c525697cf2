"""The ledger: every (configuration, seed, fidelity) that a study has trained, and how it ended.

The atom of a study is one training run. A configuration is an Optuna trial; its runs are recorded in that trial's user
attributes under :func:`run_key`, each written once, when the run has finished. Runs on testing seeds are recorded in a
study of their own that no sampler is given (:mod:`hpo.store`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

__all__ = ["RUN_PREFIX", "Atom", "Ledger", "RunRecord", "Status", "run_key"]

#: ``complete``: has a value. ``failed``: raised, or ran out of time. ``diverged``: the objective said so, or its metric
#: was not finite. ``pruned``: stopped early by a scheduler. Only ``complete`` and ``pruned`` runs carry a value.
Status = Literal["complete", "failed", "diverged", "pruned"]

#: User attributes of an Optuna trial that start so are runs.
RUN_PREFIX = "run:"


@dataclass(frozen=True, order=True)
class Atom:
    """One training run, done or to be done.

    Attributes:
        configuration: Number of the Optuna trial that holds the hyperparameters.
        seed: Seed that the objective is called with.
        fidelity: Fraction of a full run in (0, 1]; 1 is a full run.
    """

    configuration: int
    seed: int
    fidelity: float = 1.0


def run_key(seed: int, fidelity: float = 1.0) -> str:
    """User-attribute key of a run: ``run:SEED``, or ``run:SEED@FIDELITY`` for a partial one."""
    return f"{RUN_PREFIX}{seed}" if fidelity == 1.0 else f"{RUN_PREFIX}{seed}@{fidelity:g}"


@dataclass(frozen=True)
class RunRecord:
    """A finished training run.

    Attributes:
        atom: What was run.
        status: How it ended.
        value: The metric, in its own direction; ``None`` unless ``complete`` or ``pruned``. Never a stand-in number.
        metrics: Everything the objective returned.
        seconds: Wall-clock seconds of the training.
        started: Unix time of its start.
        error: Traceback or reason where it failed or diverged.
        cost: What else it used: ``gpu_seconds``, ``flops``, ``kwh``, ``kg_co2``; where: ``host``, ``device``.
    """

    atom: Atom
    status: Status
    value: float | None = None
    metrics: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    started: float = 0.0
    error: str | None = None
    cost: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.value is None) != (self.status in ("failed", "diverged")):
            raise ValueError(f"a run with status {self.status!r} cannot have the value {self.value!r}")

    def to_dict(self) -> dict[str, Any]:
        """As stored in a user attribute."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> RunRecord:
        """Back from a user attribute."""
        return cls(**{**stored, "atom": Atom(**stored["atom"])})


class Ledger:
    """Runs by configuration, with the hyperparameters of each; running ones are known but have no record yet."""

    def __init__(self) -> None:
        self.params: dict[int, dict[str, Any]] = {}
        self._records: dict[Atom, RunRecord] = {}
        self._by_configuration: dict[int, list[RunRecord]] = {}
        self._running: set[Atom] = set()

    def propose(self, configuration: int, params: dict[str, Any]) -> None:
        """Enter a configuration."""
        self.params[configuration] = dict(params)
        self._by_configuration.setdefault(configuration, [])

    def withdraw(self, configuration: int) -> None:
        """Take out a configuration that never was whole, and has no runs."""
        if self._by_configuration[configuration]:
            raise ValueError(f"configuration {configuration} has runs")
        del self._by_configuration[configuration], self.params[configuration]

    def start(self, atom: Atom) -> None:
        """Note that a run is under way."""
        self._running.add(atom)

    def add(self, record: RunRecord) -> None:
        """Enter a finished run. A run is entered once."""
        if record.atom in self._records:
            raise ValueError(f"{record.atom} is in the ledger already")
        self._running.discard(record.atom)
        self._records[record.atom] = record
        self._by_configuration.setdefault(record.atom.configuration, []).append(record)

    def of(self, configuration: int) -> list[RunRecord]:
        """Finished runs of a configuration, in the order they finished."""
        return list(self._by_configuration.get(configuration, ()))

    def running(self, configuration: int | None = None) -> list[Atom]:
        """Runs under way, of one configuration or of all."""
        return sorted(atom for atom in self._running if configuration in (None, atom.configuration))

    def configurations(self) -> list[int]:
        """All configurations in the order they were proposed."""
        return list(self._by_configuration)

    def __contains__(self, atom: object) -> bool:
        return atom in self._records

    def __iter__(self) -> Iterator[RunRecord]:
        return iter(self._records.values())

    def __len__(self) -> int:
        return len(self._records)

    def extend(self, records: Iterable[RunRecord]) -> None:
        """Enter many finished runs."""
        for record in records:
            self.add(record)
