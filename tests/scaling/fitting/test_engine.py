"""The engine: exact derivatives, summed objectives, replicates that are as low as anyone gets them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize

from scaling.errors import InputError
from scaling.fitting import solve, solve_many
from scaling.fitting.losses import LOSSES, get_loss
from scaling.fitting.starts import solve_linear
from scaling.fitting.uncertainty import resample, sandwich
from scaling.laws import get_law

Array = NDArray[np.float64]
TRUTH = np.array([1.8, 480.0, 2100.0, 0.35, 0.37])


def runs(count: int = 60, noise: float = 0.01, seed: int = 0) -> tuple[dict[str, Array], Array]:
    rng = np.random.default_rng(seed)
    params = 10 ** rng.uniform(7, 10, count)
    inputs = {"params": params, "tokens": params * 10 ** rng.uniform(0.3, 2.0, count)}
    exact = get_law("chinchilla").predict(TRUTH, inputs)
    return inputs, exact * np.exp(noise * rng.standard_normal(count))


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_has_the_slope_bend_and_weight_that_it_says(name: str) -> None:
    loss = get_loss(name)
    delta = 0.3
    r = np.linspace(-1.0, 1.0, 41) + 0.0071
    step = 1e-6
    cost, slope, bend, weight = loss.terms(r, delta)
    above, below = loss.terms(r + step, delta), loss.terms(r - step, delta)
    np.testing.assert_allclose(slope, (above[0] - below[0]) / (2 * step), atol=1e-6)
    np.testing.assert_allclose(bend, (above[1] - below[1]) / (2 * step), atol=1e-4)
    np.testing.assert_allclose(weight * r, slope, rtol=1e-12)
    assert (cost >= 0).all()


def test_an_unknown_loss_is_named() -> None:
    with pytest.raises(InputError, match="huber"):
        get_loss("cauchy")


@pytest.mark.parametrize("loss", ["huber", "squared", "soft-l1"])
def test_no_general_optimiser_gets_lower(loss: str) -> None:
    law = get_law("chinchilla")
    inputs, target = runs()
    found = solve(law, inputs, target, loss=loss, delta=1e-3)

    def objective(search: Array) -> float:
        r = np.log(law.predict(law.to_natural(search), inputs)) - np.log(target)
        return float(get_loss(loss).terms(r, 1e-3)[0].sum()) * 1e4

    best = min(
        minimize(
            objective, start, method="Nelder-Mead", options={"maxiter": 6000, "xatol": 1e-9, "fatol": 1e-12}
        ).fun
        for start in (law.to_search(TRUTH), law.to_search(found.theta[0]))
    )
    assert found.objective[0] * 1e4 <= best * (1 + 1e-9)
    assert found.converged[0]
    assert found.objective[0] * 1e4 == pytest.approx(objective(law.to_search(found.theta[0])), rel=1e-12)


def test_least_absolute_deviations_pass_through_as_many_points_as_there_are_parameters() -> None:
    law = get_law("chinchilla")
    inputs, target = runs()
    found = solve(law, inputs, target, loss="lad")
    residuals = np.abs(np.log(law.predict(found.theta[0], inputs) / target))
    assert (residuals < 1e-6).sum() >= 5
    huber = solve(law, inputs, target, loss="huber")
    assert residuals.sum() <= np.abs(np.log(law.predict(huber.theta[0], inputs) / target)).sum()


def test_convergence_is_judged_on_the_gradient_of_the_sum() -> None:
    law = get_law("chinchilla")
    inputs, target = runs(240)
    found = solve(law, inputs, target)
    model = law.model
    local = model.local(law.to_search(found.theta), model.bind(inputs))
    r = np.log(local.value) - np.log(target)
    gradient = (local.slopes * (np.clip(r, -1e-3, 1e-3) / local.value)[:, None]).sum(axis=-1)
    # Against the size that the single terms of the sum have.
    size = (np.abs(local.slopes * (1e-3 / local.value)[:, None])).sum(axis=-1)
    assert np.abs(gradient / size).max() < 1e-7


def test_replicates_do_not_depend_on_the_company_they_are_in() -> None:
    law = get_law("chinchilla")
    inputs, target = runs(120)
    point = solve(law, inputs, target)
    weights = resample(120, 300, 5, seed=1)
    together = solve(law, inputs, target, weights=weights, starts=point.theta)
    alone = solve(law, inputs, target, weights=weights[250:252], starts=point.theta)
    np.testing.assert_allclose(together.theta[250:252], alone.theta, rtol=1e-6)
    assert together.converged.all()


def test_replicates_are_no_worse_than_with_starts_of_their_own() -> None:
    law = get_law("chinchilla")
    inputs, target = runs(60, noise=0.02)
    point = solve(law, inputs, target)
    weights = resample(60, 20, 5, seed=2)
    replicates = solve(law, inputs, target, weights=weights, starts=point.theta)
    for row, objective in zip(weights, replicates.objective, strict=True):
        seen = row > 0
        repeated = np.repeat(np.flatnonzero(seen), row[seen].astype(int))
        own = solve(law, {name: column[repeated] for name, column in inputs.items()}, target[repeated])
        assert objective <= own.objective[0] * (1 + 1e-9)


@settings(max_examples=15, deadline=None)
@given(factor=st.floats(0.1, 10.0), shift=st.floats(1e-3, 1e3))
def test_units_do_not_matter(factor: float, shift: float) -> None:
    # On logs, a loss in other units scales E, A and B; tokens in other units move B alone.
    law = get_law("chinchilla")
    inputs, target = runs(40, seed=3)
    base = solve(law, inputs, target)
    scaled = solve(law, inputs, target * factor)
    np.testing.assert_allclose(scaled.theta[0, :3], base.theta[0, :3] * factor, rtol=1e-5)
    np.testing.assert_allclose(scaled.theta[0, 3:], base.theta[0, 3:], rtol=1e-5)
    moved = solve(law, {**inputs, "tokens": inputs["tokens"] * shift}, target)
    assert moved.objective[0] == pytest.approx(base.objective[0], rel=1e-8)
    assert moved.theta[0, 2] == pytest.approx(base.theta[0, 2] * shift ** base.theta[0, 4], rel=1e-4)


def test_linear_parameters_are_solved_exactly_and_keep_their_sign() -> None:
    law = get_law("chinchilla")
    inputs, target = runs(30, noise=0.0)
    theta = solve_linear(law, TRUTH[None, 3:], ["a", "b"], inputs, target, np.ones(30))
    np.testing.assert_allclose(theta[0], TRUTH, rtol=1e-9)
    rising = 2.0 + 0.1 * np.log(inputs["params"] / 1e7)  # no positive A can do that
    theta = solve_linear(law, TRUTH[None, 3:], ["a", "b"], inputs, rising, np.ones(30))
    assert (theta > 0).all()


def test_a_parameter_that_wants_to_leave_stops_at_its_bound() -> None:
    law = get_law("power-law")
    x = np.geomspace(1e6, 1e9, 30)
    found = solve(law, {"params": x}, 50.0 * x**-0.2)
    assert found.objective[0] < 1e-10
    assert found.theta[0, 0] < 1e-3  # the floor that these data do not have


def test_many_curves_keep_their_order_and_may_have_different_lengths() -> None:
    law = get_law("power-law", axis="tokens")
    rng = np.random.default_rng(0)
    truths = [np.array([rng.uniform(1, 3), rng.uniform(50, 500), rng.uniform(0.2, 0.5)]) for _ in range(70)]
    curves = []
    for truth in truths:
        tokens = np.geomspace(1e6, 1e9, int(rng.integers(8, 25)))
        curves.append(({"tokens": tokens}, law.predict(truth, {"tokens": tokens})))
    found = solve_many(law, curves)
    np.testing.assert_allclose(found.theta, np.array(truths), rtol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 40), st.integers(1, 30), st.integers(1, 5), st.integers(0, 5))
def test_resampling_keeps_the_number_of_runs_and_enough_distinct_ones(
    count: int, replicates: int, parameters: int, seed: int
) -> None:
    weights = resample(count, replicates, parameters, seed=seed)
    assert weights.shape == (replicates, count)
    np.testing.assert_array_equal(weights.sum(axis=1), count)
    assert ((weights > 0).sum(axis=1) >= min(parameters, count)).all()
    np.testing.assert_array_equal(weights, resample(count, replicates, parameters, seed=seed))


def test_checkpoints_of_one_run_are_drawn_together() -> None:
    groups = np.array(["a", "a", "b", "b", "b", "c"])
    weights = resample(6, 50, 2, seed=0, groups=groups)
    for name in "abc":
        assert (np.ptp(weights[:, groups == name], axis=1) == 0).all()


def test_the_sandwich_agrees_with_the_bootstrap() -> None:
    law = get_law("chinchilla")
    inputs, target = runs(400)
    found = solve(law, inputs, target)
    weights = resample(400, 400, 5, seed=0)
    draws = solve(law, inputs, target, weights=weights, starts=found.theta).theta
    formula = np.sqrt(np.diag(sandwich(law, found.theta[0], inputs, target, "huber", 1e-3)))
    np.testing.assert_allclose(formula[[0, 3, 4]], draws.std(axis=0)[[0, 3, 4]], rtol=0.4)


def test_a_direction_that_data_cannot_see_has_no_finite_variance() -> None:
    law = get_law("chinchilla")
    params = np.geomspace(1e7, 1e9, 20)
    inputs = {"params": params, "tokens": 20 * params}
    target = law.predict(np.array([1.8, 480.0, 2100.0, 0.35, 0.35]), inputs)
    covariance = sandwich(
        law, np.array([1.8, 480.0, 2100.0, 0.35, 0.35]), inputs, target * 1.001, "huber", 1e-3
    )
    assert not np.isfinite(np.diag(covariance)).all()


def test_progress_reaches_the_end() -> None:
    law = get_law("power-law")
    x = np.geomspace(1e6, 1e9, 20)
    target = (1 + 50 * x**-0.3) * np.exp(0.01 * np.random.default_rng(0).standard_normal(20))
    told: list[tuple[int, int]] = []
    solve(law, {"params": x}, target, weights=resample(20, 100, 3), progress=lambda *a: told.append(a))
    assert told[-1] == (100, 100)
    assert len(told) > 10


def test_factors_whose_squares_overflow_are_solved_like_others() -> None:
    law, ones = get_law("A * tokens**a", inputs=["tokens"]), np.ones(12)
    tokens = np.geomspace(1.0, 10.0, 12)
    weights = []
    for scale in (1.0, 1e200):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = solve_linear(law, np.array([[1.0]]), ["a"], {"tokens": scale * tokens}, ones, ones)
        weights.append(law.params(found[0])["A"] * scale)
    assert weights[1] == pytest.approx(weights[0])
