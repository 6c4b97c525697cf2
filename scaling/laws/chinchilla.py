"""Chinchilla's law and the same with tied exponents."""

from __future__ import annotations

from scaling.laws.base import Law, Parameter
from scaling.laws.formula import parse

__all__ = ["CHINCHILLA", "CHINCHILLA_TIED"]

_EXPONENTS = (0.1, 0.18, 0.26, 0.34, 0.42, 0.5, 0.65, 0.9)
_FLOOR = Parameter(
    "E", "loss of an infinite model on infinite data", "nats per token", low=1e-6, transform="log"
)
_A = Parameter("A", "weight of the finite model", "nats per token", low=1e-12, transform="log")
_B = Parameter("B", "weight of the finite data", "nats per token", low=1e-12, transform="log")

_ASSUMPTIONS = ("one-epoch", "schedule-matches-tokens")


def _exponent(name: str, of: str, *aliases: str) -> Parameter:
    meaning = f"exponent of {of}"
    return Parameter(name, meaning, low=1e-3, high=5.0, transform="log", starts=_EXPONENTS, aliases=aliases)


CHINCHILLA = Law(
    name="chinchilla",
    title="Chinchilla: loss over parameters and tokens",
    formula="L = E + A / N^a + B / D^b",
    inputs=("params", "tokens"),
    parameters=(
        _FLOOR,
        _A,
        _B,
        _exponent("a", "parameters", "alpha"),
        _exponent("b", "tokens", "beta"),
    ),
    citation='Hoffmann et al., "Training Compute-Optimal Large Language Models", arXiv 2203.15556',
    expression=parse("L = E + A / N^a + B / D^b").expression,
    assumptions=_ASSUMPTIONS,
)

CHINCHILLA_TIED = Law(
    name="chinchilla-tied",
    title="Chinchilla with one exponent for parameters and tokens",
    formula="L = E + A / N^a + B / D^a",
    inputs=("params", "tokens"),
    parameters=(_FLOOR, _A, _B, _exponent("a", "parameters and of tokens", "alpha", "b", "beta")),
    citation='Hoffmann et al., arXiv 2203.15556; tied as in Muennighoff et al., "Scaling Data-Constrained Language '
    'Models", arXiv 2305.16264',
    expression=parse("L = E + A / N^a + B / D^a").expression,
    assumptions=_ASSUMPTIONS,
)
