"""Honest incumbents: not the luckiest, never one whose survivors look good, and an interval that holds the truth."""

from __future__ import annotations

import numpy as np
import pytest

from hpo.incumbent import choose
from hpo.ledger import Atom, Ledger, RunRecord
from scaling.errors import ForetuneError


def ledger_of(runs: dict[int, list[float | None]], xs: list[float] | None = None) -> Ledger:
    """Configurations with the values of their runs; ``None`` diverged."""
    ledger = Ledger()
    for number, values in runs.items():
        ledger.propose(number, {"x": xs[number] if xs else number / 10})
        for seed, value in enumerate(values):
            status = "diverged" if value is None else "complete"
            ledger.add(RunRecord(Atom(number, seed), status, value, started=float(len(ledger))))
    return ledger


def test_a_mean_over_survivors_never_wins() -> None:
    """Ray Tune's Repeater takes the mean over the seeds that did not crash."""
    runs: dict[int, list[float | None]] = {n: [1.0 + 0.01 * n, 1.0, 1.01] for n in range(4)}
    ledger = ledger_of({**runs, 4: [0.1, None, 0.1]})
    chosen = choose(ledger, "minimize")
    assert chosen.configuration != 4
    assert chosen.failures == 0


def test_a_diverged_run_is_not_the_best_of_all_scores() -> None:
    """Stored as the smallest positive float, it would be, where returns are negative (ARLBench)."""
    ledger = ledger_of({0: [-200.0, -210.0], 1: [None], 2: [-150.0, -160.0]})
    assert choose(ledger, "maximize").configuration == 2


def test_where_all_failed_somewhere_the_incumbent_says_so() -> None:
    chosen = choose(ledger_of({0: [1.0, None], 1: [2.0, None]}), "minimize")
    assert chosen.failures == 1


def test_no_value_at_all_is_an_error() -> None:
    with pytest.raises(ForetuneError, match="no configuration has a value"):
        choose(ledger_of({0: [None], 1: [None]}), "minimize")


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_the_lucky_run_is_shrunk(direction: str) -> None:
    """One run of 3 beside neighbours that were run four times each and reach 1."""
    sign = 1.0 if direction == "maximize" else -1.0
    rng = np.random.default_rng(0)
    runs: dict[int, list[float | None]] = {
        n: [sign * float(v) for v in 1 + rng.normal(size=4)] for n in range(8)
    }
    chosen = choose(ledger_of({**runs, 8: [sign * 3.0]}), direction)
    assert sign * chosen.estimate.value < 2.5
    assert chosen.estimate.low < chosen.estimate.value < chosen.estimate.high


def test_a_single_run_has_an_estimate() -> None:
    chosen = choose(ledger_of({0: [0.5]}), "minimize")
    assert chosen.estimate.value == pytest.approx(0.5)
    assert chosen.estimate.low < 0.5 < chosen.estimate.high


def test_intervals_hold_the_truth_of_what_was_chosen() -> None:
    """Truth drawn from a smooth function, noise as large as its spread, the incumbent chosen: 95 % should hold."""
    held, errors = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        xs = rng.random(16)
        phase = rng.uniform(0, 6)
        truth = np.sin(5 * xs + phase)
        runs: dict[int, list[float | None]] = {
            n: [float(v) for v in truth[n] + 0.5 * rng.normal(size=1 + n % 3)] for n in range(16)
        }
        chosen = choose(ledger_of(runs, [float(x) for x in xs]), "maximize")
        true = float(truth[chosen.configuration])
        held.append(chosen.estimate.low <= true <= chosen.estimate.high)
        errors.append(chosen.estimate.value - true)
    assert np.mean(held) >= 0.85
    assert abs(np.mean(errors)) < 0.2  # the best observed value is 0.5 too high


def test_little_evidence_of_the_noise_widens_the_tails() -> None:
    """Student's t: from 50 to 95 % an interval grows by 2.9 where the noise is known, by more where repeats are few."""
    rng = np.random.default_rng(0)

    def growth(repeats: int) -> float:
        ledger = ledger_of(
            {i: [i / 4 + rng.normal() * 0.1 for _ in range(repeats)] for i in range(3)} | {3: [0.9]}
        )
        wide, narrow = (choose(ledger, "maximize", level=level).estimate for level in (0.95, 0.5))
        return (wide.high - wide.low) / (narrow.high - narrow.low)

    assert growth(40) == pytest.approx(2.906, rel=0.05)
    assert growth(2) > 4


def test_parameters_of_any_kind_and_absent_ones() -> None:
    ledger = Ledger()
    for number, params in enumerate([{"k": "a", "p": 0.1}, {"k": "b"}, {"k": "a", "p": 0.9}, {"k": "b"}]):
        ledger.propose(number, params)
        ledger.add(RunRecord(Atom(number, 0), "complete", float(number), started=float(number)))
    assert choose(ledger, "minimize").config == {"k": "a", "p": 0.1}
