"""Formulas as graphs: built by operators or numpy functions, differentiated exactly, evaluated on whole batches.

A law is written once, as a formula. From the formula follow its gradient and its curvature (for Newton steps), which
parameters are linear given the others (to be solved exactly), and fast evaluation: equal sub-expressions are one
object, and those of the inputs alone are computed once for a data set.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["EVALUATE", "FUNCTIONS", "Expr", "constant", "symbol"]

Array = NDArray[np.float64]


class Expr:
    """One node of a formula; build it with :func:`symbol`, :func:`constant`, operators and numpy functions.

    Nodes are interned: equal formulas are the same object, so that ``is`` compares and derivatives share work.

    Attributes:
        op: What the node does, such as ``"mul"``.
        args: The nodes it works on.
        payload: Name of a symbol, or value of a constant.
        symbols: Names of all symbols below.
    """

    __slots__ = ("args", "op", "payload", "positive", "symbols")
    _interned: dict[tuple[Any, ...], Expr] = {}  # noqa: RUF012 - shared by design

    op: str
    args: tuple[Expr, ...]
    payload: Any
    positive: bool
    symbols: frozenset[str]

    def __add__(self, other: object) -> Expr:
        return _add(self, _lift(other))

    def __radd__(self, other: object) -> Expr:
        return _add(_lift(other), self)

    def __sub__(self, other: object) -> Expr:
        return _add(self, _mul(constant(-1.0), _lift(other)))

    def __rsub__(self, other: object) -> Expr:
        return _add(_lift(other), _mul(constant(-1.0), self))

    def __mul__(self, other: object) -> Expr:
        return _mul(self, _lift(other))

    def __rmul__(self, other: object) -> Expr:
        return _mul(_lift(other), self)

    def __truediv__(self, other: object) -> Expr:
        return _mul(self, _pow(_lift(other), constant(-1.0)))

    def __rtruediv__(self, other: object) -> Expr:
        return _mul(_lift(other), _pow(self, constant(-1.0)))

    def __pow__(self, other: object) -> Expr:
        return _pow(self, _lift(other))

    def __rpow__(self, other: object) -> Expr:
        return _pow(_lift(other), self)

    def __neg__(self) -> Expr:
        return _mul(constant(-1.0), self)

    def __pos__(self) -> Expr:
        return self

    def __bool__(self) -> bool:
        raise TypeError("a formula has no truth value; branches cannot be traced")

    def __float__(self) -> float:
        raise TypeError("a formula is not a number")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        build = _UFUNCS.get(ufunc.__name__)
        if method != "__call__" or options or build is None:
            return NotImplemented
        return build(*(_lift(entry) for entry in inputs))

    def __repr__(self) -> str:
        if self.op in ("const", "symbol"):
            return f"{self.payload}"
        return f"{self.op}({', '.join(map(repr, self.args))})"

    def diff(self, name: str, _memo: dict[int, Expr] | None = None) -> Expr:
        """The derivative with respect to the symbol ``name``."""
        memo = {} if _memo is None else _memo
        if name not in self.symbols:
            return constant(0.0)
        if id(self) not in memo:
            memo[id(self)] = _DERIVATIVES[self.op](self, [arg.diff(name, memo) for arg in self.args])
        return memo[id(self)]

    def substitute(self, replacements: Mapping[str, Expr], _memo: dict[int, Expr] | None = None) -> Expr:
        """The formula with symbols replaced."""
        memo = {} if _memo is None else _memo
        if self.op == "symbol":
            return replacements.get(self.payload, self)
        if self.symbols.isdisjoint(replacements):
            return self
        if id(self) not in memo:
            memo[id(self)] = FUNCTIONS_BY_OP[self.op](*(a.substitute(replacements, memo) for a in self.args))
        return memo[id(self)]


def _node(op: str, *args: Expr, payload: Any = None, positive: bool = False) -> Expr:
    key = (op, payload, positive, *map(id, args))
    found = Expr._interned.get(key)
    if found is None:
        found = Expr()
        found.op, found.args, found.payload, found.positive = op, args, payload, positive
        names = [arg.symbols for arg in args]
        found.symbols = frozenset([payload]) if op == "symbol" else frozenset().union(*names)
        Expr._interned[key] = found
    return found


def constant(value: float) -> Expr:
    """A number."""
    return _node("const", payload=float(value), positive=value > 0)


def symbol(name: str, *, positive: bool = False) -> Expr:
    """A parameter or an input; ``positive`` lets powers of it be taken through its logarithm."""
    return _node("symbol", payload=name, positive=positive)


def _lift(value: object) -> Expr:
    if isinstance(value, Expr):
        return value
    if isinstance(value, (int, float, np.number)):
        return constant(float(value))
    raise TypeError(f"cannot use {type(value).__name__} in a formula")


def _is(node: Expr, value: float) -> bool:
    return node.op == "const" and node.payload == value


def _add(left: Expr, right: Expr) -> Expr:
    if left.op == "const" and right.op == "const":
        return constant(left.payload + right.payload)
    if _is(left, 0.0):
        return right
    if _is(right, 0.0):
        return left
    return _node("add", left, right, positive=left.positive and right.positive)


def _mul(left: Expr, right: Expr) -> Expr:
    if right.op == "const":
        left, right = right, left
    if left.op == "const":
        if right.op == "const":
            return constant(left.payload * right.payload)
        if left.payload == 0.0:
            return left
        if left.payload == 1.0:
            return right
        if right.op == "mul" and right.args[0].op == "const":
            return _mul(constant(left.payload * right.args[0].payload), right.args[1])
    # One exponential in place of several: exp(u) exp(v) = exp(u + v).
    if left.op == "exp" and right.op == "exp":
        return _exp(_add(left.args[0], right.args[0]))
    for one, other in ((left, right), (right, left)):
        if one.op == "mul" and one.args[0].op == "const" and other.op != "const":
            return _mul(one.args[0], _mul(one.args[1], other))
        if one.op == "mul" and other.op == "exp" and one.args[1].op == "exp":
            return _mul(one.args[0], _mul(one.args[1], other))
    return _node("mul", left, right, positive=left.positive and right.positive)


def _pow(base: Expr, exponent: Expr) -> Expr:
    if base.op == "const" and exponent.op == "const":
        try:
            value = base.payload**exponent.payload
        except (OverflowError, ZeroDivisionError):
            value = math.nan
        return constant(value if isinstance(value, float) else math.nan)
    if _is(exponent, 0.0):
        return constant(1.0)
    if _is(exponent, 1.0):
        return base
    if base.op == "exp":
        return _exp(_mul(exponent, base.args[0]))
    if exponent.op == "const" and not (base.positive and base.op == "symbol"):
        return _node("pow", base, exponent, positive=base.positive)
    # For a varying exponent the base must be positive anyway, and exp(e log x) is several times faster than x^e.
    return _exp(_mul(exponent, _log(base)))


def _exp(arg: Expr) -> Expr:
    if arg.op == "const":
        return constant(math.exp(min(arg.payload, 709.0)))
    if arg.op == "log":
        return arg.args[0]
    return _node("exp", arg, positive=True)


def _log(arg: Expr) -> Expr:
    if arg.op == "const":
        return constant(math.log(arg.payload) if arg.payload > 0 else math.nan)
    if arg.op == "exp":
        return arg.args[0]
    return _node("log", arg)


def _unary(op: str, positive: bool = False) -> Callable[[Expr], Expr]:
    def build(arg: Expr) -> Expr:
        if arg.op == "const":
            return constant(float(EVALUATE[op](np.float64(arg.payload))))
        return _node(op, arg, positive=positive)

    return build


def _pair(op: str) -> Callable[[Expr, Expr], Expr]:
    def build(left: Expr, right: Expr) -> Expr:
        if left.op == "const" and right.op == "const":
            return constant(float(EVALUATE[op](np.float64(left.payload), np.float64(right.payload))))
        return _node(op, left, right, positive=left.positive and right.positive)

    return build


def _softplus(x: Any) -> Any:
    # As numpy's logaddexp(0, x), in a third of the time.
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


def _sigmoid(x: Any) -> Any:
    return 0.5 * (1.0 + np.tanh(0.5 * x))


_softplus_node, _sigmoid_node, _tanh = _unary("softplus", True), _unary("sigmoid", True), _unary("tanh")
_minimum, _maximum, _less = _pair("minimum"), _pair("maximum"), _pair("less")


def _sqrt(arg: Expr) -> Expr:
    return _pow(arg, constant(0.5))


#: Functions that a formula string may call.
FUNCTIONS: dict[str, Callable[..., Expr]] = {
    "exp": _exp,
    "log": _log,
    "log2": lambda arg: _mul(constant(1.0 / math.log(2.0)), _log(arg)),
    "log10": lambda arg: _mul(constant(1.0 / math.log(10.0)), _log(arg)),
    "log1p": lambda arg: _log(_add(constant(1.0), arg)),
    "expm1": lambda arg: _add(_exp(arg), constant(-1.0)),
    "sqrt": _sqrt,
    "tanh": _tanh,
    "softplus": _softplus_node,
    "sigmoid": _sigmoid_node,
    "min": _minimum,
    "max": _maximum,
}

_UFUNCS: dict[str, Callable[..., Expr]] = {
    **{name: FUNCTIONS[name] for name in ("exp", "log", "log2", "log10", "log1p", "expm1", "sqrt", "tanh")},
    "minimum": _minimum,
    "maximum": _maximum,
    "add": _add,
    "subtract": lambda left, right: _add(left, _mul(constant(-1.0), right)),
    "multiply": _mul,
    "divide": lambda left, right: _mul(left, _pow(right, constant(-1.0))),
    "power": _pow,
    "negative": lambda arg: _mul(constant(-1.0), arg),
    "square": lambda arg: _pow(arg, constant(2.0)),
    "reciprocal": lambda arg: _pow(arg, constant(-1.0)),
    "logaddexp": lambda left, right: _add(left, _softplus_node(_add(right, _mul(constant(-1.0), left)))),
}

FUNCTIONS_BY_OP: dict[str, Callable[..., Expr]] = {
    "add": _add,
    "mul": _mul,
    "pow": _pow,
    "exp": _exp,
    "log": _log,
    "tanh": _tanh,
    "softplus": _softplus_node,
    "sigmoid": _sigmoid_node,
    "minimum": _minimum,
    "maximum": _maximum,
    "less": _less,
}


def _diff_pow(node: Expr, slopes: list[Expr]) -> Expr:
    base, exponent = node.args  # the exponent is constant: others became exp(e log x)
    return _mul(_mul(exponent, _pow(base, _add(exponent, constant(-1.0)))), slopes[0])


def _choose(node: Expr, slopes: list[Expr], first_is_less: bool) -> Expr:
    left, right = node.args
    first = _less(left, right) if first_is_less else _less(right, left)
    return _add(_mul(first, slopes[0]), _mul(_add(constant(1.0), -first), slopes[1]))


_DERIVATIVES: dict[str, Callable[[Expr, list[Expr]], Expr]] = {
    "symbol": lambda node, slopes: constant(1.0),
    "add": lambda node, slopes: _add(*slopes),
    "mul": lambda node, slopes: _add(_mul(slopes[0], node.args[1]), _mul(node.args[0], slopes[1])),
    "pow": _diff_pow,
    "exp": lambda node, slopes: _mul(node, slopes[0]),
    "log": lambda node, slopes: _mul(_pow(node.args[0], constant(-1.0)), slopes[0]),
    "tanh": lambda node, slopes: _mul(constant(1.0) - node * node, slopes[0]),
    "softplus": lambda node, slopes: _mul(_sigmoid_node(node.args[0]), slopes[0]),
    "sigmoid": lambda node, slopes: _mul(node * (constant(1.0) - node), slopes[0]),
    "minimum": lambda node, slopes: _choose(node, slopes, True),
    "maximum": lambda node, slopes: _choose(node, slopes, False),
    "less": lambda node, slopes: constant(0.0),
}


def _power(base: Any, exponent: Any) -> Any:
    if np.ndim(exponent) == 0:
        if exponent == -1.0:
            return 1.0 / base
        if exponent == 2.0:
            return base * base
        if exponent == -2.0:
            return 1.0 / (base * base)
    return np.power(base, exponent)


#: How each kind of node is computed from its arguments' values.
EVALUATE: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "mul": np.multiply,
    "pow": _power,
    "exp": np.exp,
    "log": np.log,
    "tanh": np.tanh,
    "softplus": _softplus,
    "sigmoid": _sigmoid,
    "minimum": np.minimum,
    "maximum": np.maximum,
    "less": lambda left, right: np.less(left, right).astype(np.float64),
}
