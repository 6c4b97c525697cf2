"""Loss of models trained on more tokens than is compute-optimal, and the task errors that follow from it."""

from __future__ import annotations

from scaling.laws.base import Law, Parameter
from scaling.laws.formula import parse

__all__ = ["DOWNSTREAM", "OVERTRAINING"]

_CITATION = (
    'Gadre et al., "Language models scale reliably with over-training and on downstream '
    'tasks", arXiv 2403.08540'
)
_TEXT = "L = E + (a * (D / N)^h + b * (D / N)^-h) * (6 * N * D)^-h"

OVERTRAINING = Law(
    name="over-training",
    title="over-training: loss over compute C = 6ND and tokens per parameter M = D/N",
    formula="L = E + (a M^h + b M^-h) C^-h",
    inputs=("params", "tokens"),
    parameters=(
        Parameter(
            "E", "loss of an infinite model on infinite data", "nats per token", low=1e-6, transform="log"
        ),
        Parameter(
            "a",
            "weight of many tokens per parameter (too small a model)",
            "nats per token",
            low=1e-12,
            transform="log",
        ),
        Parameter(
            "b",
            "weight of few tokens per parameter (too little data)",
            "nats per token",
            low=1e-12,
            transform="log",
        ),
        Parameter(
            "h",
            "exponent of compute, and of tokens per parameter",
            low=1e-3,
            high=3.0,
            transform="log",
            starts=(0.05, 0.08, 0.11, 0.14, 0.17, 0.2, 0.25, 0.32, 0.45, 0.7),
            aliases=("eta",),
        ),
    ),
    citation=f"{_CITATION}, equation 4",
    expression=parse(_TEXT).expression,
    assumptions=("one-epoch", "schedule-matches-tokens"),
)

DOWNSTREAM = Law(
    name="downstream",
    title="downstream: average task error over loss",
    formula="Err = e - k * exp(-g * L)",
    inputs=("loss",),
    parameters=(
        Parameter("e", "error of a model that knows nothing", low=0.0, high=1.0),
        Parameter("k", "how much of the error loss can remove", low=0.0, high=1e6),
        Parameter(
            "g",
            "how fast error falls with loss",
            "per nat",
            low=1e-3,
            high=20.0,
            transform="log",
            starts=(0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.4, 2.0, 3.0, 5.0),
            aliases=("gamma",),
        ),
    ),
    citation=f"{_CITATION}, equation 5",
    expression=parse("Err = e - k * exp(-g * L)").expression,
    output="error",
    unit="share of answers",
    residuals="linear",
)
