"""Scaling laws as declarative objects: formula, parameters, units, citation."""
