"""Every law passes the contract kit."""

from __future__ import annotations

import numpy as np
import pytest

from scaling.errors import InputError
from scaling.fitting import solve, solve_many
from scaling.laws import LAWS
from scaling.laws.registry import law_from_dict, law_to_dict
from tests.scaling.laws.law_contract import CASES, Case, inputs

pytestmark = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def test_parameters_come_back_from_data_without_noise(case: Case) -> None:
    law = case.make()
    columns = inputs(law)
    solution = solve(law, columns, law.predict(case.theta, columns))
    np.testing.assert_allclose(solution.theta[0], case.theta, rtol=case.exact)
    assert solution.converged.all()
    assert solution.objective[0] < 1e-12


def test_noise_moves_the_fit_to_a_lower_objective_than_the_truth(case: Case) -> None:
    law = case.make()
    columns = inputs(law)
    rng = np.random.default_rng(1)
    exact = law.predict(case.theta, columns)
    noisy = exact * np.exp(0.005 * rng.standard_normal(len(exact)))
    solution = solve(law, columns, noisy)
    r = np.log(noisy / exact) if law.residuals == "log" else noisy - exact
    at_truth = np.where(np.abs(r) < 1e-3, 0.5 * r**2, 1e-3 * (np.abs(r) - 5e-4)).sum()
    assert solution.objective[0] <= at_truth
    r = np.log(noisy / law.predict(solution.theta[0], columns)) if law.residuals == "log" else None
    if r is not None:  # the objective is the sum over runs, of the parameters that are returned
        own = np.where(np.abs(r) < 1e-3, 0.5 * r**2, 1e-3 * (np.abs(r) - 5e-4)).sum()
        assert solution.objective[0] == pytest.approx(own, rel=1e-9)


def test_shapes_follow_parameters_and_points(case: Case) -> None:
    law = case.make()
    columns = inputs(law, 7)
    theta = np.asarray(case.theta)
    assert law.predict(theta, columns).shape == (7,)
    assert law.predict(np.tile(theta, (3, 1)), columns).shape == (3, 7)
    assert law.predict(np.tile(theta, (2, 3, 1)), columns).shape == (2, 3, 7)
    assert law.predict(theta, {name: column[0] for name, column in columns.items()}).shape == (1,)


def test_batches_say_what_single_rows_say(case: Case) -> None:
    law = case.make()
    columns = inputs(law, 9)
    rng = np.random.default_rng(2)
    rows = np.asarray(case.theta) * np.exp(0.05 * rng.standard_normal((4, len(case.theta))))
    together = law.predict(rows, columns)
    for row, values in zip(rows, together, strict=True):
        np.testing.assert_allclose(law.predict(row, columns), values, rtol=1e-13)


def test_slopes_and_curvature_are_those_of_finite_differences(case: Case) -> None:
    law = case.make()
    if law.expression is None:
        pytest.skip("a function without a formula is differentiated numerically")
    columns = inputs(law, 12)
    model = law.model
    bound = model.bind(columns)
    rng = np.random.default_rng(3)
    theta = law.to_search(np.asarray(case.theta))[None] + 0.01 * rng.standard_normal((1, len(case.theta)))
    local = model.local(theta, bound)
    weights = rng.standard_normal((1, 12))
    curvature = local.curvature(weights)[0]
    # The gradient of sum_i w_i f_i, from slopes that are themselves checked.
    for j in range(theta.shape[1]):
        step = 1e-5 * max(abs(theta[0, j]), 0.1)
        above, below = theta.copy(), theta.copy()
        above[0, j] += step
        below[0, j] -= step
        slope = (model.value(above, bound) - model.value(below, bound)) / (2 * step)
        scale = np.abs(local.slopes[0, j]).max() + 1e-12
        np.testing.assert_allclose(local.slopes[0, j] / scale, slope[0] / scale, atol=1e-6)
        bend = (
            (model.local(above, bound).slopes - model.local(below, bound).slopes)[0] @ weights[0] / (2 * step)
        )
        size = np.abs(curvature).max() + 1e-12
        np.testing.assert_allclose(curvature[j] / size, bend / size, atol=1e-5)


def test_it_is_linear_in_its_linear_parameters(case: Case) -> None:
    law = case.make()
    columns = inputs(law, 8)
    theta = np.asarray(case.theta)
    for name in law.linear:
        steps = np.tile(theta, (3, 1))
        steps[:, law.names.index(name)] *= [1.0, 1.5, 2.0]
        low, middle, high = law.predict(steps, columns)
        np.testing.assert_allclose(middle, (low + high) / 2, rtol=1e-12)


def test_a_weight_of_two_is_a_run_seen_twice(case: Case) -> None:
    law = case.make()
    columns = inputs(law, 40)
    rng = np.random.default_rng(4)
    exact = law.predict(case.theta, columns)
    noisy = exact * np.exp(0.01 * rng.standard_normal(len(exact)))
    twice = {name: np.concatenate([column, column[:20]]) for name, column in columns.items()}
    weights = np.concatenate([np.full(20, 2.0), np.ones(20)])
    one = solve(law, columns, noisy, weights=weights[None], starts=np.asarray(case.theta)[None])
    other = solve(law, twice, np.concatenate([noisy, noisy[:20]]), starts=np.asarray(case.theta)[None])
    assert one.objective[0] == pytest.approx(other.objective[0], rel=1e-6)


def test_many_curves_at_once_are_fitted_like_one(case: Case) -> None:
    law = case.make()
    rng = np.random.default_rng(5)
    curves = []
    for runs in (40, 55):
        columns = inputs(law, runs, seed=runs)
        curves.append((columns, law.predict(case.theta, columns) * np.exp(0.003 * rng.standard_normal(runs))))
    together = solve_many(law, curves)
    assert together.theta.shape == (2, len(case.theta))
    for row, (columns, target) in enumerate(curves):
        single = solve(law, columns, target)
        assert together.objective[row] == pytest.approx(single.objective[0], rel=1e-4)


def test_it_says_whose_it_is_and_what_its_parameters_mean(case: Case) -> None:
    law = case.make()
    assert law.citation
    assert law.formula
    assert law.title
    if law.name in LAWS:
        assert "arXiv" in law.citation
        assert all(parameter.meaning for parameter in law.parameters)
    assert len(set(law.names) | set(law.aliases)) == len(law.names) + len(law.aliases)


def test_a_law_file_rebuilds_it(case: Case) -> None:
    law = case.make()
    if law.expression is None:
        with pytest.raises(InputError, match="formula"):
            law_to_dict(law)
        return
    again = law_from_dict(law_to_dict(law))
    columns = inputs(law, 5)
    assert again.names == law.names
    assert again.output == law.output
    np.testing.assert_array_equal(again.predict(case.theta, columns), law.predict(case.theta, columns))


def test_search_coordinates_go_there_and_back(case: Case) -> None:
    law = case.make()
    np.testing.assert_allclose(law.to_natural(law.to_search(case.theta)), case.theta, rtol=1e-12)
    assert law.params(case.theta) == dict(zip(law.names, case.theta, strict=True))
    np.testing.assert_array_equal(law.theta(law.params(case.theta)), case.theta)
