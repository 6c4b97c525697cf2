"""The interface of seed allocation: given the ledger, the next move."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from hpo.ledger import Ledger, RunRecord

__all__ = ["Allocation", "Done", "Move", "Propose", "Repeat", "Wait"]


@dataclass(frozen=True)
class Propose:
    """Ask the sampler for a new configuration, and run it on ``seed`` first."""

    seed: int


@dataclass(frozen=True)
class Repeat:
    """Run a known configuration on one more seed."""

    configuration: int
    seed: int


@dataclass(frozen=True)
class Wait:
    """Nothing to start until a run that is under way has finished."""


@dataclass(frozen=True)
class Done:
    """The budget is spent and nothing is under way."""


Move = Propose | Repeat | Wait | Done


class Allocation(ABC):
    """Decides which training run comes next. Stateless: all it knows is in the ledger, so that a study resumes.

    Every configuration meets the tuning seeds in the same order (paired seeds): its k-th seed is ``seeds[k]``.
    """

    @abstractmethod
    def next(self, ledger: Ledger) -> Move:
        """The next move, given all finished and running runs."""

    def check(self, ledger: Ledger, record: RunRecord) -> None:  # noqa: B027 - most can do with any run
        """Raise :class:`scaling.errors.InputError` where a finished run, not in the ledger yet, shows that the budget
        cannot be counted.
        """

    @abstractmethod
    def settled(self, ledger: Ledger, configuration: int) -> bool:
        """Whether no further run of this configuration can come before the study ends (its trial can be told)."""
