"""Which training run comes next: all tuning seeds for each configuration, or a race."""

from __future__ import annotations

from hpo.allocation.base import Allocation, Done, Move, Propose, Repeat, Wait

__all__ = ["Allocation", "Done", "Move", "Propose", "Repeat", "Wait"]
