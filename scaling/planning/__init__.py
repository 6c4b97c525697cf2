"""Which runs to make next: Bayesian design over the pooled model's posterior."""

from __future__ import annotations

from scaling.planning.candidates import candidate_table, initial_design
from scaling.planning.plan import Plan, choose, plan

__all__ = ["Plan", "candidate_table", "choose", "initial_design", "plan"]
