"""A law made ready for Newton steps: value, gradient and curvature for batches of parameters.

Shapes: ``R`` replicates (starts, bootstrap draws, curves), ``n`` runs, ``p`` parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from scaling.laws.expression import Expr
from scaling.laws.program import Program

__all__ = ["Local", "Model", "NumericalModel", "SymbolicModel"]

Array = NDArray[np.float64]
#: Slots of the programs for the value, for slopes too, and for second derivatives too.
_Bound = tuple[list[Any], list[Any], list[Any]]


@dataclass(frozen=True)
class Local:
    """A law around the current parameters.

    Attributes:
        value: The law, shape ``(R, n)``.
        slopes: Derivative with respect to each parameter, shape ``(R, p, n)``.
        curvature: Given weights ``v`` of shape ``(R, n)``, the matrices ``sum_i v_i d2 f_i``, shape ``(R, p, p)``.
    """

    value: Array
    slopes: Array
    curvature: Callable[[Array], Array]


class Model(Protocol):
    """What the engine needs of a law."""

    def bind(self, inputs: Mapping[str, Array]) -> Any:
        """Make a data set ready: inputs of shape ``(n,)``, or ``(R, n)`` where each replicate has its own."""

    def take(self, bound: Any, rows: NDArray[np.intp], count: int) -> Any:
        """Of ``count`` replicates' bound data, those in ``rows``."""

    def value(self, theta: Array, bound: Any) -> Array:
        """The law at ``theta`` (shape ``(R, p)``), shape ``(R, n)``."""

    def local(self, theta: Array, bound: Any, *, curved: bool = True) -> Local:
        """The law with its derivatives at ``theta`` (shape ``(R, p)``); second ones only where ``curved``."""


class SymbolicModel:
    """A formula with exact derivatives.

    Args:
        expression: The formula in the parameters searched and the inputs.
        parameters: Symbols of the parameters, in the order of ``theta``.
        inputs: Symbols of the inputs.
    """

    def __init__(self, expression: Expr, parameters: tuple[str, ...], inputs: tuple[str, ...]) -> None:
        self.parameters, self.inputs = parameters, inputs
        slopes = [expression.diff(name) for name in parameters]
        bends = [(j, k, slopes[j].diff(parameters[k])) for j in range(len(slopes)) for k in range(j + 1)]
        self.bends = [
            (j, k, bend) for j, k, bend in bends if not (bend.op == "const" and bend.payload == 0.0)
        ]
        self._rows = np.array([j for j, _, _ in self.bends], dtype=np.intp)
        self._columns = np.array([k for _, k, _ in self.bends], dtype=np.intp)
        self._value = Program([expression], inputs)
        self._slopes = Program([expression, *slopes], inputs)
        self._local = Program([expression, *slopes, *(bend for _, _, bend in self.bends)], inputs)

    def bind(self, inputs: Mapping[str, Array]) -> _Bound:
        """See :class:`Model`."""
        return self._value.bind(inputs), self._slopes.bind(inputs), self._local.bind(inputs)

    def take(self, bound: _Bound, rows: NDArray[np.intp], count: int) -> _Bound:
        """See :class:`Model`."""
        value, slopes, local = (
            [
                entry[rows]
                if isinstance(entry, np.ndarray) and entry.ndim == 2 and len(entry) == count
                else entry
                for entry in part
            ]
            for part in bound
        )
        return value, slopes, local

    def _arguments(self, theta: Array) -> dict[str, Array]:
        return {name: theta[:, j, None] for j, name in enumerate(self.parameters)}

    def value(self, theta: Array, bound: _Bound) -> Array:
        """See :class:`Model`."""
        result: Array = np.asarray(self._value.run(bound[0], self._arguments(theta))[0])
        return result

    def local(self, theta: Array, bound: _Bound, *, curved: bool = True) -> Local:
        """See :class:`Model`."""
        program, part = (self._local, bound[2]) if curved else (self._slopes, bound[1])
        outputs = program.run(part, self._arguments(theta))
        value = outputs[0]
        count = len(self.parameters)
        slopes = np.empty((theta.shape[0], count, value.shape[-1]))
        for j in range(count):
            slopes[:, j] = outputs[1 + j]
        seconds = outputs[1 + count :]

        def curvature(v: Array) -> Array:
            bends = np.empty((theta.shape[0], len(seconds), v.shape[-1]))
            for place, bend in enumerate(seconds):
                bends[:, place] = bend
            totals = np.matmul(bends, v[:, :, None])[:, :, 0]
            matrix = np.zeros((theta.shape[0], count, count))
            matrix[:, self._rows, self._columns] = totals
            matrix[:, self._columns, self._rows] = totals
            return matrix

        return Local(np.broadcast_to(value, (theta.shape[0], value.shape[-1])), slopes, curvature)


class NumericalModel:
    """Any Python function of arrays, with derivatives by central differences.

    The curvature of the law itself is left out, so that the engine takes Gauss-Newton steps.

    Args:
        function: ``f(*parameters, *inputs)``, elementwise on broadcast arrays.
        inputs: Names of the inputs, in the order of the function's arguments.
        transforms: For each parameter, ``log`` where its logarithm is searched.
    """

    def __init__(
        self, function: Callable[..., Any], inputs: tuple[str, ...], transforms: tuple[str, ...]
    ) -> None:
        self.function, self.inputs = function, inputs
        self.logs = np.array([transform == "log" for transform in transforms])

    def bind(self, inputs: Mapping[str, Array]) -> list[Array]:
        """See :class:`Model`."""
        return [np.asarray(inputs[name], dtype=np.float64) for name in self.inputs]

    def take(self, bound: list[Array], rows: NDArray[np.intp], count: int) -> list[Array]:
        """See :class:`Model`."""
        return [column[rows] if column.ndim == 2 and len(column) == count else column for column in bound]

    def value(self, theta: Array, bound: list[Array]) -> Array:
        """See :class:`Model`."""
        natural = np.where(self.logs, np.exp(np.minimum(theta, 700.0)), theta) if self.logs.any() else theta
        with np.errstate(all="ignore"):
            value = self.function(*(natural[:, j, None] for j in range(theta.shape[1])), *bound)
        size = max(column.shape[-1] for column in bound)
        return np.array(np.broadcast_to(np.asarray(value, dtype=np.float64), (theta.shape[0], size)))

    def local(self, theta: Array, bound: list[Array], *, curved: bool = True) -> Local:
        """See :class:`Model`."""
        count = theta.shape[1]
        value = self.value(theta, bound)
        slopes = np.empty((theta.shape[0], count, value.shape[-1]))
        for j in range(count):
            # The cube root of the rounding error balances it against the error of the central difference.
            step = 6e-6 * np.maximum(np.abs(theta[:, j]), 1e-2)
            above, below = theta.copy(), theta.copy()
            above[:, j] += step
            below[:, j] -= step
            width = (above[:, j] - below[:, j])[:, None]
            with np.errstate(all="ignore"):
                slopes[:, j] = (self.value(above, bound) - self.value(below, bound)) / width
        return Local(value, slopes, lambda v: np.zeros((theta.shape[0], count, count)))
