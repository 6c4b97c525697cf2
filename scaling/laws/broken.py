"""Smoothly broken power laws: straight pieces in log-log space with rounded corners, over any single axis."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scaling.errors import InputError
from scaling.laws.base import Law, Parameter
from scaling.laws.formula import parse
from scaling.laws.power import axis_meaning

__all__ = ["broken_power_law"]

Array = NDArray[np.float64]
#: Starts that the corners, their sharpness and the slopes are drawn from.
STARTS = 256


def broken_power_law(axis: str = "tokens", breaks: int = 1, output: str = "loss", floor: int = 1) -> Law:
    """``y = a + b x^-c0 prod_i (1 + (x/d_i)^(1/f_i))^(-c_i f_i)`` over any axis.

    Args:
        axis: Column it is a law of.
        breaks: Number of corners, one or more.
        output: Column that it predicts.
        floor: 0 leaves the floor ``a`` out.
    """
    if not 1 <= int(breaks) <= 6:
        raise InputError(f"{breaks} breaks", key="breaks", remedy="give a number from 1 to 6")
    x = axis_meaning(axis)
    unit = "nats per token" if output == "loss" else ""
    parameters = (
        [Parameter("a", f"{output} at infinite {x}", unit, low=1e-9, transform="log")] if floor else []
    )
    parameters += [
        Parameter("b", "weight of the power law", unit, low=1e-300, transform="log"),
        Parameter("c0", "slope before the first corner", low=-20.0, high=20.0),
    ]
    factors = ""
    for i in range(1, int(breaks) + 1):
        # (1 + e^z)^(-c f) is exp(-c f softplus(z)): it does not overflow where a corner is sharp.
        factors += f" * exp(-c{i} * f{i} * softplus((log({axis}) - log(d{i})) / f{i}))"
        parameters += [
            Parameter(f"c{i}", f"change of slope at corner {i}", low=-20.0, high=20.0),
            Parameter(f"d{i}", f"corner {i}", x, low=1e-12, high=1e40, transform="log"),
            Parameter(f"f{i}", f"roundness of corner {i}", low=0.02, high=20.0, transform="log"),
        ]
    text = f"{output} = {'a + ' if floor else ''}b * {axis}**-c0{factors}"
    product = " ".join(f"(1 + (x/d{i})^(1/f{i}))^(-c{i} f{i})" for i in range(1, int(breaks) + 1))
    names = [parameter.name for parameter in parameters]
    return Law(
        name="broken-power-law",
        title="smoothly broken power law over one axis",
        formula=f"{output} = {'a + ' if floor else ''}b x^-c0 {product},  x = {axis}",
        inputs=(axis,),
        parameters=tuple(parameters),
        citation='Caballero et al., "Broken Neural Scaling Laws", arXiv 2210.14891, equation 1',
        expression=parse(text, inputs=(axis,)).expression,
        output=output,
        unit=unit,
        starts=lambda inputs, target: _starts(inputs[axis], names, int(breaks)),
        options={"axis": axis, "breaks": int(breaks), "output": output, "floor": int(floor)},
    )


def _starts(x: Array, names: list[str], breaks: int) -> Array:
    """Corners spread over the data, slopes of either sign; linear parameters are left to the caller (ones here)."""
    rng = np.random.default_rng(breaks)
    places = np.quantile(np.log(x), np.linspace(0.08, 0.92, 9))
    rows = np.ones((STARTS, len(names)))
    # In order, so that no two starts differ only by which corner is called the first.
    corners = np.sort(rng.choice(places, (STARTS, breaks)), axis=1)
    rows[:, names.index("c0")] = rng.choice([-0.05, 0.02, 0.1, 0.3, 0.7], STARTS)
    for i in range(breaks):
        rows[:, names.index(f"c{i + 1}")] = rng.choice([-0.5, -0.2, 0.1, 0.3, 0.6, 1.2], STARTS)
        rows[:, names.index(f"d{i + 1}")] = np.exp(corners[:, i])
        rows[:, names.index(f"f{i + 1}")] = rng.choice([0.1, 0.3, 0.8], STARTS)
    return rows
