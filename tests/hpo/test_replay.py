"""Schedules of a population, trained again from the start."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

import hpo
from hpo.execution.base import Job, Task
from hpo.execution.worker import checkpoint_path, perform
from hpo.ledger import Atom, Ledger, RunRecord
from hpo.replay import SCHEDULE, chosen_schedule, describe, extended, finalists, replay
from hpo.trial import Trial
from scaling.errors import ForetuneError, InputError

SPACE = {
    "rate": {"type": "float", "low": 0.1, "high": 1.0},
    "kind": {"type": "categorical", "choices": ["a"]},
}
PARTS = [
    {"step": 0, "values": {"rate": 1.0}},
    {"step": 3, "values": {"rate": 10.0}},
    {"step": 4, "values": {"rate": 100.0}},
]


def climb(config: dict[str, Any], *, seed: int, trial: Trial) -> dict[str, Any]:
    """Six steps as high as its rate says; how it went there is its path."""
    state = trial.restore() or {"step": 0, "height": 0.0, "path": []}
    while state["step"] < 6:
        step, height = state["step"] + 1, state["height"] + config["rate"]
        time.sleep(0.01)
        state = {"step": step, "height": height, "path": [*state["path"], config["rate"]]}
        trial.save(state)
        trial.report(step, height=height)
    assert SCHEDULE not in config
    return {"height": state["height"] + seed / 1000, "path": state["path"], "bias": config.get("bias", 0)}


def forgetful(config: dict[str, Any], *, seed: int, trial: Trial) -> dict[str, float]:
    for step in range(1, 7):
        trial.report(step, height=float(step))
    return {"height": 6.0}


def test_each_step_is_trained_with_the_values_of_its_time() -> None:
    found = replay(climb, {"bias": 2, "rate": 1.0, SCHEDULE: PARTS}, seed=0, trial=Trial())
    assert found["path"] == [1.0, 1.0, 1.0, 10.0, 100.0, 100.0] and found["bias"] == 2
    plain = replay(climb, {"rate": 2.0}, seed=0, trial=Trial())
    assert plain["path"] == [2.0] * 6


def test_an_earlier_attempt_leaves_nothing_behind(tmp_path: Path) -> None:
    task = Task(climb, "height", "maximize", checkpoints=tmp_path)
    job = Job("s", Atom(0, 5), {"rate": 1.0, SCHEDULE: PARTS})
    kept = checkpoint_path(task, job)
    assert kept is not None
    Trial(checkpoint=kept).save({"step": 5, "height": 1e6, "path": ["of a killed attempt"]})
    record = perform(task, job)
    assert record.status == "complete" and record.value == pytest.approx(213.005)
    assert record.metrics["path"] == [1.0, 1.0, 1.0, 10.0, 100.0, 100.0]
    assert not kept.exists()


def test_a_schedule_can_be_given_like_a_configuration() -> None:
    told = hpo.evaluate(
        climb, [{"rate": 1.0, SCHEDULE: PARTS}, {"rate": 2.0}], [0, 1], name="given", metric="height",
        direction="maximize", storage="memory://", engine="inline", progress=False,
    )  # fmt: skip
    assert list(told["height"]) == pytest.approx([213.0, 213.001, 12.0, 12.001])


def test_an_objective_without_checkpoints_fails_and_says_why() -> None:
    record = perform(Task(forgetful, "height"), Job("s", Atom(0, 0), {"rate": 1.0, SCHEDULE: PARTS}))
    assert record.status == "failed" and "saved nothing to go on from" in str(record.error)


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        "cosine",
        [{"step": 1, "values": {}}],
        [*PARTS, PARTS[1]],
        [{"step": 0}],
        [{"step": 0, "values": 3}],
    ],
)
def test_what_is_no_schedule_is_refused(wrong: Any) -> None:
    with pytest.raises(InputError, match="is no schedule"):
        replay(climb, {"rate": 1.0, SCHEDULE: wrong}, seed=0, trial=Trial())


def test_a_schedule_grows_from_the_checkpoint_that_is_gone_on_from() -> None:
    begun = extended((), 0, {"rate": 1.0})
    assert begun == PARTS[:1]
    assert extended(begun, 3, {"rate": 1.0}) == begun, "taken up again with the same values"
    assert extended(extended(begun, 3, {"rate": 10.0}), 4, {"rate": 100.0}) == PARTS
    assert extended(PARTS, 4, {"rate": 5.0}) == [*PARTS[:2], {"step": 4, "values": {"rate": 5.0}}]
    assert describe(PARTS) == "from 3: rate=10; from 4: rate=100"
    assert describe(begun) == "never changed"


def population(values: dict[tuple[int, int], float | None]) -> Ledger:
    ledger = Ledger()
    for (number, seed), value in values.items():
        if number not in ledger.params:
            ledger.propose(number, {"rate": float(number)})
        schedule = [
            {"step": 0, "values": {"rate": float(number)}},
            {"step": 2, "values": {"rate": seed + 0.5}},
        ]
        status: Any = "failed" if value is None else "complete"
        ledger.add(RunRecord(Atom(number, seed), status, value, {SCHEDULE: schedule} if value else {}))
    return ledger


def test_finalists_are_the_best_members_and_each_schedule_once() -> None:
    ledger = population({(0, 0): 5.0, (0, 1): 9.0, (1, 0): None, (1, 1): 7.0})
    best = finalists(ledger, "maximize", {"bias": 3}, 2)
    assert [role for role, _ in best] == ["member 0 of seed 1", "member 1 of seed 1"]
    assert best[0][1] == {
        "bias": 3, "rate": 0.0,
        SCHEDULE: [{"step": 0, "values": {"rate": 0.0}}, {"step": 2, "values": {"rate": 1.5}}],
    }  # fmt: skip
    assert [role for role, _ in finalists(ledger, "minimize", {}, 1)] == ["member 0 of seed 0"]
    with pytest.raises(ForetuneError, match="no member"):
        finalists(population({(0, 0): None}), "minimize", {})


def test_the_chosen_schedule_completed_on_every_seed() -> None:
    ledger = population({(0, 0): 10.0, (0, 1): None, (1, 0): 4.0, (1, 1): 6.0, (2, 0): 1.0, (2, 1): 2.0})
    found = chosen_schedule(ledger, "maximize", {"bias": 1})
    assert found.configuration == 1 and found.runs == 2
    assert found.estimate.value == 5.0
    assert found.estimate.high - 5.0 == pytest.approx(12.7062, rel=1e-4)  # t of one degree, times 1
    with pytest.raises(ForetuneError, match="every tuning seed"):
        chosen_schedule(population({(0, 0): None}), "maximize", {})


def study(tmp_path: Path, **changes: Any) -> dict[str, Any]:
    return {
        "name": "climbers", "objective": climb, "metric": "height", "direction": "maximize", "space": SPACE,
        "seeds": {"tuning": [0, 1], "testing": [100, 101, 102]}, "sampler": {"name": "random", "seed": 1},
        "scheduler": {"name": "pbt", "perturbation_interval": 2, "quantile_fraction": 0.5, "synch": True},
        "budget": {"trials": 2}, "fixed": {"bias": 1}, "baseline": {"rate": 0.5}, **changes,
    }  # fmt: skip


def test_a_populations_size_must_be_known(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="do not say how many"):
        hpo.run(study(tmp_path, budget={"flops": 1e9}), storage=tmp_path / "s.db")
