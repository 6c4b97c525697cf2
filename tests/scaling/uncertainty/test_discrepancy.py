"""The kriging of a law's residuals, against direct linear algebra and on laws that are wrong in known ways."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from scaling.uncertainty.discrepancy import Prior, Scene, _kernel, predict_discrepancy

PLAIN = Prior(powers=(0.0,), lengths=(2.0,), right=1.0, sizes=(), consistency=1.0, passes=0)


def scene(x: np.ndarray, degree: int = 1) -> Scene:
    """A polynomial of one input as the law; loss falls with the input."""
    return Scene(x[:, None], np.vander(x, degree + 1, increasing=True), -x)


def test_without_discrepancy_it_is_ordinary_regression() -> None:
    rng = np.random.default_rng(1)
    x, new = rng.uniform(0, 4, 20), np.array([1.0, 6.0])
    y = 0.3 - 0.2 * x + 0.05 * rng.standard_normal(20)
    found = predict_discrepancy(scene(x), y, scene(new), PLAIN).quantiles([0.025, 0.5, 0.975])
    h, h_new = np.vander(x, 2, increasing=True), np.vander(new, 2, increasing=True)
    beta, squares = np.linalg.lstsq(h, y, rcond=None)[:2]
    leverage = np.einsum("mi,ij,mj->m", h_new, np.linalg.inv(h.T @ h), h_new)
    half = stats.t(18).ppf(0.975) * np.sqrt(squares / 18 * (1 + leverage))
    assert np.allclose(found, [h_new @ beta - half, h_new @ beta, h_new @ beta + half], atol=1e-6)


def test_with_discrepancy_it_is_generalised_least_squares() -> None:
    rng = np.random.default_rng(2)
    x, new = np.sort(rng.uniform(0, 5, 15)), np.array([2.2, 7.0])
    y = np.sin(x) + 0.1 * rng.standard_normal(15)
    length, size = 2.0, 5.0
    prior = Prior(powers=(0.0,), lengths=(length,), right=1e-300, sizes=(size,), consistency=1.0, passes=0)
    mixture = predict_discrepancy(scene(x), y, scene(new), prior)
    # The same by the textbook formula (universal kriging), with the discrepancy in units visible among the runs.
    h, h_new = np.vander(x, 2, increasing=True), np.vander(new, 2, increasing=True)
    gram = _kernel(x[:, None], x[:, None], length)
    away = np.eye(15) - h @ np.linalg.pinv(h)
    unit = size * 13 / np.trace(away @ gram @ away)
    v = np.eye(15) + unit * gram
    cross = unit * _kernel(new[:, None], x[:, None], length)
    beta = np.linalg.solve(h.T @ np.linalg.solve(v, h), h.T @ np.linalg.solve(v, y))
    rest = y - h @ beta
    mean = h_new @ beta + cross @ np.linalg.solve(v, rest)
    sigma2 = rest @ np.linalg.solve(v, rest) / 13
    slack = h_new - cross @ np.linalg.solve(v, h)
    middle = np.linalg.inv(h.T @ np.linalg.solve(v, h))
    variance = 1 + unit - np.diag(cross @ np.linalg.solve(v, cross.T)) + np.diag(slack @ middle @ slack.T)
    assert np.allclose(mixture.centres[-1], mean, atol=1e-6)
    assert np.allclose(mixture.scales[-1], np.sqrt(sigma2 * variance), rtol=1e-6)


def test_a_wrong_law_gets_wider_and_moves_with_its_residuals() -> None:
    rng = np.random.default_rng(3)
    x, new = np.linspace(0, 6, 40), np.array([7.0, 8.0, 9.0])
    bend = 0.02 * (x - 3) ** 2
    noise = 0.005 * rng.standard_normal(40)
    right = predict_discrepancy(scene(x), noise, scene(new)).quantiles([0.025, 0.5, 0.975])
    wrong = predict_discrepancy(scene(x), bend - bend.mean() + noise, scene(new)).quantiles(
        [0.025, 0.5, 0.975]
    )
    assert (wrong[2] - wrong[0] > 3 * (right[2] - right[0])).all()
    assert (np.diff(wrong[2] - wrong[0]) > 0).all()
    truth = 0.02 * (new - 3) ** 2 - bend.mean()
    assert (np.abs(wrong[1] - truth) < np.abs(truth)).all()
    assert ((truth > wrong[0]) & (truth < wrong[2])).all()


def test_one_bad_run_changes_little() -> None:
    rng = np.random.default_rng(4)
    x, new = np.linspace(0, 6, 30), np.array([8.0])
    y = 0.01 * rng.standard_normal(30)
    bad = y.copy()
    bad[3] += 1.0
    clean, spoilt = (predict_discrepancy(scene(x), r, scene(new)).quantiles([0.025, 0.975]) for r in (y, bad))
    assert (spoilt[1] - spoilt[0])[0] < 3 * (clean[1] - clean[0])[0]
    naive = predict_discrepancy(scene(x), bad, scene(new), PLAIN).quantiles([0.025, 0.975])
    assert (naive[1] - naive[0])[0] > 10 * (clean[1] - clean[0])[0]


def test_noise_far_from_the_best_run_does_not_widen_the_interval_beyond_it() -> None:
    rng = np.random.default_rng(5)
    x, new = np.linspace(0, 3, 60), np.array([3.5])
    y = np.exp(-1.5 * x) * 0.1 * rng.standard_normal(60)
    graded = predict_discrepancy(scene(x), y, scene(new)).quantiles([0.025, 0.975])
    even = predict_discrepancy(scene(x), y, scene(new), Prior(powers=(0.0,), passes=0)).quantiles(
        [0.025, 0.975]
    )
    assert (graded[1] - graded[0])[0] < 0.6 * (even[1] - even[0])[0]


def test_unidentified_directions_are_left_alone() -> None:
    x = np.linspace(0, 5, 12)
    twice = Scene(x[:, None], np.stack([np.ones(12), x, 2 * x], axis=1), -x)
    found = predict_discrepancy(twice, 0.01 * np.cos(9 * x), twice).quantiles([0.05, 0.5, 0.95])
    assert np.isfinite(found).all()


@pytest.mark.parametrize("runs", [6, 200])
def test_few_and_many_runs(runs: int) -> None:
    x = np.linspace(0, 5, runs)
    found = predict_discrepancy(scene(x), 0.01 * np.cos(9 * x), scene(np.array([6.0])))
    assert np.isclose(found.weights.sum(), 1.0)
    assert np.isfinite(found.quantiles([0.01, 0.99])).all()
