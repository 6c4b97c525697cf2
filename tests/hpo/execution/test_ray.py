"""The executor on Ray Tune. One Ray for all of these tests: starting it takes seconds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import hpo
from hpo.config.model import SchedulerConfig
from hpo.execution import Executor, Job, Task
from hpo.ledger import Atom
from hpo.replay import SCHEDULE, describe
from hpo.space import Space
from hpo.summary import summary
from scaling.errors import InputError
from tests.hpo.execution.executor_kit import ExecutorContract, Listed, objective
from tests.hpo.test_replay import study as climbers

pytestmark = pytest.mark.slow


class TestRay(ExecutorContract):
    @pytest.fixture(scope="class")
    def executor(self) -> Iterator[Executor]:
        from hpo.execution.ray import RayExecutor

        before = os.environ.get("FORETUNE_CPUS")
        os.environ["FORETUNE_CPUS"] = "2"
        with RayExecutor() as executor:
            yield executor
        if before is None:
            del os.environ["FORETUNE_CPUS"]

    def test_it_makes_as_many_runs_at_a_time_as_there_is_room_for(self, executor: Executor) -> None:
        assert executor.slots(Task(objective, "loss")) == 2
        assert executor.slots(Task(objective, "loss", cpu=0.5)) == 4

    def test_more_than_the_cluster_has_is_refused(self, executor: Executor) -> None:
        with pytest.raises(InputError, match="asks for 64 CPU"):
            self.run(executor, Listed([{"how": "good"}]), cpu=64)
        with pytest.raises(InputError, match="1 GPU"):
            self.run(executor, Listed([{"how": "good"}]), gpu=1)

    def test_unknown_options_of_a_scheduler_are_refused(self, executor: Executor) -> None:
        with pytest.raises(InputError, match="maximum"):
            self.run(executor, Listed([{"how": "good"}]), SchedulerConfig(name="asha", maximum=3))  # type: ignore[call-arg]

    def test_schedulers_that_pause_are_driven_too(self, executor: Executor) -> None:
        rule = SchedulerConfig(name="hyperband", max_t=9, reduction_factor=3)  # type: ignore[call-arg]
        told = self.run(executor, Listed([{"how": "curve", "level": float(i)} for i in range(5)]), rule)
        assert {run.status for run in told.values()} <= {"complete", "pruned"} and len(told) == 5
        assert told[0].status == "complete"

    def test_hyperband_fills_its_brackets_with_fewer_workers_than_places(self, executor: Executor) -> None:
        rule = SchedulerConfig(name="hyperband", max_t=9, reduction_factor=3)  # type: ignore[call-arg]
        configs = [{"how": "curve", "level": float(i)} for i in range(14)]
        source = Listed(configs, limit=14)
        further = Job("listed", Atom(14, 0), configs[0], configs[0], judged=False)  # it takes no place
        source.jobs.append(further)
        source.waiting.insert(3, further)
        told = self.run(executor, source, rule)
        ended = {i: (run.status, run.metrics.get("step")) for i, run in told.items()}
        complete = ("complete", None)
        # Nine are cut to three after step 1 and to one after step 3; five to two after step 3.
        first = [complete, ("pruned", 3), ("pruned", 3), *[("pruned", 1)] * 6]
        second = [complete, complete, *[("pruned", 3)] * 3]
        assert [ended[i] for i in range(14)] == first + second and ended[14] == complete

    @pytest.mark.parametrize("name", ["asha", "median"])
    def test_further_seeds_are_kept_from_stopping_rules(self, executor: Executor, name: str) -> None:
        rule = SchedulerConfig(name=name, grace_period=1)  # type: ignore[call-arg]
        source = Listed([{"how": "curve", "level": float(i)} for i in range(8)], limit=2)
        for place in (1, 2, 4):  # the worst of all, and yet trained to its end
            job = Job("listed", Atom(10 + place, 0), {"how": "curve", "level": 99.0}, {}, judged=False)
            source.jobs.append(job)
            source.waiting.insert(place, job)
        told = self.run(executor, source, rule)
        assert [told[10 + place].status for place in (1, 2, 4)] == ["complete"] * 3
        assert told[0].status == "complete" and told[7].status == "pruned"

    def test_populations_go_on_from_the_checkpoints_of_the_better(self, executor: Executor) -> None:
        space = Space.model_validate({"rate": {"type": "float", "low": 0.1, "high": 1.0}})
        rule = SchedulerConfig(name="pbt", perturbation_interval=2, quantile_fraction=0.5)  # type: ignore[call-arg]
        members = Listed([{"how": "climb", "rate": rate} for rate in (0.1, 0.2, 0.9, 1.0)])
        told = self.run(executor, members, rule, space=space, direction="maximize")
        assert len(told) == 4 and {run.status for run in told.values()} == {"complete"}
        alone = {0: 0.8, 1: 1.6}
        assert all(run.metrics["seen_seed"] == run.atom.seed for run in told.values()), (
            "a seed of another member"
        )
        assert any(told[i].value > alone[i] + 0.5 for i in alone), "no member went on from a better one"
        assert all(0.1 <= run.metrics["final_config"]["rate"] <= 1.0 for run in told.values())

    def test_bandits_stay_within_the_space_too(self, executor: Executor) -> None:
        space = Space.model_validate(
            {
                "rate": {"type": "float", "low": 1e-4, "high": 1.0, "log": True},
                "epochs": {"type": "int", "low": 1, "high": 3},
            }
        )
        rule = SchedulerConfig(name="pb2", perturbation_interval=2, quantile_fraction=0.5)  # type: ignore[call-arg]
        rates = (1e-4, 1e-3, 0.5, 1.0)
        members = Listed(
            [{"how": "climb", "rate": rate, "epochs": 1 + i % 3} for i, rate in enumerate(rates)]
        )
        told = self.run(executor, members, rule, space=space, direction="maximize")
        assert len(told) == 4 and {run.status for run in told.values()} == {"complete"}
        assert any(told[i].value > 8 * rates[i] + 0.1 for i in (0, 1)), "no member went on from a better one"
        for run in told.values():
            final = run.metrics["final_config"]
            assert 1e-4 <= final["rate"] <= 1.0
            assert isinstance(final["epochs"], int) and 1 <= final["epochs"] <= 3

    def test_nobody_waits_for_a_member_that_has_failed(self, executor: Executor) -> None:
        space = Space.model_validate({"rate": {"type": "float", "low": 0.1, "high": 1.0}})
        rule = SchedulerConfig(name="pbt", perturbation_interval=4, synch=True)  # type: ignore[call-arg]
        members = Listed([{"how": "climb", "rate": rate} for rate in (0.1, 0.2, 0.9)])
        members.jobs[2].config["fails_at"] = 3  # type: ignore[index]
        told = self.run(executor, members, rule, space=space, direction="maximize")
        assert {i: run.status for i, run in told.items()} == {0: "complete", 1: "complete", 2: "failed"}
        made = [run.metrics[SCHEDULE] for run in told.values() if run.value is not None]
        assert any(len(schedule) > 1 for schedule in made), "no member went on from a better one"

    def test_a_populations_schedule_is_tested_on_sealed_seeds(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        rule = {
            "name": "pb2",
            "perturbation_interval": 2,
            "quantile_fraction": 0.5,
            "synch": True,
            "finalists": 2,
        }
        found = hpo.run(climbers(tmp_path, scheduler=rule), storage=tmp_path / "s.db", progress=False)
        members = found.records("tuning")
        assert len(members) == 4 and {run.atom.seed for run in members} == {0, 1}
        for run in members:  # what the network went through is what the ledger says
            ends = [*(part["step"] for part in run.metrics[SCHEDULE][1:]), 6]
            steps = zip(run.metrics[SCHEDULE], [0, *ends], ends, strict=False)
            told = [part["values"]["rate"] for part, begin, end in steps for _ in range(end - begin)]
            assert told == pytest.approx(run.metrics["path"])
            assert run.seconds >= 0.05, "seconds of its last part alone"
        assert any(len(run.metrics[SCHEDULE]) > 1 for run in members), "no member went on from a better one"
        replayed = found.records("schedules")
        assert len(replayed) == 4 and {run.atom.seed for run in replayed} == {0, 1}
        chosen = found.incumbent
        mine = [run.metrics["path"] for run in replayed if run.atom.configuration == chosen.configuration]
        assert len(mine) == 2 and mine[0] == mine[1] and set(chosen.config) == {"rate", "kind", SCHEDULE}
        tested = [run for run in found.records("testing") if run.metrics["path"] == mine[0]]
        assert {run.atom.seed for run in tested} == {100, 101, 102}
        assert len(found.runs) == len(members) + len(replayed) + 6
        assert summary(found)["scales"][0]["testing"]["incumbent"][0]["runs"] == 3
        from hpo.report import study_page  # heavy, and workers import this file

        assert describe(chosen.config[SCHEDULE]) in study_page(found).html()

    def test_nothing_is_left_behind(self, executor: Executor) -> None:
        assert not (Path.home() / "ray_results" / "tune").exists()


def test_no_cluster_at_an_address() -> None:
    from hpo.execution.ray import RayExecutor

    with pytest.raises(InputError, match="no Ray cluster"):
        RayExecutor("127.0.0.1:1")
