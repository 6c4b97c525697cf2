"""What measurements claim of themselves: choices that see small runs only, and bounds that are bounds."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import overtraining_targets as targets
from benchmarks.interval_sets import TRAINED_ON
from benchmarks.learning_curves import sigmoid_law
from benchmarks.pass_at_k import indistinguishable, known_tail
from scaling.errors import InputError


@pytest.mark.data
def test_the_choice_on_over_training_sees_small_runs_only() -> None:
    try:
        frame = targets.runs()
    except InputError as error:
        pytest.skip(str(error))
    parts = targets.small(frame)
    assert set(parts) == set(TRAINED_ON)
    for part in parts.values():
        assert part["flops"].max() <= targets.LARGEST
        pairs = list(targets.origins(part))
        assert len(pairs) > 5
        for known, scored in pairs:
            assert known["flops"].max() < scored["flops"].min()
            assert scored["warm_frac"].max() <= targets.SCORED
            assert (known["warm_frac"] <= min(targets.WARM_UP)).sum() >= targets.FEWEST


def test_the_factor_covers_what_it_says() -> None:
    import pandas as pd

    rng = np.random.default_rng(0)
    loss = np.exp(0.01 * rng.standard_normal(200))
    table = pd.DataFrame({"loss": loss, "law": 1.0, "low": 0.9, "high": 1.1})
    factor = targets.conformal(table, "law")
    scaled = np.where(loss > 1, 1.1**factor, 0.9**factor)
    inside = np.where(loss > 1, loss <= scaled + 1e-12, loss >= scaled - 1e-12)
    assert 0.9 <= inside.mean() < 0.93


def test_models_without_a_correct_draw_cannot_be_told_apart() -> None:
    never = (np.full(4, 10_000.0), np.zeros(4))
    rare = (np.full(4, 10_000.0), np.full(4, 1.0))  # pass@10,000 is 1, one correct of 10,000
    found = indistinguishable({"never": never, "rare": rare})
    chance = 0.99**4
    assert found["nothing_correct"]["rare"] == pytest.approx(chance)
    # Answering 0 is wrong for one model in two, as often as it draws nothing.
    assert found["least_error"] == pytest.approx(chance / 2)


def test_a_known_tail_finds_the_curve_of_its_own_law() -> None:
    rng = np.random.default_rng(1)
    rate = rng.beta(0.4, 20.0, 3_000)
    counts = rng.binomial(100, rate).astype(float)
    assert known_tail(counts, 100, 0.4) == pytest.approx(float(np.mean(1 - (1 - rate) ** 10_000)), abs=0.02)
    assert known_tail(np.zeros(5), 100, 0.4) == 0.0


@pytest.mark.parametrize("sharpness", [0.3, 1.0, 4.0])
def test_the_sigmoid_law_solves_its_equation(sharpness: float) -> None:
    x = np.geomspace(1e5, 1e10, 9)
    E, span, A, a = 0.2, 0.7, 300.0, 0.4
    rows = [np.array([[value]]) for value in (E, span, A, a, sharpness)]
    value = sigmoid_law(rows[0], rows[1], rows[2], rows[3], rows[4], x)[0]
    assert (np.diff(value) < 0).all()
    away = E + span - value
    assert np.log((value - E) / away**sharpness) == pytest.approx(np.log(A * x**-a), abs=1e-6)
