"""A user's own law, from a formula string or a Python function."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any

from scaling.errors import InputError
from scaling.laws.base import Law, Parameter, expression_of
from scaling.laws.expression import Expr
from scaling.laws.formula import COLUMNS, parse

__all__ = ["from_formula", "from_function"]


def from_formula(
    text: str,
    *,
    name: str = "formula",
    inputs: Sequence[str] | None = None,
    output: str | None = None,
    citation: str = "own formula",
    parameters: Sequence[Parameter] = (),
) -> Law:
    """A law from a formula such as ``"L = E + A/N^a + B/D^b"`` or ``"E + A*params**-a"``.

    Args:
        text: The formula; see :func:`scaling.laws.formula.parse` for what it may hold.
        name: What to call it.
        inputs: Names in it that are columns; by default those of the runs table and ``N``, ``D``, ``C``, ``U``.
        output: Column that it predicts; by default the name left of ``=``, or ``loss``.
        citation: Whose it is.
        parameters: Bounds, starts and meanings where the user knows better; others are found out.
    """
    formula = parse(text, inputs=tuple(inputs) if inputs is not None else None)
    column = output or formula.output or "loss"
    return _law(
        formula.expression, formula.parameters, formula.inputs, text, name, column, citation, parameters
    )


def _law(
    expression: Expr,
    parameters: Sequence[str],
    inputs: Sequence[str],
    text: str,
    name: str,
    output: str,
    citation: str,
    known: Sequence[Parameter],
) -> Law:
    given = {parameter.name: parameter for parameter in known}
    described = tuple(
        given.get(name, Parameter(name, "parameter of the user's own law")) for name in parameters
    )
    unit = "nats per token" if output == "loss" else ""
    return Law(
        name=name,
        title="own law",
        formula=text,
        inputs=tuple(inputs),
        parameters=described,
        citation=citation,
        expression=expression,
        output=output,
        unit=unit,
        options={"formula": text, "inputs": list(inputs), "output": output},
    )


def from_function(
    function: Callable[..., Any],
    *,
    inputs: Sequence[str] | None = None,
    name: str | None = None,
    output: str = "loss",
    citation: str = "own function",
    parameters: Sequence[Parameter] = (),
) -> Law:
    """A law from a Python function ``f(E, A, a, params)`` of its parameters and of columns, elementwise on arrays.

    The function is called once with symbols in place of arrays: operators and numpy functions then give exact
    derivatives. A function that cannot be traced (it branches, or calls other libraries) is differentiated
    numerically.

    Args:
        function: The law; arguments that name columns of the runs table are inputs, the others parameters.
        inputs: Arguments that are inputs, where other columns are used.
        name: What to call it; the function's name by default.
        output: Column that it predicts.
        citation: Whose it is.
        parameters: Bounds, starts and meanings where the user knows better.
    """
    arguments = list(inspect.signature(function).parameters)
    columns = [argument for argument in arguments if argument in (inputs if inputs is not None else COLUMNS)]
    names = [argument for argument in arguments if argument not in columns]
    title = name or str(getattr(function, "__name__", "function"))
    if not columns or not names:
        raise InputError(
            f"the function {title}({', '.join(arguments)}) needs parameters and inputs",
            key="law",
            remedy=f"name the inputs after columns ({', '.join(COLUMNS[:4])}, ...) or list them in inputs=[...]",
        )

    def ordered(*values: Any) -> Any:
        return function(**dict(zip([*names, *columns], values, strict=True)))

    text = re.sub(r"\s+", " ", f"{title}({', '.join(arguments)})")
    try:
        traced: Any = expression_of(ordered, names, columns)
    except Exception:  # whatever a function of arrays does with symbols that it does not know
        traced = None
    if isinstance(traced, Expr):
        law = _law(traced, names, columns, text, title, output, citation, parameters)
        return _with_options(law, {"formula": to_text(traced), "inputs": columns, "output": output})
    given = {parameter.name: parameter for parameter in parameters}
    return Law(
        name=title,
        title="own law",
        formula=text,
        inputs=tuple(columns),
        parameters=tuple(given.get(n, Parameter(n, "parameter of the user's own law")) for n in names),
        citation=citation,
        function=ordered,
        output=output,
        unit="nats per token" if output == "loss" else "",
        options={"inputs": columns, "output": output},
    )


def _with_options(law: Law, options: dict[str, Any]) -> Law:
    import dataclasses

    return dataclasses.replace(law, options=options)


def to_text(expression: Expr) -> str:
    """The formula as a string that :func:`scaling.laws.formula.parse` reads back."""
    if expression.op == "const":
        return repr(expression.payload) if expression.payload >= 0 else f"({expression.payload!r})"
    if expression.op == "symbol":
        return str(expression.payload)
    parts = [to_text(arg) for arg in expression.args]
    infix = {"add": " + ", "mul": " * ", "pow": " ** "}.get(expression.op)
    if infix:
        return f"({infix.join(parts)})"
    call = {"minimum": "min", "maximum": "max"}.get(expression.op, expression.op)
    return f"{call}({', '.join(parts)})"
