"""Formulas made ready to be evaluated on whole batches, each shared part once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling.laws.expression import EVALUATE, Expr

__all__ = ["Program"]

Array = NDArray[np.float64]


class Program:
    """Formulas made ready to be evaluated together, each shared sub-expression once.

    Args:
        outputs: The formulas.
        inputs: Names of the symbols that stay the same for a data set; sub-expressions of these alone are
            computed once by :meth:`bind`.
    """

    def __init__(self, outputs: Sequence[Expr], inputs: Sequence[str]) -> None:
        self.inputs = tuple(inputs)
        nodes = _ordered(outputs)
        slots = {id(node): slot for slot, node in enumerate(nodes)}
        self._empty: list[Any] = [node.payload if node.op == "const" else None for node in nodes]
        symbols = {node.payload: slots[id(node)] for node in nodes if node.op == "symbol"}
        self._inputs = [(name, slot) for name, slot in symbols.items() if name in self.inputs]
        self._parameters = [(name, slot) for name, slot in symbols.items() if name not in self.inputs]
        self._outputs = [slots[id(node)] for node in outputs]
        known = set(inputs)
        self._fixed: list[_Step] = []
        self._steps: list[_Step] = []
        for node in nodes:
            if node.op in ("symbol", "const"):
                continue
            step = (EVALUATE[node.op], tuple(slots[id(arg)] for arg in node.args), slots[id(node)])
            (self._fixed if node.symbols <= known else self._steps).append(step)

    def bind(self, inputs: Mapping[str, Array]) -> list[Any]:
        """Values of everything that depends on the inputs alone."""
        values = list(self._empty)
        for name, slot in self._inputs:
            values[slot] = np.asarray(inputs[name], dtype=np.float64)
        _run(self._fixed, values)
        return values

    def run(self, bound: Sequence[Any], parameters: Mapping[str, Array]) -> list[Any]:
        """The outputs' values; shapes follow numpy broadcasting of ``parameters`` and the bound inputs."""
        values = list(bound)
        for name, slot in self._parameters:
            values[slot] = parameters[name]
        _run(self._steps, values)
        return [values[slot] for slot in self._outputs]


#: A function, the slots of its arguments, the slot of its result.
_Step = tuple[Callable[..., Any], tuple[int, ...], int]


def _run(steps: Sequence[_Step], values: list[Any]) -> None:
    with np.errstate(all="ignore"):
        for function, arguments, slot in steps:
            if len(arguments) == 2:
                values[slot] = function(values[arguments[0]], values[arguments[1]])
            else:
                values[slot] = function(values[arguments[0]])


def _ordered(outputs: Sequence[Expr]) -> list[Expr]:
    """Every node below the outputs, arguments before what uses them."""
    found: dict[int, Expr] = {}

    def visit(node: Expr) -> None:
        if id(node) in found:
            return
        for arg in node.args:
            visit(arg)
        found[id(node)] = node

    for output in outputs:
        visit(output)
    return list(found.values())
