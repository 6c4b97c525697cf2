"""Which parameters a law is linear in, so that they can be solved exactly when the others are given.

A formula is asked for its derivatives; a function that is not one is tried out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling.laws.expression import Expr, constant
from scaling.laws.program import Program

__all__ = ["FunctionSeparation", "Separation", "SymbolicSeparation"]

Array = NDArray[np.float64]


def _largest(names: Sequence[str], conflicts: Mapping[str, set[str]]) -> tuple[str, ...]:
    """A set of parameters without conflicts, those with the fewest first; a conflict with itself bars one."""
    chosen: list[str] = []
    for name in sorted(names, key=lambda name: (len(conflicts[name]), names.index(name))):
        if name not in conflicts[name] and not conflicts[name].intersection(chosen):
            chosen.append(name)
    return tuple(name for name in names if name in chosen)


class SymbolicSeparation:
    """A formula as a part without its linear parameters and a factor for each of these.

    Attributes:
        linear: The linear parameters.
    """

    def __init__(self, expression: Expr, names: tuple[str, ...], inputs: tuple[str, ...]) -> None:
        slopes = {name: expression.diff(name) for name in names}
        self.linear = _largest(names, {name: set(slopes[name].symbols).intersection(names) for name in names})
        rest = expression.substitute({name: constant(0.0) for name in self.linear})
        self._program = Program([rest, *(slopes[name] for name in self.linear)], inputs)

    def parts(self, free: Mapping[str, Array], inputs: Mapping[str, Array]) -> list[Any]:
        """The part without linear parameters, then each one's factor; each broadcasts to ``(S, n)``.

        Args:
            free: The other parameters, each of shape ``(S, 1)``.
            inputs: Inputs, each of shape ``(n,)``.
        """
        return self._program.run(self._program.bind(inputs), free)


class FunctionSeparation:
    """The same of a function ``f(*parameters, *inputs)``, found by trying it at a few places.

    Attributes:
        linear: The linear parameters.
    """

    def __init__(self, function: Callable[..., Any], names: tuple[str, ...], inputs: tuple[str, ...]) -> None:
        self._function, self._names, self._inputs = function, names, inputs
        self.linear = _largest(names, self._conflicts())

    def _conflicts(self) -> dict[str, set[str]]:
        """Pairs of parameters (also one with itself) that the function bends in together."""
        rng = np.random.default_rng(0)
        theta = rng.uniform(0.2, 1.2, (len(self._names), 5, 1))
        columns = [10.0 ** rng.uniform(0.3, 2.0, (1, 9)) for _ in self._inputs]

        def value(*moved: int) -> Array:
            rows = theta.copy()
            for place in moved:
                rows[place] += 0.37
            with np.errstate(all="ignore"):
                return np.asarray(self._function(*rows, *columns), dtype=np.float64)

        found: dict[str, set[str]] = {name: set() for name in self._names}
        for i, one in enumerate(self._names):
            for j, other in enumerate(self._names[: i + 1]):
                terms = (value(i, j), value(i), value(j), value())
                bend = terms[0] - terms[1] - terms[2] + terms[3]
                size = np.abs(terms).max()
                # What is not a number is not shown to be linear either.
                if not np.all(np.abs(bend) <= 1e-10 * size):
                    found[one].add(other)
                    found[other].add(one)
        return found

    def parts(self, free: Mapping[str, Array], inputs: Mapping[str, Array]) -> list[Any]:
        """See :meth:`SymbolicSeparation.parts`."""
        columns = [inputs[name] for name in self._inputs]

        def value(one: str | None) -> Array:
            rows = [free[name] if name in free else np.float64(name == one) for name in self._names]
            with np.errstate(all="ignore"):
                return np.asarray(self._function(*rows, *columns), dtype=np.float64)

        rest = value(None)
        return [rest, *(value(name) - rest for name in self.linear)]


Separation = SymbolicSeparation | FunctionSeparation
