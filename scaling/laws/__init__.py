"""Scaling laws as declarative objects: formula, parameters, units, citation."""

from scaling.laws.base import Law, Parameter, Params
from scaling.laws.custom import from_formula, from_function
from scaling.laws.registry import LAWS, get_law

__all__ = ["LAWS", "Law", "Parameter", "Params", "from_formula", "from_function", "get_law"]
