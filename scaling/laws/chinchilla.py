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

CHINCHILLA = Law(
    name="chinchilla",
    title="Chinchilla: loss over parameters and tokens",
    formula="L = E + A / N^a + B / D^b",
    inputs=("params", "tokens"),
    parameters=(
        _FLOOR,
        _A,
        _B,
        Parameter(
            "a",
            "exponent of parameters",
            low=1e-3,
            high=5.0,
            transform="log",
            starts=_EXPONENTS,
            aliases=("alpha",),
        ),
        Parameter(
            "b",
            "exponent of tokens",
            low=1e-3,
            high=5.0,
            transform="log",
            starts=_EXPONENTS,
            aliases=("beta",),
        ),
    ),
    citation='Hoffmann et al., "Training Compute-Optimal Large Language Models", arXiv 2203.15556',
    expression=parse("L = E + A / N^a + B / D^b").expression,
    assumptions=("one-epoch", "schedule-matches-tokens"),
)

CHINCHILLA_TIED = Law(
    name="chinchilla-tied",
    title="Chinchilla with one exponent for parameters and tokens",
    formula="L = E + A / N^a + B / D^a",
    inputs=("params", "tokens"),
    parameters=(
        _FLOOR,
        _A,
        _B,
        Parameter(
            "a",
            "exponent of parameters and of tokens",
            low=1e-3,
            high=5.0,
            transform="log",
            starts=_EXPONENTS,
            aliases=("alpha", "b", "beta"),
        ),
    ),
    citation='Hoffmann et al., arXiv 2203.15556; tied as in Muennighoff et al., "Scaling Data-Constrained Language '
    'Models", arXiv 2305.16264',
    expression=parse("L = E + A / N^a + B / D^a").expression,
    assumptions=("one-epoch", "schedule-matches-tokens"),
)
