"""A job as Ray Tune's configuration, and back after a scheduler has changed it."""

from __future__ import annotations

import pytest

from hpo.config.model import SchedulerConfig
from hpo.execution.base import Job, Task
from hpo.execution.trainable import _prolonged, decode, encode, trial_name
from hpo.ledger import Atom, RunRecord
from hpo.schedulers import make_scheduler
from hpo.space import Space
from scaling.errors import InputError

SPACE = Space.model_validate(
    {
        "kind": {"type": "categorical", "choices": ["adam", "sgd"]},
        "rate": {"type": "float", "low": 1e-4, "high": 1.0, "log": True},
        "momentum": {"type": "float", "low": 0.0, "high": 1.0, "when": {"kind": "sgd"}},
    }
)


def task(population: str) -> Task:
    return Task(lambda config, **_: {"loss": 0.0}, "loss", space=SPACE, population=population)


def job() -> Job:
    params = {"kind": "adam", "rate": 0.1}
    return Job("s", Atom(3, 7), {"steps": 9, **params}, params)


@pytest.mark.parametrize("population", ["", "pbt", "pb2"])
def test_a_job_comes_back_as_it_was(population: str) -> None:
    given = job()
    found = decode(trial_name(given), encode(given, task(population)) | {"momentum": 0.5}, task(population))
    assert found.config == pytest.approx(dict(given.config)) and found.sampled == pytest.approx(given.sampled)
    assert (found.section, found.atom, found.judged) == (given.section, given.atom, given.judged)


def test_a_changed_member_has_the_parameters_of_what_it_has_become() -> None:
    held = encode(job(), task("pbt")) | {"kind": "sgd", "rate": 0.5, "momentum": 0.9}
    became = decode("3_7_1.0", held, task("pbt"))
    assert became.config == {"steps": 9, "kind": "sgd", "rate": 0.5, "momentum": 0.9}
    back = decode("3_7_1.0", held | {"kind": "adam"}, task("pbt"))
    assert back.config == {"steps": 9, "kind": "adam", "rate": 0.5}


def test_bandits_without_a_number_to_change_are_refused() -> None:
    words = Space.model_validate({"kind": {"type": "categorical", "choices": ["a", "b"]}})
    with pytest.raises(InputError, match="hyperparam_bounds"):
        make_scheduler(SchedulerConfig(name="pb2"), "loss", "minimize", words)


def test_a_run_taken_up_again_has_cost_all_its_seconds() -> None:
    last = RunRecord(
        Atom(0, 1), "complete", 0.5, seconds=2.0, cost={"gpu_seconds": 4.0, "kwh": 0.1, "flops": 7.0}
    )
    whole = _prolonged(last, 3.0, gpus=2)
    assert whole.seconds == 5.0 and whole.value == 0.5
    assert whole.cost == {"flops": 7.0, "gpu_seconds": 10.0}, "energy is known of the last part alone"
