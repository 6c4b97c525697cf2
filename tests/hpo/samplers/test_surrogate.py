"""What the surrogate learns: noise where it matters, which parameters count, and what few points do not show."""

from __future__ import annotations

import numpy as np
import pytest
from optuna.distributions import FloatDistribution

from hpo.samplers.landscape import Landscape
from hpo.samplers.observations import Observation
from hpo.samplers.surrogate import Data, Surrogate, fit

SPACE = {"x": FloatDistribution(0.0, 1.0)}


def test_noise_of_good_configurations_is_not_hidden_by_bad_ones() -> None:
    """Bad values are drawn together logarithmically, and their noise with them."""
    found = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        observations = []
        for number in range(40):
            x = float(rng.random())
            level = 1 - 20 * max(0.0, 0.5 - x)  # the worse half falls off
            values = tuple(float(level + 0.3 * rng.normal()) for _ in range(1 + (number % 3 == 0)))
            observations.append(Observation(number, {"x": x}, values, tuple(0.0 for _ in values)))
        surrogate = Landscape(observations, SPACE, maximize=True).surrogate
        found.append(surrogate.scale * surrogate.hyper.noise**0.5)
    assert np.median(found) == pytest.approx(0.3, rel=0.3)


def test_few_points_do_not_show_that_a_parameter_counts_for_nothing() -> None:
    """With a vague prior of the length scales, thirty points of six parameters were over-fitted (Hartmann-6)."""
    rng = np.random.default_rng(0)
    features = rng.random((12, 6))
    values = np.sin(6 * features[:, 0]) + 0.5 * features[:, 1]
    surrogate = fit(Data(features, np.arange(6), values, np.ones(12)))
    assert surrogate.hyper.lengths.max() < 10
    assert surrogate.hyper.lengths[0] < surrogate.hyper.lengths[2:].min()


def test_values_without_noise_are_met() -> None:
    features = np.random.default_rng(1).random((30, 2))
    values = np.cos(3 * features[:, 0]) * features[:, 1]
    surrogate = fit(Data(features, np.arange(2), values, np.ones(30)))
    assert np.abs(surrogate.tried()[0] - values).max() < 0.01 * np.ptp(values)
    assert (surrogate.hyper.own + surrogate.hyper.noise) ** 0.5 < 0.03


def test_skill_says_whether_the_parameters_tell_anything() -> None:
    rng = np.random.default_rng(2)
    features = rng.random((30, 3))
    smooth, noise = np.sin(3 * features[:, 0]) + features[:, 1], rng.normal(size=30)
    skills = [fit(Data(features, np.arange(3), y, np.ones(30))).skill() for y in (smooth, noise)]
    assert skills[0] > 0.9
    assert skills[1] < 0.2
    assert fit(Data(features[:1], np.arange(3), noise[:1], np.ones(1))).skill() == 0


def test_skill_is_what_leaving_each_out_gives() -> None:
    rng = np.random.default_rng(3)
    features = rng.random((9, 2))
    values = features[:, 0] + 0.2 * rng.normal(size=9)
    whole = fit(Data(features, np.arange(2), values, np.ones(9)))
    errors, constant = [], []
    for row in range(9):
        kept = np.arange(9) != row
        part = Surrogate(
            Data(features[kept], np.arange(2), values[kept], np.ones(8)),
            whole.hyper,
            whole.shift,
            whole.scale,
        )
        errors.append(values[row] - part.predict(features[[row]])[0][0])
        constant.append(values[row] - values[kept].mean())
    assert whole.skill() == pytest.approx(1 - np.mean(np.square(errors)) / np.mean(np.square(constant)))


def test_weights_say_how_the_posterior_mean_moves_with_each_mean() -> None:
    rng = np.random.default_rng(3)
    x, values = rng.random((12, 2)), rng.normal(size=12)
    surrogate = fit(
        Data(x, np.arange(2), values, rng.integers(1, 4, 12).astype(float), squares=5.0, noisy=True)
    )
    mean = surrogate.tried()[0]
    for row in (0, 7):
        moved = surrogate.shift + surrogate.scale * surrogate.weights(row) @ surrogate.standardised()
        assert moved == pytest.approx(mean[row])
