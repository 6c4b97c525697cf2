"""All seeds for each configuration: in order, within the budget, however runs end and wherever it is resumed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo.allocation.base import Done, Propose, Repeat, Wait
from hpo.allocation.fixed import Fixed
from hpo.budget import Budget
from hpo.ledger import Atom, Ledger, RunRecord, Status
from scaling.errors import InputError

SEEDS = (7, 3, 5)
statuses = st.sampled_from(["complete", "complete", "complete", "failed", "diverged", "pruned"])


def record(atom: Atom, status: Status = "complete", **metrics: Any) -> RunRecord:
    value = 1.0 if status in ("complete", "pruned") else None
    return RunRecord(atom, status, value, metrics, seconds=1800.0)


def play(allocation: Fixed, ledger: Ledger, ends: Any, workers: int, **metrics: Any) -> list[Atom]:
    """Run to the end with so many workers at a time; the runs in the order they were started."""
    started: list[Atom] = []
    running: list[Atom] = []
    while True:
        move = allocation.next(ledger) if len(running) < workers else Wait()
        if isinstance(move, Done):
            assert not running
            return started
        if isinstance(move, Wait):
            atom = running.pop(0)
            ledger.add(record(atom, ends(atom), **metrics))
            continue
        if isinstance(move, Propose):
            number = len(ledger.params)
            ledger.propose(number, {"x": number})
            atom = Atom(number, move.seed)
        else:
            atom = Atom(move.configuration, move.seed)
        assert atom not in ledger and atom not in started, "a run was made twice"
        ledger.start(atom)
        started.append(atom)
        running.append(atom)


@given(st.integers(1, 6), st.integers(1, 5), st.data())
@settings(max_examples=60, deadline=None)
def test_paired_seeds_in_order_and_no_more_than_the_budget(
    trials: int, workers: int, data: st.DataObject
) -> None:
    ledger = Ledger()
    ends: dict[Atom, Status] = {}

    def end(atom: Atom) -> Status:
        return ends.setdefault(atom, data.draw(statuses))

    allocation = Fixed(SEEDS, Budget(trials=trials))
    started = play(allocation, ledger, end, workers)
    assert len(ledger.params) == trials
    for number in range(trials):
        seeds = [atom.seed for atom in started if atom.configuration == number]
        assert seeds == list(SEEDS[: len(seeds)])
        assert allocation.settled(ledger, number)
        whole = all(run.status == "complete" for run in ledger.of(number))
        assert len(seeds) == len(SEEDS) or not whole


@given(st.integers(1, 30), st.integers(1, 5))
def test_a_budget_of_runs_is_never_exceeded_nor_left_unused(runs: int, workers: int) -> None:
    started = play(Fixed(SEEDS, Budget(runs=runs)), Ledger(), lambda _: "complete", workers)
    assert len(started) == runs // len(SEEDS) * len(SEEDS)


def test_budgets_in_hours_and_flops_stop_once_spent() -> None:
    def complete(_: Atom) -> Status:
        return "complete"

    assert len(play(Fixed((1,), Budget(hours=2)), Ledger(), complete, 1)) == 4  # half an hour each
    assert len(play(Fixed((1,), Budget(flops=50)), Ledger(), complete, 1, flops=20.0)) == 3
    assert len(play(Fixed((1,), Budget(flops=50)), Ledger(), complete, 1, params=1, tokens=5)) == 2  # 6ND


def test_runs_that_ended_before_they_could_say_their_flops_count_by_their_seconds() -> None:
    ledger = Ledger()
    ledger.add(record(Atom(0, 1), flops=20.0))
    for number, status in enumerate(("pruned", "failed"), start=1):
        ledger.add(record(Atom(number, 1), status))  # as long as the first
    assert Budget(flops=70).spent(ledger) == 60
    assert Budget(flops=70).room(ledger, 0, 1) and not Budget(flops=60).room(ledger, 0, 1)


def test_a_budget_of_flops_ends_where_nothing_says_any() -> None:
    allocation = Fixed((1,), Budget(flops=50))
    with pytest.raises(InputError, match=r"budget\.flops: a run has completed without saying"):
        allocation.check(Ledger(), record(Atom(0, 1)))
    ledger = Ledger()
    ledger.add(record(Atom(0, 1), flops=20.0))
    allocation.check(ledger, record(Atom(1, 1)))  # the others say what such a run costs
    assert len(play(allocation, Ledger(), lambda _: "failed", 1)) == 20


@given(st.integers(0, 17), st.integers(1, 3))
def test_resumed_anywhere_it_makes_the_runs_it_would_have_made(cut: int, workers: int) -> None:
    whole = play(Fixed(SEEDS, Budget(trials=6)), Ledger(), lambda _: "complete", 1)
    ledger = Ledger()
    for atom in whole[:cut]:
        if atom.configuration not in ledger.params:
            ledger.propose(atom.configuration, {"x": atom.configuration})
        ledger.add(record(atom))
    rest = play(Fixed(SEEDS, Budget(trials=6)), ledger, lambda _: "complete", workers)
    assert sorted(whole[:cut] + rest) == sorted(whole)


def test_a_failure_ends_a_configuration_while_its_other_runs_are_waited_for() -> None:
    ledger = Ledger()
    allocation = Fixed(SEEDS, Budget(trials=1))
    ledger.propose(0, {})
    for seed in SEEDS[:2]:
        ledger.start(Atom(0, seed))
    ledger.add(record(Atom(0, 7), "failed"))
    assert not allocation.settled(ledger, 0) and isinstance(allocation.next(ledger), Wait)
    ledger.add(record(Atom(0, 3)))
    assert allocation.settled(ledger, 0) and isinstance(allocation.next(ledger), Done)


def test_seeds_still_owed_come_before_new_configurations() -> None:
    ledger = Ledger()
    ledger.propose(0, {})
    ledger.add(record(Atom(0, 7)))
    assert Fixed(SEEDS, Budget(trials=9)).next(ledger) == Repeat(0, 3)


@given(st.integers(1, 30), st.integers(1, 5), st.data())
@settings(max_examples=40, deadline=None)
def test_further_seeds_wait_until_early_stopping_has_judged_the_first(
    runs: int, workers: int, data: st.DataObject
) -> None:
    ends: dict[Atom, Status] = {}

    def end(atom: Atom) -> Status:
        return ends.setdefault(atom, data.draw(statuses) if atom.seed == SEEDS[0] else "complete")

    started = play(Fixed(SEEDS, Budget(runs=runs), judged=True), Ledger(), end, workers)
    assert len(started) <= runs and runs - len(started) < len(SEEDS)
    for atom in started:
        assert atom.seed == SEEDS[0] or ends[Atom(atom.configuration, SEEDS[0])] == "complete"


def test_what_is_owed_counts_against_a_budget_of_flops_too() -> None:
    ledger = Ledger()
    for number in range(2):
        ledger.propose(number, {})
    ledger.add(record(Atom(0, 7), flops=20.0))
    ledger.start(Atom(1, 7))  # 20 as well, most likely, and two more runs of it
    assert Budget(flops=81).room(ledger, 2, 3) and not Budget(flops=80).room(ledger, 2, 3)
