"""The one engine that fits every law: exact starts, batched Newton steps, convergence on the summed objective."""

from scaling.fitting.engine import Solution, solve, solve_many

__all__ = ["Solution", "solve", "solve_many"]
