"""Formula strings: read, never run; mistakes are pointed at."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling.errors import InputError
from scaling.laws import from_formula, from_function, get_law
from scaling.laws.custom import to_text
from scaling.laws.expression import constant, symbol
from scaling.laws.formula import parse
from scaling.laws.program import Program


@pytest.mark.parametrize(
    ("text", "inputs", "parameters", "output"),
    [
        ("L = E + A/N^a + B/D^b", ("params", "tokens"), ("E", "A", "a", "B", "b"), "loss"),
        ("E + A*params**-a", ("params",), ("E", "A", "a"), None),
        ("acc = 1 - exp(-k * log(tokens))", ("tokens",), ("k",), "acc"),
        ("max(E, A * C ^ -0.05)", ("flops",), ("E", "A"), None),
    ],
)
def test_columns_parameters_and_output_are_told_apart(
    text: str, inputs: tuple[str, ...], parameters: tuple[str, ...], output: str | None
) -> None:
    formula = parse(text)
    assert (formula.inputs, formula.parameters, formula.output) == (inputs, parameters, output)


@pytest.mark.parametrize(
    ("text", "place", "word"),
    [
        ("E + A*params**", 15, "read"),
        ("L = E + foo(N)", 9, "foo"),
        ("E + A if N else 3", 1, "ifexp"),
        ("E + A*N.real", 7, "attribute"),
        ("E + [1][0]*N", 5, "subscript"),
        ("E + __import__('os').system('true')*N", 5, "attribute|known|call"),
        ("E + A*exp(N, D)", 7, "arguments"),
        ("E + A % N", 5, "operator"),
        ("E + A*N + 'x'", 11, "constant"),
        ("A + b", 1, "input"),
        ("2*N", 1, "parameter"),
        ("1x = E + N", 1, "name"),
    ],
)
def test_a_mistake_is_pointed_at(text: str, place: int, word: str) -> None:
    with pytest.raises(InputError, match=word) as caught:
        parse(text)
    message = str(caught.value)
    marks = [line for line in message.splitlines() if line.strip().startswith("^")]
    assert marks, message
    assert f"position {place}" in message


def test_a_caret_is_a_power_and_binds_like_one() -> None:
    law = from_formula("E + A/N^a")
    assert law.predict([1.0, 8.0, 0.5], {"params": 4.0}) == pytest.approx([5.0])


def test_the_nearest_name_is_suggested() -> None:
    with pytest.raises(InputError, match="chinchilla"):
        get_law("chinchila")
    with pytest.raises(InputError, match="breaks"):
        get_law("broken-power-law", breaks=0)
    with pytest.raises(InputError, match="options"):
        get_law("broken-power-law", brakes=1)
    with pytest.raises(InputError, match="no parameter 'z'"):
        get_law("chinchilla", fixed={"z": 1.0})


def test_a_function_is_traced_to_the_same_derivatives_as_its_formula() -> None:
    def law(E, A, a, params):  # type: ignore[no-untyped-def]
        return E + A * params**-a

    traced = from_function(law)
    written = from_formula("E + A*params**-a")
    assert traced.expression is written.expression  # equal formulas are one object
    with pytest.raises(InputError, match="inputs"):
        from_function(lambda E, A: E + A)


def test_a_branch_cannot_be_traced_and_is_fitted_all_the_same() -> None:
    def law(E, A, params):  # type: ignore[no-untyped-def]
        return E + A if np.all(params > 0) else E

    assert from_function(law).expression is None


def test_what_is_written_out_reads_back() -> None:
    text = "L = E + A/(1 + N/k)^a - 2*log1p(exp(-D*1e-9)) + min(B, softplus(c*sqrt(D)))"
    formula = parse(text)
    again = parse(to_text(formula.expression), inputs=formula.inputs)
    points = {"params": np.array([1.0, 2.0]), "tokens": np.array([3.0, 1e9])}
    values = {name: np.full((1, 1), 0.3 + 0.1 * i) for i, name in enumerate(formula.parameters)}
    one, other = (
        Program([expression], formula.inputs).run(Program([expression], formula.inputs).bind(points), values)
        for expression in (formula.expression, again.expression)
    )
    np.testing.assert_allclose(one[0], other[0], rtol=1e-13)


expressions = st.recursive(
    st.sampled_from(["x", "y", 0.5, 2.0, 3.0]).map(
        lambda leaf: symbol(leaf, positive=True) if isinstance(leaf, str) else constant(leaf)
    ),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda pair: pair[0] + pair[1]),
        st.tuples(inner, inner).map(lambda pair: pair[0] * pair[1]),
        st.tuples(inner, inner).map(lambda pair: pair[0] / (pair[1] * pair[1] + 1.0)),
        inner.map(lambda e: np.log1p(e * e)),
        inner.map(lambda e: np.tanh(e)),
        inner.map(lambda e: np.exp(-e * e)),
        inner.map(lambda e: (e * e + 0.5) ** 0.7),
        st.tuples(inner, inner).map(lambda pair: np.maximum(pair[0], pair[1])),
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(expressions, st.floats(0.3, 2.0), st.floats(0.3, 2.0))
def test_derivatives_of_any_formula_are_those_of_finite_differences(expression, x: float, y: float) -> None:  # type: ignore[no-untyped-def]
    program = Program([expression, expression.diff("x")], ())

    def at(place: float) -> tuple[float, float]:
        value, slope = program.run(program.bind({}), {"x": np.array([[place]]), "y": np.array([[y]])})
        return float(np.ravel(value)[0]), float(np.ravel(slope)[0])

    step = 1e-6
    (above, rising), (below, falling) = at(x + step), at(x - step)
    if abs(rising - falling) > 1e-2 * (1 + abs(rising)):
        return  # a corner of max lies in between
    slope = at(x)[1]
    assert slope == pytest.approx((above - below) / (2 * step), rel=1e-4, abs=1e-6)
