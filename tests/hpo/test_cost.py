"""Costs: what is measured is summed, what is not is said to be missing."""

import time

import pytest

from hpo import cost
from hpo.execution.base import Job, Task
from hpo.execution.worker import perform
from hpo.ledger import Atom, RunRecord


def run(number, started=0.0, seconds=10.0, status="complete", **known):
    value = 1.0 if status == "complete" else None
    return RunRecord(Atom(number, 0), status, value, {}, seconds, started, None, known)


def test_a_block_is_measured_even_if_it_raises():
    with pytest.raises(RuntimeError), cost.measure(gpus=2) as spent:
        time.sleep(0.02)
        raise RuntimeError
    assert spent["seconds"] >= 0.02
    assert spent["gpu_seconds"] == 2 * spent["seconds"]
    assert spent["cpu_seconds"] < spent["seconds"]


def test_energy_is_left_out_where_no_counter_can_be_read(monkeypatch):
    monkeypatch.setattr(cost, "can_measure_energy", lambda: False)
    assert cost.energy_meter() is None
    with cost.measure(energy=True) as spent:
        pass
    assert "kwh" not in spent


def test_without_a_country_there_is_energy_but_no_carbon(monkeypatch):
    class Tracker:
        final_emissions_data = type("Data", (), {"energy_consumed": 0.5})

        def __init__(self, **options):
            pass

        def start(self):
            pass

        def stop(self):
            return 0.2

    codecarbon = pytest.importorskip("codecarbon")
    monkeypatch.setattr(codecarbon, "OfflineEmissionsTracker", Tracker)
    monkeypatch.setattr(cost, "can_measure_energy", lambda: True)
    monkeypatch.delenv("FORETUNE_COUNTRY", raising=False)
    assert cost.energy_meter()() == {"kwh": 0.5, "energy_scope": "machine"}
    monkeypatch.setenv("FORETUNE_COUNTRY", "DEU")
    assert cost.energy_meter()()["kg_co2"] == 0.2


def test_failed_runs_were_paid_for():
    found = cost.total([run(0), run(1, status="failed", seconds=5.0)])
    assert (found.runs, found.seconds) == (2, 15.0)


def test_a_partly_known_cost_says_of_how_many():
    found = cost.total([run(0, flops=1e9), run(1)])
    assert found.known["flops"] == 1
    assert "known for 1 of 2 runs" in found.describe()["flops"]
    assert found.describe()["kwh"] == "not measured"


def test_machine_energy_of_runs_side_by_side_is_counted_once():
    # Two runs on one machine, the second starts halfway: 10 W-units throughout, 15 seconds in all.
    together = [run(0, 0.0, 10.0, kwh=100.0, host="a"), run(1, 5.0, 10.0, kwh=100.0, host="a")]
    assert cost.total(together).amounts["kwh"] == pytest.approx(150.0)
    apart = [run(0, 0.0, 10.0, kwh=100.0, host="a"), run(1, 5.0, 10.0, kwh=100.0, host="b")]
    assert cost.total(apart).amounts["kwh"] == pytest.approx(200.0)


def test_span_runs_from_first_start_to_last_end():
    assert cost.total([run(0, 100.0, 10.0), run(1, 105.0, 20.0)]).span == 25.0
    assert cost.total([]).span == 0.0


def test_a_run_that_ended_early_has_not_used_the_flops_that_a_whole_one_was_asked_for():
    def train(config, *, seed, trial):
        if config["fails"]:
            raise RuntimeError
        return {"loss": 1.0}

    def flops_of_one(**config):
        job = Job("s", Atom(0, 0), {"params": 10, "tokens": 5, **config}, {})
        return perform(Task(train, "loss"), job).cost.get("flops")

    assert flops_of_one(fails=False) == 300
    assert flops_of_one(fails=True) is None
