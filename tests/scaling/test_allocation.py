"""Allocation of compute: against the closed form, and what repeats cost."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scaling.allocation import PUBLISHED_DECAY, allocate
from scaling.errors import InputError
from scaling.fitted import FittedLaw, fit_law
from scaling.laws import get_law
from scaling.published import LAWS

TRUTH = {"E": 1.8, "A": 480.0, "B": 2100.0, "a": 0.35, "b": 0.37}


def optimum(flops: float, A: float, B: float, a: float, b: float, **_: float) -> float:
    """Hoffmann et al., equation 4."""
    return float((a * A / (b * B)) ** (1 / (a + b)) * (flops / 6) ** (b / (a + b)))


@pytest.fixture(scope="module")
def fitted() -> FittedLaw:
    rng = np.random.default_rng(0)
    params = 10 ** rng.uniform(7, 9.5, 80)
    tokens = params * 10 ** rng.uniform(0.3, 2.0, 80)
    loss = get_law("chinchilla").predict(list(TRUTH.values()), {"params": params, "tokens": tokens})
    loss *= np.exp(0.003 * rng.standard_normal(80))
    return fit_law(pd.DataFrame({"params": params, "tokens": tokens, "loss": loss}), bootstrap=100)


@pytest.mark.parametrize("flops", [1e18, 1e21, 1e25])
def test_it_is_the_closed_form_where_there_is_one(fitted: FittedLaw, flops: float) -> None:
    found = allocate(fitted, flops)
    assert found.params.value == pytest.approx(optimum(flops, **fitted.params), rel=1e-4)
    assert 6 * found.params.value * found.tokens.value == pytest.approx(flops)
    assert found.params.low is not None
    assert found.params.low < found.params.value < found.params.high  # type: ignore[operator]
    assert found.repeats is None
    published = LAWS["chinchilla-2022"]
    again = allocate(published, flops)
    assert again.params.value == pytest.approx(optimum(flops, A=406.4, B=410.7, a=0.34, b=0.28), rel=1e-4)
    assert again.params.low is None


def test_enough_data_changes_nothing_and_short_data_costs(fitted: FittedLaw) -> None:
    free = allocate(fitted, 1e21)
    enough = allocate(fitted, 1e21, unique_tokens=free.tokens.value * 1.01)
    assert enough.repeats is None
    assert enough.params.value == free.params.value
    short = allocate(fitted, 1e21, unique_tokens=free.tokens.value / 20)
    cost = short.repeats
    assert cost is not None
    assert cost.epochs == pytest.approx(short.tokens.value / (free.tokens.value / 20))
    assert free.tokens.value / 20 < cost.effective_tokens < short.tokens.value
    assert cost.loss_if_fresh < cost.loss < cost.loss_one_epoch
    assert cost.compute_if_fresh < 1
    assert any("2305.16264" in warning for warning in short.warnings)


def test_a_law_of_repeats_is_asked_itself() -> None:
    rng = np.random.default_rng(1)
    params = 10 ** rng.uniform(7, 9.5, 150)
    tokens = params * 10 ** rng.uniform(0.3, 2.0, 150)
    unique = np.minimum(tokens, tokens / 10 ** rng.uniform(-0.5, 1.5, 150))
    law = get_law("repeated-data")
    theta = [*TRUTH.values(), 10.0, 4.0]
    frame = pd.DataFrame({"params": params, "tokens": tokens, "unique_tokens": unique})
    frame["loss"] = law.predict(theta, {name: frame[name].to_numpy() for name in frame})
    fitted = fit_law(frame, "repeated-data", bootstrap=0)
    found = allocate(fitted, 1e21, unique_tokens=5e9)
    assert not any("2305.16264" in warning for warning in found.warnings)
    # No other split of the budget does better.
    sizes = np.geomspace(found.params.value / 100, found.params.value * 100, 2001)
    points = {"params": sizes, "tokens": 1e21 / (6 * sizes), "unique_tokens": np.full(2001, 5e9)}
    losses = law.predict(theta, {**points, "unique_tokens": np.minimum(points["tokens"], 5e9)})
    assert found.repeats is not None
    assert found.repeats.loss == pytest.approx(losses.min(), rel=1e-6)


def test_iterations_follow_from_the_batch(fitted: FittedLaw) -> None:
    found = allocate(fitted, 1e21, batch_size=1e6)
    assert found.iterations == pytest.approx(found.tokens.value / 1e6)
    asked = allocate(fitted, 1e21, recipe=LAWS["step-law"])
    assert asked.batch_size == pytest.approx(0.58 * asked.tokens.value**0.571, rel=0.1)
    assert asked.to_dict()["predictions"]["lr"]["value"] == asked.lr
    assert asked.iterations == pytest.approx(asked.tokens.value / asked.batch_size)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"flops": -1.0}, "flops"),
        ({"flops": 10.0}, "train no model"),
        ({"unique_tokens": 0.0}, "unique-tokens"),
    ],
)
def test_budgets_that_cannot_be_are_refused(fitted: FittedLaw, options: dict[str, float], word: str) -> None:
    with pytest.raises(InputError, match=word):
        allocate(fitted, **{"flops": 1e21, **options})


def test_a_law_of_something_else_is_refused(fitted: FittedLaw) -> None:
    with pytest.raises(InputError, match="predicts no loss"):
        allocate(LAWS["step-law"], 1e21)
    frame = pd.DataFrame({"params": [1e7, 1e8, 1e9, 1e10], "loss": [4.0, 3.4, 3.0, 2.8]})
    with pytest.raises(InputError, match="parameters and tokens"):
        allocate(fit_law(frame, "power-law", bootstrap=0), 1e21)
    table = pd.DataFrame({**fitted.inputs, "loss": fitted.target})
    with pytest.raises(InputError, match="repeated data"):
        allocate(fit_law(table, "over-training", bootstrap=0), 1e21, unique_tokens=1e6)


def test_the_published_decay_is_the_papers() -> None:
    assert PUBLISHED_DECAY == {"rd": 15.387756, "rn": 5.309743}
