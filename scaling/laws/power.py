"""A power law over one axis, with and without a floor."""

from __future__ import annotations

from scaling.laws.base import Law, Parameter
from scaling.laws.formula import COLUMNS, parse

__all__ = ["axis_meaning", "power_law", "power_law_no_floor"]

_EXPONENTS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.45, 0.7, 1.0, 1.5)
_MEANINGS = {
    "params": "parameters",
    "tokens": "tokens",
    "flops": "training compute",
    "steps": "training steps",
    "unique_tokens": "unique tokens",
}


def axis_meaning(axis: str) -> str:
    """What an axis is, in words."""
    return _MEANINGS.get(axis, axis)


def _assumptions(axis: str) -> tuple[str, ...]:
    return ("one-epoch", "schedule-matches-tokens") if axis in COLUMNS else ()


def power_law(axis: str = "params", output: str = "loss") -> Law:
    """``L = E + A x^-a`` over any axis, ``params`` by default."""
    x = axis_meaning(axis)
    unit = "nats per token" if output == "loss" else ""
    text = f"{output} = E + A * {axis}**-a"
    return Law(
        name="power-law",
        title="power law with a floor over one axis",
        formula=text,
        inputs=(axis,),
        parameters=(
            Parameter("E", f"{output} at infinite {x}", unit, low=1e-12, transform="log"),
            Parameter("A", f"weight of finite {x}", unit, low=1e-300, transform="log"),
            Parameter(
                "a",
                f"exponent of {x}",
                low=1e-4,
                high=10,
                transform="log",
                starts=_EXPONENTS,
                aliases=("alpha",),
            ),
        ),
        citation='Hestness et al., "Deep Learning Scaling is Predictable, Empirically", arXiv 1712.00409',
        expression=parse(text, inputs=(axis,)).expression,
        output=output,
        unit=unit,
        assumptions=_assumptions(axis),
        options={"axis": axis, "output": output},
    )


def power_law_no_floor(axis: str = "params", output: str = "loss") -> Law:
    """``L = A x^-a`` over any axis, ``params`` by default."""
    x = axis_meaning(axis)
    unit = "nats per token" if output == "loss" else ""
    text = f"{output} = A * {axis}**-a"
    return Law(
        name="power-law-no-floor",
        title="power law without a floor over one axis",
        formula=text,
        inputs=(axis,),
        parameters=(
            Parameter("A", f"{output} at {x} of one", unit, low=1e-300, transform="log"),
            Parameter(
                "a",
                f"exponent of {x}",
                low=1e-4,
                high=10,
                transform="log",
                starts=_EXPONENTS,
                aliases=("alpha",),
            ),
        ),
        citation='Kaplan et al., "Scaling Laws for Neural Language Models", arXiv 2001.08361, equations 1.1 to 1.3',
        expression=parse(text, inputs=(axis,)).expression,
        output=output,
        unit=unit,
        assumptions=_assumptions(axis),
        options={"axis": axis, "output": output},
    )
