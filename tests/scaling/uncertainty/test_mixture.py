"""Quantiles of mixtures of t distributions."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scaling.uncertainty.mixture import Mixture


def test_one_component_has_the_quantiles_of_its_t_distribution() -> None:
    mixture = Mixture(np.array([1.0]), np.array([[2.0, -1.0]]), np.array([[0.5, 3.0]]), 7.0)
    found = mixture.quantiles([0.05, 0.5, 0.95])
    expected = stats.t(7.0, loc=[2.0, -1.0], scale=[0.5, 3.0]).ppf(np.array([[0.05], [0.5], [0.95]]))
    assert np.allclose(found, expected, rtol=1e-7)


def test_quantiles_invert_the_distribution_function() -> None:
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.ones(5))
    mixture = Mixture(weights, rng.normal(size=(5, 4)), rng.uniform(0.1, 2.0, (5, 4)), 6.0)
    for level in (0.025, 0.3, 0.975):
        assert np.allclose(mixture.cdf(mixture.quantiles([level])[0]), level, atol=1e-4)


@given(st.integers(0, 10_000), st.floats(0.01, 0.49), st.floats(0.51, 0.99))
@settings(max_examples=30, deadline=None)
def test_quantiles_rise_with_the_level(seed: int, low: float, high: float) -> None:
    rng = np.random.default_rng(seed)
    mixture = Mixture(rng.dirichlet(np.ones(3)), rng.normal(size=(3, 2)), rng.uniform(0.1, 2.0, (3, 2)), 4.0)
    below, middle, above = mixture.quantiles([low, 0.5, high])
    assert (below <= middle).all()
    assert (middle <= above).all()


def test_components_without_weight_do_not_count() -> None:
    alone = Mixture(np.array([1.0]), np.array([[0.0]]), np.array([[1.0]]), 9.0)
    beside = Mixture(np.array([1.0, 0.0]), np.array([[0.0], [99.0]]), np.array([[1.0], [9.0]]), 9.0)
    assert np.allclose(alone.quantiles([0.1, 0.9]), beside.quantiles([0.1, 0.9]), atol=1e-6)
