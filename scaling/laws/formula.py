"""Read a formula string, such as ``L = E + A/N^a + B/D^b``, without ever running it."""

from __future__ import annotations

import ast
import difflib
import re
from dataclasses import dataclass

from scaling.errors import InputError
from scaling.laws.expression import FUNCTIONS, Expr, constant, symbol

__all__ = ["INPUT_ALIASES", "Formula", "parse"]

#: Letters of the literature for columns of the runs table.
INPUT_ALIASES = {"N": "params", "D": "tokens", "C": "flops", "U": "unique_tokens", "L": "loss"}
#: Columns that are inputs wherever they appear by name.
COLUMNS = ("params", "tokens", "flops", "unique_tokens", "lr", "batch_size", "steps", "loss")


@dataclass(frozen=True)
class Formula:
    """A formula that has been read.

    Attributes:
        text: As given.
        output: Column that it predicts: the name on the left of ``=`` (``loss`` for ``L``), or ``None``.
        expression: The right-hand side; input letters have become column names.
        inputs: Columns it reads, in order of appearance.
        parameters: Every other name, in order of appearance.
    """

    text: str
    output: str | None
    expression: Expr
    inputs: tuple[str, ...]
    parameters: tuple[str, ...]


def parse(text: str, *, inputs: tuple[str, ...] | None = None) -> Formula:
    """Read a formula of ``+ - * / ** ^``, numbers, names and functions such as ``exp`` and ``log``.

    Args:
        text: The formula, with or without ``NAME =`` in front.
        inputs: Names that are columns of the runs table; by default ``params`` (``N``), ``tokens`` (``D``),
            ``flops`` (``C``), ``unique_tokens`` (``U``), ``lr``, ``batch_size`` and ``steps``.

    Raises:
        InputError: With a mark under the place that cannot be read.
    """
    output, equals, right = text.partition("=")
    offset = len(output) + 1 if equals else 0
    body = right if equals else text
    name = output.strip() if equals else None
    if name is not None and not re.fullmatch(r"[A-Za-z_]\w*", name):
        raise _error(text, 0, f"{name!r} is no name for the output")
    # A caret is a power in formulas and exclusive-or in Python, which binds looser; two stars keep columns aligned
    # only if the positions are mapped back.
    python, positions = _python(body)
    lead = len(python) - len(python.lstrip())
    try:
        tree = ast.parse(python.strip(), mode="eval")
    except SyntaxError as error:
        # No offset means that the text ended too early.
        place = min(lead + error.offset - 1 if error.offset else len(positions), len(positions) - 1)
        raise _error(text, offset + positions[place], f"cannot be read ({error.msg})") from None
    reader = _Reader(text, offset, positions, lead, inputs)
    expression = reader.build(tree.body)
    if not reader.inputs:
        raise _error(text, 0, "has no input", f"use a column such as {', '.join(COLUMNS[:3])}")
    if not reader.parameters:
        raise _error(text, 0, "has no parameter to fit")
    return Formula(
        text, INPUT_ALIASES.get(name or "", name), expression, tuple(reader.inputs), tuple(reader.parameters)
    )


def _python(body: str) -> tuple[str, list[int]]:
    """Body with ``^`` as ``**``, and for each character its position in ``body``."""
    pieces: list[str] = []
    positions: list[int] = []
    for place, character in enumerate(body):
        piece = "**" if character == "^" else character
        pieces.append(piece)
        positions.extend([place] * len(piece))
    return "".join(pieces), [*positions, len(body)]


def _error(text: str, place: int, message: str, remedy: str | None = None) -> InputError:
    return InputError(
        f"formula {message}\n    {text}\n    {' ' * place}^ here (position {place + 1})",
        key="law",
        remedy=remedy or 'write it as "E + A/params**a + B/tokens**b"',
    )


class _Reader:
    """Turns the checked syntax tree into an expression; anything but arithmetic is refused with its position."""

    def __init__(
        self, text: str, offset: int, positions: list[int], lead: int, inputs: tuple[str, ...] | None
    ) -> None:
        self.text, self.offset, self.positions, self.lead = text, offset, positions, lead
        self.given = inputs
        self.inputs: list[str] = []
        self.parameters: list[str] = []

    def fail(self, node: ast.AST, message: str, remedy: str | None = None) -> InputError:
        place = self.lead + int(getattr(node, "col_offset", 0))
        return _error(
            self.text, self.offset + self.positions[min(place, len(self.positions) - 1)], message, remedy
        )

    def build(self, node: ast.expr) -> Expr:
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                return constant(float(value))
            case ast.Name(id=name):
                return self.name(name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self.build(operand)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.build(operand)
            case ast.BinOp(left=left, op=op, right=right):
                return self.binary(node, op, self.build(left), self.build(right))
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                return self.call(node, name, args)
        raise self.fail(node, f"may not hold {type(node).__name__.lower()} expressions")

    def binary(self, node: ast.expr, op: ast.operator, left: Expr, right: Expr) -> Expr:
        match op:
            case ast.Add():
                return left + right
            case ast.Sub():
                return left - right
            case ast.Mult():
                return left * right
            case ast.Div():
                return left / right
            case ast.Pow():
                return left**right
        raise self.fail(node, f"may not use the operator {type(op).__name__.lower()}", "use + - * / ** or ^")

    def call(self, node: ast.expr, name: str, args: list[ast.expr]) -> Expr:
        if name not in FUNCTIONS:
            near = difflib.get_close_matches(name, FUNCTIONS, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise self.fail(
                node, f"calls {name!r}, which is not known", f"{hint}Known: {', '.join(FUNCTIONS)}"
            )
        wanted = 2 if name in ("min", "max") else 1
        if len(args) != wanted:
            raise self.fail(node, f"gives {name} {len(args)} arguments, not {wanted}")
        return FUNCTIONS[name](*(self.build(arg) for arg in args))

    def name(self, name: str) -> Expr:
        columns = COLUMNS if self.given is None else self.given
        column = next((entry for entry in (name, INPUT_ALIASES.get(name)) if entry in columns), None)
        known = self.parameters if column is None else self.inputs
        if (column or name) not in known:
            known.append(column or name)
        return symbol(column or name, positive=column is not None)
