"""The surrogate as a BoTorch model, and what a noisy run is worth."""

from __future__ import annotations

import numpy as np
import torch
from optuna.distributions import FloatDistribution

from hpo.samplers.acquisition import FeasibleLogEI, SurrogateModel, climb, evaluate
from hpo.samplers.landscape import Landscape
from hpo.samplers.observations import Observation

SPACE = {"x": FloatDistribution(0.0, 1.0), "y": FloatDistribution(0.0, 1.0)}


def landscape(noise: float) -> Landscape:
    """Twenty configurations of a bowl, each run twice."""
    rng = np.random.default_rng(0)
    observations = []
    for number in range(20):
        x, y = rng.random(2)
        values = tuple(float((x - 0.3) ** 2 + y**2 + noise * rng.normal()) for _ in range(2))
        observations.append(Observation(number, {"x": float(x), "y": float(y)}, values, (0.0, 0.0)))
    return Landscape(observations, SPACE, maximize=False)


def test_the_model_is_the_surrogate() -> None:
    surrogate = landscape(0.1).surrogate
    features = np.random.default_rng(1).random((6, 2))
    mean, spread = surrogate.predict(features)
    model = SurrogateModel(surrogate)
    for shape in ((6, 1, 2), (6, 2), (2, 3, 2)):
        posterior = model.posterior(torch.from_numpy(features.reshape(shape)))
        got = surrogate.shift + surrogate.scale * posterior.mean.numpy().ravel()
        np.testing.assert_allclose(got, mean, rtol=1e-8, atol=1e-10)
        spreads = surrogate.scale * posterior.variance.sqrt().numpy().ravel()
        np.testing.assert_allclose(spreads, spread, rtol=1e-5)


def test_with_noise_a_run_is_worth_less_than_the_value_would_be() -> None:
    """What improves is the posterior mean after the run."""
    known = landscape(0.3)
    acquisition = FeasibleLogEI(known, np.empty((0, 2)))
    features = np.random.default_rng(2).random((50, 2))
    noisy = evaluate(acquisition, features)
    acquisition.noise = 0.0
    assert (noisy < evaluate(acquisition, features)).all()


def test_climbing_moves_smooth_features_only_and_never_down() -> None:
    acquisition = FeasibleLogEI(landscape(0.01), np.empty((0, 2)))
    starts = np.random.default_rng(3).random((4, 2))
    ends = climb(acquisition, starts, np.array([True, False]))
    np.testing.assert_array_equal(ends[:, 1], starts[:, 1])
    assert ((ends >= 0) & (ends <= 1)).all()
    assert (evaluate(acquisition, ends) >= evaluate(acquisition, starts) - 1e-9).all()
    assert (ends[:, 0] != starts[:, 0]).any()
