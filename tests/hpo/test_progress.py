"""What a person sees: counted by cost, resumed runs free, and nothing of what testing finds."""

from __future__ import annotations

import pytest

from hpo.execution import Job
from hpo.ledger import Atom, Ledger, RunRecord
from hpo.progress import Bar


def record(configuration: int, seed: int, value: float | None) -> RunRecord:
    return RunRecord(Atom(configuration, seed), "failed" if value is None else "complete", value)


def job(section: str, configuration: int, seed: int) -> Job:
    return Job(section, Atom(configuration, seed), {})


@pytest.fixture
def bar(monkeypatch: pytest.MonkeyPatch) -> Bar:
    clock = iter(range(0, 100_000, 10))
    monkeypatch.setattr("hpo.progress.time.monotonic", lambda: float(next(clock)))
    planned: dict[str, int | None] = {"s/small": 4, "s/large": 4}
    return Bar("s", planned, {"s/small": 1.0, "s/large": 9.0}, "loss", "minimize")


def test_the_time_left_is_judged_by_cost(bar: Bar) -> None:
    for number in range(4):
        bar.finished(job("s/small", number, 0), record(number, 0, 1.0))
    assert bar.fraction() == pytest.approx(4 / 40)  # half of the runs, a tenth of the work
    left = bar.left()
    assert left is not None and left > 9 * 10  # at least ten seconds have passed for the first tenth


def test_runs_of_an_earlier_session_count_as_done_but_took_no_time(bar: Bar) -> None:
    ledger = Ledger()
    ledger.extend(record(number, 0, 1.0) for number in range(4))
    bar.resumed("s/small", ledger)
    assert bar.fraction() == pytest.approx(4 / 40) and bar.left() is None


def test_the_best_is_a_mean_over_the_most_seeds(bar: Bar) -> None:
    for configuration, seed, value in ((0, 0, 0.1), (1, 0, 0.4), (1, 1, 0.6), (2, 0, None)):
        bar.finished(job("s/small", configuration, seed), record(configuration, seed, value))
    assert bar.best("s/small") == 0.5, "one lucky seed is not the best so far"
    assert bar.failed == 1


def test_what_testing_finds_is_not_shown(bar: Bar) -> None:
    bar.finished(job("s/small", 0, 0), record(0, 0, 0.25))
    bar.finished(job("s/small::testing", 0, 9), record(0, 9, 0.125))
    assert "0.25" in bar._fields()["best"] and "0.125" not in str(bar._fields())


def test_budgets_without_a_number_of_runs_have_no_time_left(bar: Bar) -> None:
    bar.planned["s/large"] = None
    bar.finished(job("s/small", 0, 0), record(0, 0, 1.0))
    assert bar.fraction() is None and bar.left() is None


def test_where_there_is_no_terminal_it_says_a_line_now_and_then(
    bar: Bar, capsys: pytest.CaptureFixture[str]
) -> None:
    with bar:
        for number in range(4):
            bar.finished(job("s/small", number, 0), record(number, 0, 0.5 + number))
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("s: 4/8 runs, best loss 0.5 (small)") and "left" in lines[-1]
