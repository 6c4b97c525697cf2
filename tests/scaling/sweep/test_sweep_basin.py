"""The shared basin: slopes against finite differences, inverse, extents and contours against the excess itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling.sweep.basin import Basin, Layout, best_given, contour, excess, excess_and_slopes, extent

LAYOUT = Layout(2, 2)
THETA = np.array([-2.6, -0.02, -2.9, 0.7, -0.2, 0.05, -0.03])
AT = np.array([0.4, -1.1])


def basin(theta=THETA):
    return Basin.unpack(theta, LAYOUT)


@given(st.lists(st.floats(-6, 6), min_size=2, max_size=2))
def test_bottom_is_at_zero_and_nowhere_below(d):
    value = excess(basin(), np.array(d), AT)
    assert value >= 0
    assert excess(basin(), np.zeros(2), AT) == 0


def test_slopes_match_finite_differences():
    generator = np.random.default_rng(0)
    d, x = generator.normal(size=(20, 2)) * 2, generator.normal(size=(20, 2))
    q, in_d, in_theta = excess_and_slopes(THETA, LAYOUT, d, x)
    assert q == pytest.approx(excess(basin(), d, x))
    step = 1e-6
    for column in range(2):
        moved = d.copy()
        moved[:, column] += step
        assert (excess(basin(), moved, x) - q) / step == pytest.approx(in_d[:, column], rel=1e-3, abs=1e-6)
    for entry in range(LAYOUT.size):
        theta = THETA.copy()
        theta[entry] += step
        assert (excess(basin(theta), d, x) - q) / step == pytest.approx(
            in_theta[:, entry], rel=1e-3, abs=1e-6
        )


@settings(max_examples=30)
@given(st.floats(1e-4, 0.05), st.floats(-1, 1), st.floats(-0.05, 0.05))
def test_contour_lies_at_the_tolerance_and_touches_the_extent(tolerance, skew, tilt):
    theta = THETA.copy()
    theta[1], theta[3] = tilt, skew
    shape = basin(theta)
    curve = contour(shape, AT, tolerance, 721)
    assert excess(shape, curve, np.broadcast_to(AT, curve.shape)) == pytest.approx(tolerance, rel=1e-4)
    low, high = extent(shape, AT, tolerance)
    assert curve.min(axis=0) == pytest.approx(low, abs=2e-3)
    assert curve.max(axis=0) == pytest.approx(high, abs=2e-3)


@settings(max_examples=30)
@given(st.floats(-4, 4))
def test_best_given_a_held_value_is_a_minimum(v):
    d = best_given(basin(), np.array([False, True]), np.array([0.0, v]))
    assert d[1] == v
    here = excess(basin(), d, AT)
    for shift in (-0.05, 0.05):
        assert excess(basin(), d + np.array([shift, 0.0]), AT) >= here


def test_width_drifts_with_size():
    assert excess(basin(), np.ones(2), AT + np.array([1.0, 0.0])) == pytest.approx(
        excess(basin(), np.ones(2), AT) * np.exp(THETA[5])
    )
