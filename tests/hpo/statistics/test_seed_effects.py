"""What seeds do to all configurations alike makes an interval wider, and only where they do."""

from __future__ import annotations

import numpy as np
import pytest

from hpo.incumbent import choose
from hpo.ledger import Atom, Ledger, RunRecord
from hpo.statistics.seed_effects import seed_variance

# A race: 36 configurations on the first seed, six of them on more.
RUNS = [(i, s) for i in range(36) for s in range((5, 4, 4, 3, 2, 2, *[1] * 30)[i])]
ROWS, SEEDS = (np.array(part, dtype=np.intp) for part in zip(*RUNS, strict=True))
WEIGHTS = np.full(len(ROWS), 1 / len(ROWS))


@pytest.mark.parametrize("spread", [0.0, 1.5, 4.0])
def test_it_claims_what_the_seeds_did(spread: float) -> None:
    rng = np.random.default_rng(0)
    found, claimed = [], []
    for _ in range(200):
        effects = spread * rng.normal(size=5)
        values = 3 * rng.normal(size=36)[ROWS] + effects[SEEDS] + rng.normal(size=len(ROWS))
        found.append((WEIGHTS @ effects[SEEDS]) ** 2)
        claimed.append(seed_variance(ROWS, SEEDS, values, WEIGHTS))
    if spread:
        assert 0.6 < np.mean(claimed) / np.mean(found) < 1.6
    else:
        assert np.mean(claimed) < 0.05  # of noise of variance 1


def test_it_has_the_unit_of_the_values() -> None:
    values = np.random.default_rng(1).normal(size=len(ROWS)) + SEEDS
    scaled = seed_variance(ROWS, SEEDS, 5 - 10 * values, WEIGHTS)
    assert scaled == pytest.approx(100 * seed_variance(ROWS, SEEDS, values, WEIGHTS))


@pytest.mark.parametrize(
    ("rows", "seeds", "values"),
    [
        ([0, 1, 2, 3], [0, 0, 0, 0], [1.0, 2.0, 3.0, 4.0]),
        ([0, 0, 1], [0, 1, 0], [1.0, 2.0, 3.0]),
        ([0, 0, 0, 1, 1, 1, 2], [0, 1, 2, 0, 1, 2, 0], [1.0] * 7),
    ],
    ids=["one seed", "hardly any repeat", "all alike"],
)
def test_where_nothing_can_be_told_nothing_is_claimed(
    rows: list[int], seeds: list[int], values: list[float]
) -> None:
    assert seed_variance(np.array(rows), np.array(seeds), np.array(values), np.ones(len(rows))) == 0


@pytest.mark.parametrize("easy", [0.0, 1.0])
def test_the_incumbent_knows_that_others_may_not_have_its_easy_seed(easy: float) -> None:
    """All runs but a few met the first seed, which gives everybody so much more than the others do."""
    rng = np.random.default_rng(2)
    ledger = Ledger()
    for number, x in enumerate(np.linspace(0, 1, 20)):
        ledger.propose(number, {"x": float(x)})
        for seed in range(4 if 8 <= number <= 12 else 1):
            value = float(-((x - 0.5) ** 2) + (easy if seed == 0 else 0.0) + 0.02 * rng.normal())
            ledger.add(RunRecord(Atom(number, seed), "complete", value, started=float(len(ledger))))
    estimate = choose(ledger, "maximize").estimate
    assert (estimate.low < 0.0 < estimate.high) if easy else estimate.high - estimate.low < 0.2
