"""What a scaling law is: a formula with named parameters, units, bounds, starts and a citation. Data, not code."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scaling.errors import InputError
from scaling.laws.expression import Expr, constant, symbol
from scaling.laws.model import Model, NumericalModel, SymbolicModel
from scaling.laws.separation import FunctionSeparation, Separation, SymbolicSeparation

__all__ = ["Law", "Parameter", "Params"]

Array = NDArray[np.float64]
#: Rows of natural parameters to start from, shape (starts, parameters), from the data.
Starts = Callable[[Mapping[str, Array], Array], Array]


@dataclass(frozen=True)
class Parameter:
    """One parameter of a law.

    Attributes:
        name: As in the formula.
        meaning: What it says, in words.
        unit: Its unit; empty for a pure number.
        low: Smallest value that makes sense.
        high: Largest value that makes sense.
        transform: ``log`` searches its logarithm (it is then above zero), ``identity`` the value itself.
        starts: Values to start from, for parameters that are not linear in the law.
        aliases: Other names in the literature, such as ``alpha`` for ``a``.
    """

    name: str
    meaning: str
    unit: str = ""
    low: float = -np.inf
    high: float = np.inf
    transform: Literal["identity", "log"] = "identity"
    starts: tuple[float, ...] = ()
    aliases: tuple[str, ...] = ()


class Params(dict[str, float]):
    """Parameter values by name; aliases (``alpha`` for ``a``) are understood."""

    def __init__(self, values: Mapping[str, float], aliases: Mapping[str, str] | None = None) -> None:
        super().__init__(values)
        self.aliases = dict(aliases or {})

    def __missing__(self, key: str) -> float:
        if key in self.aliases:
            return self[self.aliases[key]]
        raise KeyError(f"{key!r}; there are {', '.join([*self, *self.aliases])}")


@dataclass(frozen=True)
class Law:
    """A scaling law as data.

    Attributes:
        name: Name in the registry, such as ``chinchilla``.
        title: A name for people.
        formula: The formula as text.
        inputs: Columns of the runs table that it reads, in order.
        parameters: Its parameters, in order; ``theta`` arrays have them along the last axis.
        citation: Whose law it is.
        expression: The formula as a graph; its symbols are the inputs and the parameters.
        output: Column that it predicts.
        unit: Unit of the output.
        assumptions: What must hold for it to apply: ``one-epoch``, ``schedule-matches-tokens``, ...
        residuals: Scale on which residuals are taken: ``log`` or ``linear``.
        starts: Extra starting points from the data, where a grid is not enough.
        options: What :func:`scaling.laws.get_law` was given to make this variant, such as ``breaks``.
        function: In place of ``expression``: a Python function ``f(*parameters, *inputs)`` of arrays.
    """

    name: str
    title: str
    formula: str
    inputs: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    citation: str
    expression: Expr | None = None
    output: str = "loss"
    unit: str = "nats per token"
    assumptions: tuple[str, ...] = ()
    residuals: Literal["log", "linear"] = "log"
    starts: Starts | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    function: Callable[..., Any] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Parameter names in the order of ``theta``."""
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def aliases(self) -> dict[str, str]:
        """Other names of parameters, to their names here."""
        return {alias: parameter.name for parameter in self.parameters for alias in parameter.aliases}

    def params(self, theta: ArrayLike) -> Params:
        """One row of natural parameters (shape ``(p,)``) by name."""
        values = np.asarray(theta, dtype=np.float64)
        return Params(dict(zip(self.names, map(float, values), strict=True)), self.aliases)

    def theta(self, params: Mapping[str, float]) -> Array:
        """Parameters by name (or alias) as a row, shape ``(p,)``."""
        known = Params(params, {**self.aliases, **{new: old for old, new in self.aliases.items()}})
        return np.array([known[name] for name in self.names], dtype=np.float64)

    def predict(self, theta: ArrayLike, inputs: Mapping[str, ArrayLike]) -> Array:
        """The law's value.

        Args:
            theta: Natural parameters, shape ``(..., p)``.
            inputs: Columns by name, each of shape ``(m,)`` or a number.

        Returns:
            Shape ``(..., m)``.
        """
        rows = np.asarray(theta, dtype=np.float64)
        columns = self.columns(inputs)
        lead = rows.shape[:-1]
        flat = rows.reshape(-1, rows.shape[-1])
        value = self.natural_model.value(flat, self.natural_model.bind(columns))
        size = max(column.shape[-1] for column in columns.values())
        return (
            np.broadcast_to(value, (flat.shape[0], size)).reshape(*lead, size).astype(np.float64, copy=True)
        )

    def columns(self, inputs: Mapping[str, Any]) -> dict[str, Array]:
        """This law's inputs as float64 arrays of at least one dimension; ``flops`` falls back to 6ND."""
        columns: dict[str, Array] = {}
        for name in self.inputs:
            if name in inputs:
                columns[name] = np.atleast_1d(np.asarray(inputs[name], dtype=np.float64))
            elif name == "flops" and "params" in inputs and "tokens" in inputs:
                # As floats: 6ND overflows 64-bit integers.
                columns[name] = np.atleast_1d(
                    6.0
                    * np.asarray(inputs["params"], dtype=np.float64)
                    * np.asarray(inputs["tokens"], np.float64)
                )
            else:
                raise InputError(
                    f"{self.name} needs {name!r}", key=name, remedy=f"give {', '.join(self.inputs)}"
                )
        return columns

    @property
    def linear(self) -> tuple[str, ...]:
        """Parameters that the law is linear in, all of them together, when the others are given."""
        return self.separation.linear

    @cached_property
    def separation(self) -> Separation:
        """The law taken apart into linear parameters and their factors."""
        if self.expression is not None:
            return SymbolicSeparation(self.expression, self.names, self.inputs)
        assert self.function is not None
        return FunctionSeparation(self.function, self.names, self.inputs)

    @cached_property
    def model(self) -> Model:
        """The law in search coordinates (:meth:`to_search`), with derivatives."""
        if self.expression is None:
            assert self.function is not None
            return NumericalModel(self.function, self.inputs, tuple(p.transform for p in self.parameters))
        # A new name for each searched logarithm: the formula's own symbol stands for the natural value.
        positive = {p.name: np.exp(symbol(p.name)) for p in self.parameters if p.transform == "log"}
        return SymbolicModel(self.expression.substitute(positive), self.names, self.inputs)

    @cached_property
    def natural_model(self) -> Model:
        """The law in natural parameters, with derivatives."""
        if self.expression is None:
            assert self.function is not None
            return NumericalModel(self.function, self.inputs, ("identity",) * len(self.parameters))
        return SymbolicModel(self.expression, self.names, self.inputs)

    @cached_property
    def _logs(self) -> NDArray[np.bool_]:
        return np.array([parameter.transform == "log" for parameter in self.parameters])

    def to_search(self, theta: ArrayLike) -> Array:
        """Natural parameters (shape ``(..., p)``) as the engine searches them: logarithms where so declared."""
        values = np.array(theta, dtype=np.float64)
        values[..., self._logs] = np.log(np.maximum(values[..., self._logs], 1e-300))
        return values

    def to_natural(self, search: ArrayLike) -> Array:
        """The inverse of :meth:`to_search`."""
        values = np.array(search, dtype=np.float64)
        values[..., self._logs] = np.exp(np.minimum(values[..., self._logs], 700.0))
        return values

    @cached_property
    def bounds(self) -> tuple[Array, Array]:
        """Lower and upper bounds in search coordinates, each of shape ``(p,)``."""
        low = np.array([p.low for p in self.parameters], dtype=np.float64)
        high = np.array([p.high for p in self.parameters], dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            low[self._logs] = np.log(np.maximum(low[self._logs], 1e-300))
            high[self._logs] = np.log(high[self._logs])
        return low, high

    def fixed(self, **values: float) -> Law:
        """The same law with some parameters set, so that only the others are fitted."""
        if self.expression is None:
            raise InputError("only laws with a formula can have parameters fixed", key="fixed")
        named = {self.aliases.get(name, name): float(value) for name, value in values.items()}
        unknown = [name for name in named if name not in self.names]
        if unknown:
            raise InputError(
                f"{self.name} has no parameter {unknown[0]!r}",
                key="fixed",
                remedy=f"one of {', '.join(self.names)}",
            )
        kept = tuple(parameter for parameter in self.parameters if parameter.name not in named)
        expression = self.expression.substitute({name: constant(value) for name, value in named.items()})
        options = {**self.options, "fixed": {**self.options.get("fixed", {}), **named}}
        return dataclasses.replace(self, parameters=kept, expression=expression, options=options, starts=None)


def expression_of(formula: Callable[..., Expr], parameters: Sequence[str], inputs: Iterable[str]) -> Expr:
    """The graph of a Python function, traced by calling it with symbols in place of arrays."""
    arguments = [symbol(name) for name in parameters] + [symbol(name, positive=True) for name in inputs]
    return formula(*arguments)
