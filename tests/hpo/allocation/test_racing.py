"""The race: paired seeds, a budget that is kept, leavers that never return, the same moves after a restart."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hpo.allocation import Done, Propose, Repeat, Wait
from hpo.allocation.racing import Racing
from hpo.ledger import Atom, Ledger, RunRecord
from scaling.errors import InputError

SEEDS = [7, 3, 5]


def run(
    allocation: Racing,
    value: Callable[[float, int], float | None],
    budget_seed: int = 0,
    ledger: Ledger | None = None,
) -> Ledger:
    """Drive a study of one parameter in [0, 1], proposals at random, one run at a time."""
    ledger = Ledger() if ledger is None else ledger
    while not isinstance(move := allocation.next(ledger), Done):
        assert isinstance(move, Propose | Repeat)
        if isinstance(move, Propose):
            number = len(ledger.params)
            ledger.propose(number, {"x": float(np.random.default_rng([budget_seed, number]).random())})
        else:
            number = move.configuration
        result = value(ledger.params[number]["x"], move.seed)
        status = "diverged" if result is None else "complete"
        ledger.add(RunRecord(Atom(number, move.seed), status, result, started=float(len(ledger))))
    return ledger


def noisy(x: float, seed: int) -> float:
    rng = np.random.default_rng([int(x * 1e9), seed])
    return (x - 0.4) ** 2 + 0.1 * float(rng.normal())


def test_every_configuration_meets_the_seeds_in_the_same_order() -> None:
    ledger = run(Racing(SEEDS, 40, "minimize"), noisy)
    for number in ledger.configurations():
        seeds = [record.atom.seed for record in ledger.of(number)]
        assert seeds == SEEDS[: len(seeds)]
    assert len(ledger) == 40


def test_new_configurations_keep_entering_and_good_ones_get_more_seeds() -> None:
    ledger = run(Racing(SEEDS, 40, "minimize"), noisy)
    runs = {number: len(ledger.of(number)) for number in ledger.configurations()}
    assert sum(count > 1 for count in runs.values()) >= 4
    assert len(runs) > 15
    repeated = [ledger.params[n]["x"] for n, count in runs.items() if count == 3]
    assert np.mean([abs(x - 0.4) for x in repeated]) < 0.3


def test_a_diverged_configuration_gets_no_further_seed_and_is_settled() -> None:
    allocation = Racing(SEEDS, 30, "minimize")
    ledger = run(allocation, lambda x, seed: None if x > 0.5 else x)
    for number in ledger.configurations():
        if ledger.params[number]["x"] > 0.5:
            assert len(ledger.of(number)) == 1
            assert allocation.settled(ledger, number)


def test_a_restarted_race_makes_the_moves_it_would_have_made() -> None:
    whole = run(Racing(SEEDS, 30, "minimize"), noisy)
    resumed = Ledger()
    for number in range(len(whole.params)):
        if any(record.started < 20 for record in whole.of(number)):
            resumed.propose(number, whole.params[number])
    # As a storage gives them: by configuration.
    resumed.extend(r for number in resumed.configurations() for r in whole.of(number) if r.started < 20)
    run(Racing(SEEDS, 30, "minimize"), noisy, ledger=resumed)
    assert {record.atom for record in resumed} == {record.atom for record in whole}


def test_who_is_clearly_worse_on_the_same_seeds_leaves_for_good() -> None:
    allocation = Racing(SEEDS, 100, "minimize", level=0.01)
    ledger = Ledger()
    started = 0.0
    for number, level in enumerate([0.0, 0.1, 0.05, 5.0]):
        ledger.propose(number, {"x": number / 4})
        for seed in SEEDS[: 3 if number < 3 else 1]:
            # What a seed does to all alike is ten times the difference, and cancels.
            value = level + 10.0 * seed + 0.01 * ((number + seed) % 3)
            ledger.add(RunRecord(Atom(number, seed), "complete", value, started=started))
            started += 1
    race = allocation.race(ledger)
    assert 3 in race.out
    assert allocation.settled(ledger, 3)
    assert 0 not in race.out


def test_waits_for_runs_under_way_at_the_end_of_the_budget() -> None:
    allocation = Racing([0], 2, "minimize")
    ledger = Ledger()
    for number in range(2):
        assert allocation.next(ledger) == Propose(0)
        ledger.propose(number, {"x": 0.1 * number})
        ledger.start(Atom(number, 0))
    assert allocation.next(ledger) == Wait()
    for number in range(2):
        ledger.add(RunRecord(Atom(number, 0), "complete", 1.0))
    assert allocation.next(ledger) == Done()


def test_a_configuration_under_way_is_not_repeated() -> None:
    allocation = Racing(SEEDS, 30, "minimize", startup=3)
    ledger = Ledger()
    for number in range(3):
        ledger.propose(number, {"x": 0.3 * number})
        ledger.add(RunRecord(Atom(number, 7), "complete", float(number), started=float(number)))
    for _ in range(6):
        move = allocation.next(ledger)
        if isinstance(move, Repeat):
            assert all(atom.configuration != move.configuration for atom in ledger.running())
            ledger.start(Atom(move.configuration, move.seed))
        else:
            number = len(ledger.params)
            ledger.propose(number, {"x": 0.05 * number})
            ledger.start(Atom(number, 7))


@pytest.mark.parametrize(
    ("seeds", "runs", "direction", "level"),
    [([], 10, "minimize", 0.01), ([1], 0, "minimize", 0.01), ([1], 5, "up", 0.01), ([1], 5, "minimize", 0.7)],
)
def test_wrong_settings_are_named(seeds: list[int], runs: int, direction: str, level: float) -> None:
    with pytest.raises(InputError):
        Racing(seeds, runs, direction, level=level)
