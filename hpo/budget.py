"""How much a study may spend on tuning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hpo.ledger import Ledger, RunRecord

__all__ = ["Budget", "Kind", "flops_of"]

Kind = Literal["trials", "runs", "hours", "flops"]
# After so many runs of which none could say its FLOPs, such a budget would never be spent.
_UNCOUNTED = 20


def flops_of(record: RunRecord, config: Mapping[str, Any] | None = None) -> float:
    """Floating-point operations of a run: as recorded, as returned by the objective, or 6ND where N and D are known.

    Args:
        record: The run.
        config: Its configuration, asked for N and D where the run does not say them.
    """
    for source in (record.cost, record.metrics):
        if isinstance(source.get("flops"), (int, float)):
            return float(source["flops"])
    said = {**(config or {}), **record.metrics}
    params, tokens = said.get("params"), said.get("tokens")
    if isinstance(params, (int, float)) and isinstance(tokens, (int, float)):
        return 6.0 * float(params) * float(tokens)
    return 0.0


def _flops(records: Sequence[RunRecord]) -> list[float]:
    """Of each run; one that was stopped or failed before it could say is taken to have used as many a second as the
    others.
    """
    known = [flops_of(run) for run in records]
    seconds = sum(run.seconds for run, flops in zip(records, known, strict=True) if flops)
    rate = sum(known) / seconds if seconds else 0.0
    return [flops or rate * run.seconds for run, flops in zip(records, known, strict=True)]


class Budget(BaseModel):
    """One of four units; all are spent by finished and running runs alone, so that a resumed study knows its rest.

    Attributes:
        trials: Configurations.
        runs: Single training runs.
        hours: Hours of training summed over the runs (two workers at once spend two hours an hour).
        flops: Floating-point operations summed over the runs, as the objective returns them (``flops``, else 6ND).
            A run that ended before it could say counts by its seconds.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    trials: Annotated[int, Field(gt=0)] | None = None
    runs: Annotated[int, Field(gt=0)] | None = None
    hours: Annotated[float, Field(gt=0)] | None = None
    flops: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _one(self) -> Budget:
        given = [name for name, value in self if value is not None]
        if len(given) != 1:
            said = f"{' and '.join(given)} are given" if given else "nothing is given"
            raise ValueError(f"{said}; give one of trials, runs, hours, flops")
        return self

    @property
    def kind(self) -> Kind:
        """The unit it is given in."""
        kinds: tuple[Kind, ...] = ("trials", "runs", "hours", "flops")
        return next(kind for kind in kinds if getattr(self, kind) is not None)

    @property
    def amount(self) -> float:
        """How many of that unit."""
        return float(getattr(self, self.kind))

    def runs_planned(self, seeds: int) -> int | None:
        """Training runs where each configuration gets ``seeds`` of them; ``None`` if hours or FLOPs decide."""
        if self.trials is not None:
            return self.trials * seeds
        return self.runs

    def spent(self, ledger: Ledger) -> float:
        """What the ledger's runs have used of it, those under way counted as an average one."""
        if self.kind == "trials":
            return float(len(ledger.params))
        running = len(ledger.running())
        if self.kind == "runs":
            return float(len(ledger) + running)
        each = _flops(list(ledger)) if self.kind == "flops" else [run.seconds / 3600 for run in ledger]
        return sum(each) * (1 + running / len(each)) if each else 0.0

    def room(self, ledger: Ledger, owed: int, seeds: int) -> bool:
        """Whether one more configuration may start.

        Args:
            ledger: Finished and running runs.
            owed: Runs that configurations already proposed will still get, beyond those under way.
            seeds: Runs that the new one will get.
        """
        spent = self.spent(ledger)
        if self.kind == "flops" and spent == 0 and len(ledger) >= _UNCOUNTED:
            return False
        if self.kind == "trials":
            return spent < self.amount
        if self.kind == "runs":
            return spent + owed + seeds <= self.amount
        begun = len(ledger) + len(ledger.running())
        return spent + owed * (spent / begun if begun else 0.0) < self.amount
