"""All tuning seeds for each configuration."""

from __future__ import annotations

from collections.abc import Sequence

from hpo.allocation.base import Allocation, Done, Move, Propose, Repeat, Wait
from hpo.budget import Budget, flops_of
from hpo.ledger import Ledger, RunRecord
from scaling.errors import InputError

__all__ = ["Fixed"]


class Fixed(Allocation):
    """Train each configuration on every tuning seed, in order, before the next one starts.

    A configuration whose run failed, diverged or was stopped early gets no further seeds: its mean over all seeds can
    no longer be known, and a mean over those that survived would reward fragile configurations.

    Args:
        seeds: Tuning seeds, in the order that all configurations meet them.
        budget: What tuning may spend.
        judged: Whether early stopping judges the first run of each configuration: the further ones wait for it, also
            where there is room for them beside it.
    """

    def __init__(self, seeds: Sequence[int], budget: Budget, *, judged: bool = False) -> None:
        self.seeds = tuple(seeds)
        self.budget = budget
        self.judged = judged
        # A settled configuration stays settled; remembering how many of the first are keeps each move from walking
        # through all of a long study again. It can be forgotten at any time.
        self._ledger: Ledger | None = None
        self._seen = 0
        self._open: list[int] = []

    def next(self, ledger: Ledger) -> Move:
        """Seeds that are still owed first, then a new configuration while the budget lasts."""
        owed = 0
        for configuration in self._unsettled(ledger):
            missing = self._missing(ledger, configuration)
            if missing and not self._under_judgement(ledger, configuration):
                return Repeat(configuration, missing[0])
            owed += len(missing)
        if self.budget.room(ledger, owed, len(self.seeds)):
            return Propose(self.seeds[0])
        return Wait() if ledger.running() else Done()

    def check(self, ledger: Ledger, record: RunRecord) -> None:
        """The first completed run must say what the budget is given in."""
        if self.budget.kind != "flops" or record.status != "complete" or flops_of(record):
            return
        if not self.budget.spent(ledger):
            raise InputError(
                "a run has completed without saying its FLOPs, so that this budget would never be spent",
                key="budget.flops",
                remedy="have the objective return flops, or params and tokens (6ND), or give the budget in hours, runs "
                "or trials",
            )

    def settled(self, ledger: Ledger, configuration: int) -> bool:
        """Once a run did not complete, or all seeds have."""
        runs = ledger.of(configuration)
        if ledger.running(configuration):
            return False
        return any(run.status != "complete" for run in runs) or not self._missing(ledger, configuration)

    def _under_judgement(self, ledger: Ledger, configuration: int) -> bool:
        return self.judged and any(atom.seed == self.seeds[0] for atom in ledger.running(configuration))

    def _missing(self, ledger: Ledger, configuration: int) -> list[int]:
        runs = ledger.of(configuration)
        if any(run.status != "complete" for run in runs):
            return []
        begun = {run.atom.seed for run in runs} | {atom.seed for atom in ledger.running(configuration)}
        return [seed for seed in self.seeds if seed not in begun]

    def _unsettled(self, ledger: Ledger) -> list[int]:
        if ledger is not self._ledger:
            self._ledger, self._seen, self._open = ledger, 0, []
        if len(ledger.params) > self._seen:
            self._open += ledger.configurations()[self._seen :]
            self._seen = len(ledger.params)
        self._open = [number for number in self._open if not self.settled(ledger, number)]
        return self._open
