"""Power laws over one axis: with a floor, without one, and with a start that is flat."""

from __future__ import annotations

from scaling.laws.base import Law, Parameter
from scaling.laws.formula import COLUMNS, parse

__all__ = ["axis_meaning", "power_law", "power_law_no_floor", "shifted_power_law"]

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


def _over(
    axis: str,
    output: str,
    *,
    name: str,
    title: str,
    formula: str,
    parameters: tuple[Parameter, ...],
    citation: str,
) -> Law:
    """A law of one axis; ``formula`` is its right side."""
    text = f"{output} = {formula}"
    return Law(
        name=name,
        title=f"{title} over one axis",
        formula=text,
        inputs=(axis,),
        parameters=parameters,
        citation=citation,
        expression=parse(text, inputs=(axis,)).expression,
        output=output,
        unit=_unit(output),
        assumptions=("one-epoch", "schedule-matches-tokens") if axis in COLUMNS else (),
        options={"axis": axis, "output": output},
    )


def _unit(output: str) -> str:
    return "nats per token" if output == "loss" else ""


def _floor(axis: str, output: str) -> Parameter:
    meaning = f"{output} at infinite {axis_meaning(axis)}"
    return Parameter("E", meaning, _unit(output), low=1e-12, transform="log")


def _weight(meaning: str, output: str) -> Parameter:
    return Parameter("A", meaning, _unit(output), low=1e-300, transform="log")


def _exponent(axis: str) -> Parameter:
    return Parameter(
        "a",
        f"exponent of {axis_meaning(axis)}",
        low=1e-4,
        high=10,
        transform="log",
        starts=_EXPONENTS,
        aliases=("alpha",),
    )


def power_law(axis: str = "params", output: str = "loss") -> Law:
    """``L = E + A x^-a`` over any axis, ``params`` by default."""
    weight = _weight(f"weight of finite {axis_meaning(axis)}", output)
    return _over(
        axis,
        output,
        name="power-law",
        title="power law with a floor",
        formula=f"E + A * {axis}**-a",
        parameters=(_floor(axis, output), weight, _exponent(axis)),
        citation='Hestness et al., "Deep Learning Scaling is Predictable, Empirically", arXiv 1712.00409',
    )


def power_law_no_floor(axis: str = "params", output: str = "loss") -> Law:
    """``L = A x^-a`` over any axis, ``params`` by default."""
    weight = _weight(f"{output} at {axis_meaning(axis)} of one", output)
    return _over(
        axis,
        output,
        name="power-law-no-floor",
        title="power law without a floor",
        formula=f"A * {axis}**-a",
        parameters=(weight, _exponent(axis)),
        citation='Kaplan et al., "Scaling Laws for Neural Language Models", arXiv 2001.08361, equations 1.1 to 1.3',
    )


def shifted_power_law(axis: str = "tokens", output: str = "loss") -> Law:
    """``L = E + A (1/x + 1/s)^a`` over any axis: flat below s, a power law with a floor above."""
    x = axis_meaning(axis)
    weight = _weight(f"weight of finite {x}", output)
    # Where learning begins, anywhere from far below the data (then it is a plain power law) to far above.
    shift = Parameter(
        "s", f"{x} from which on the curve falls", x, low=1e-6, high=1e40, transform="log", aliases=("shift",)
    )
    return _over(
        axis,
        output,
        name="shifted-power-law",
        title="power law with a floor and a flat start",
        formula=f"E + A * (1 / {axis} + 1 / s)**a",
        parameters=(_floor(axis, output), weight, _exponent(axis), shift),
        citation='Alabdulmohsin et al., "Revisiting Neural Scaling Laws in Language and Vision", arXiv 2209.06640, M3',
    )
