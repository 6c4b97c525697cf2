"""Whole studies in this process: tuning, testing, sealed seeds, failures, resume, changed definitions."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import optuna
import pytest

import hpo
from hpo.storage import open_storage
from scaling.errors import InputError
from tests.hpo.study_kit import STUDY, Objective, run, table


def test_tune_then_test(objective: Objective, storage: str) -> None:
    study = run(objective, storage)
    runs = study.runs
    assert list(runs["seed"]) == [0, 1, 2] * 4 + [100, 100, 101, 101]
    assert list(runs["phase"]) == ["tuning"] * 12 + ["testing"] * 4
    assert list(runs["role"][-4:]) == ["incumbent", "baseline"] * 2
    incumbent = study.incumbent
    assert incumbent.config in [config for config, _ in objective.calls[:12]]
    assert incumbent.estimate.low < incumbent.estimate.value < incumbent.estimate.high
    tested = runs[(runs["phase"] == "testing") & (runs["role"] == "incumbent")]
    assert set(tested["x"]) == {incumbent.config["x"]}
    assert set(runs[runs["role"] == "baseline"]["x"]) == {0.9}
    assert {"params", "tokens"} & set(runs.columns) == {"tokens"} and (runs["status"] == "complete").all()


def test_the_same_study_twice_is_the_same(storage: str, tmp_path: Path) -> None:
    one = run(Objective(), storage)
    two = run(Objective(), f"sqlite:///{tmp_path / 'other.db'}")
    columns = ("configuration", "seed", "x", "n", "loss")
    assert table(one, *columns) == table(two, *columns)


def test_a_mistyped_configuration_opens_no_testing_seeds(objective: Objective, storage: str) -> None:
    study = run(objective, storage, test=False)
    with pytest.raises(InputError, match="'m' is neither in the space nor fixed") as caught:
        study.test({"mine": {"x": 0.3, "m": 2}}, objective=objective, progress=False)
    assert caught.value.source == "toy" and "n, x" in str(caught.value.remedy)
    assert study.openings == []


def test_what_only_the_baseline_knows_is_no_mistake(objective: Objective, storage: str) -> None:
    space = {"x": STUDY["space"]["x"], "m": {"type": "float", "low": 0.0, "high": 1.0}}
    tuned = {"tune": {"space": space, "fixed": {"width": 3}}}
    study = run(objective, storage, test=False, baseline=tuned)
    study = study.test({"mine": {"x": 0.3, "m": 0.5, "width": 4}}, objective=objective, progress=False)
    assert len(study.openings) == 1


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["random", "sobol", "tpe", "cmaes", "bayesian"])
def test_every_sampler_resumes_as_if_never_interrupted(storage: str, tmp_path: Path, sampler: str) -> None:
    changes = {
        "sampler": {"name": sampler, "seed": 3},
        "budget": {"trials": 7},
        "seeds": {"tuning": [0]},
        "baseline": None,
    }
    whole = run(Objective(), storage, **changes)
    cut = Objective()
    for after in (2, 3, 6):
        cut.after = after
        with pytest.raises(KeyboardInterrupt):
            run(cut, f"sqlite:///{tmp_path / 'cut.db'}", **changes)
    cut.after = math.inf
    resumed = run(cut, f"sqlite:///{tmp_path / 'cut.db'}", **changes)
    columns = ("configuration", "seed", "x", "n", "loss")
    assert table(resumed, *columns) == table(whole, *columns)
    assert len(cut.calls) == 7, "a finished run was repeated"


@pytest.mark.slow
def test_interrupted_at_every_run_it_repeats_none(storage: str) -> None:
    objective = Objective()
    for after in range(16):
        objective.after = after
        with pytest.raises(KeyboardInterrupt):
            run(objective, storage)
    objective.after = math.inf
    study = run(objective, storage)
    assert len(objective.calls) == 16 == len(study.runs)
    assert len(study.openings) == 1, "going on with an interrupted test is no second look"
    run(objective, storage)
    assert len(objective.calls) == 16 and len(study.provenance) == 18


def test_a_larger_budget_goes_on(objective: Objective, storage: str) -> None:
    run(objective, storage, test=False)
    study = run(objective, storage, test=False, budget={"trials": 6})
    assert len(objective.calls) == 18 and len(set(study.runs["x"])) == 6


class Spy(optuna.samplers.RandomSampler):
    """A sampler that looks at everything it can reach through what it is handed."""

    seen: str = ""

    def sample_independent(self, study: Any, trial: Any, name: str, distribution: Any) -> Any:
        Spy.seen += repr(study.user_attrs) + study.study_name
        Spy.seen += "".join(repr((t.params, t.user_attrs, t.system_attrs)) for t in study.get_trials())
        return super().sample_independent(study, trial, name, distribution)


def test_no_testing_seed_ever_reaches_a_sampler(storage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpo.samplers.make_sampler", lambda name, seed, **_: Spy(seed=seed))
    monkeypatch.setattr(Spy, "seen", "")
    seeds = {"tuning": [0, 1], "testing": [424242, 434343]}
    run(Objective(), storage, seeds=seeds)
    run(Objective(), storage, seeds=seeds, budget={"trials": 8})  # testing runs are in the storage by now
    assert len(Spy.seen) > 1000 and "run:1" in Spy.seen
    assert "424242" not in Spy.seen and "434343" not in Spy.seen


def test_no_testing_run_ever_reaches_a_scheduler(storage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    class Rule:
        def on_trial_add(self, controller: Any, trial: Any) -> None:
            seen.append(trial.trial_id)

        def on_trial_result(self, *_: Any) -> str:
            return "CONTINUE"

        on_trial_complete = on_trial_remove = on_trial_result

    monkeypatch.setattr("hpo.schedulers.make_scheduler", lambda *_: Rule())
    study = run(Objective(), storage, scheduler={"name": "median"})
    assert len(seen) == 4, "the first run of each configuration is judged, its further seeds are not"
    assert len(study.runs) == 16
    assert not any("testing" in name for name in seen)


def test_testing_seeds_stay_sealed_until_asked_for(objective: Objective, storage: str) -> None:
    study = run(objective, storage, test=False)
    assert {seed for _, seed in objective.calls} == {0, 1, 2} and study.openings == []
    tested = study.test(objective=objective, progress=False)
    assert {seed for _, seed in objective.calls} == {0, 1, 2, 100, 101}
    (opening,) = tested.openings
    assert (
        opening["who"]
        and opening["when"]
        and [entry["role"] for entry in opening["what"]] == ["incumbent", "baseline"]
    )
    calls = len(objective.calls)
    again = tested.test(objective=objective, progress=False)
    assert len(objective.calls) == calls and len(again.openings) == 2, "a second look is on the record as one"
    third = again.test({"mine": {"x": 0.3, "n": 2}}, objective=objective, progress=False)
    assert len(objective.calls) == calls + 2 and len(third.openings) == 3
    run(objective, storage)
    assert len(hpo.load_study("toy", storage).openings) == 3


def test_failures_are_states_and_the_study_goes_on(storage: str) -> None:
    def fragile(config: dict[str, Any], *, seed: int, trial: hpo.Trial) -> dict[str, float]:
        if config["x"] < 0.5 and seed == 1:
            raise RuntimeError("out of luck")
        if config["n"] > 40:
            return {"loss": float("nan")}
        if config["n"] > 30:
            raise hpo.Diverged("gone")
        return {"loss": config["x"]}  # the fragile ones would look best

    study = run(fragile, storage, budget={"trials": 16}, sampler={"name": "random", "seed": 5})
    runs = study.runs
    assert {"complete", "failed", "diverged"} == set(runs["status"])
    assert runs["loss"].isna().equals(runs["status"] != "complete"), "a failed run has no number"
    failed = runs[runs["status"] == "failed"]
    assert set(failed["error"]) == {"RuntimeError: out of luck"}
    broken = set(runs[(runs["status"] != "complete") & (runs["phase"] == "tuning")]["configuration"])
    assert study.incumbent.configuration not in broken and study.incumbent.config["x"] >= 0.5
    record = next(run for run in study.records() if run.status == "failed")
    assert "Traceback" in str(record.error) and "fragile" in str(record.error)
    states = {trial.number: trial.state.name for trial in study.scales[0].tuning.trials()}
    assert {number for number, state in states.items() if state == "FAIL"} == broken


def test_a_metric_that_is_never_returned_stops_before_anything_is_recorded(storage: str) -> None:
    with pytest.raises(InputError, match="returned 'accuracy', but no 'loss'") as caught:
        run(lambda config, *, seed, trial: {"accuracy": 1.0}, storage)
    assert caught.value.key == "metric"
    assert len(hpo.load_study("toy", storage).runs) == 0
    objective = Objective()
    changed = {
        "direction": "maximize",
        "space": {"x": {"type": "float", "low": 0.0, "high": 3.0}},
        "baseline": None,
    }
    study = run(objective, storage, **changed)
    assert len(objective.calls) == 14 and study.direction == "maximize", (
        "a first attempt without runs is put aside"
    )


def test_names_that_belong_to_something_else_are_refused(objective: Objective, storage: str) -> None:
    plain = optuna.create_study(storage=open_storage(storage), study_name="toy")
    plain.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    with pytest.raises(InputError, match="not made here"):
        run(objective, storage)
    hpo.evaluate(objective, [{"x": 1.0}], [0], name="given", storage=storage, engine="inline", progress=False)
    with pytest.raises(InputError, match="given configurations"):
        run(objective, storage, name="given")
    assert len(plain.trials) == 1 and len(hpo.load_study("given", storage).runs) == 1


def test_a_definition_says_the_budget_as_it_is_now(objective: Objective, storage: str) -> None:
    run(objective, storage, test=False)
    assert run(objective, storage, budget={"trials": 5}).definition["budget"] == {"trials": 5}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"space": {"x": {"type": "float", "low": 0.0, "high": 2.0}}},
            r"space\.x\.high was 1\.0 and is 2\.0",
        ),
        ({"space": {**STUDY["space"], "m": {"type": "int", "low": 1, "high": 2}}}, "space.m is new"),
        ({"metric": "tokens"}, "metric was 'loss' and is 'tokens'"),
        ({"direction": "maximize"}, "direction was 'minimize' and is 'maximize'"),
        ({"seeds": {"tuning": [0, 1], "testing": [100, 101]}}, "seeds.tuning was"),
        ({"seeds": {"tuning": [0, 1, 2], "testing": [100, 102]}}, "seeds.testing was"),
        ({"fixed": {"width": 3}}, "fixed.width is new"),
    ],
)
def test_a_changed_definition_is_refused_and_nothing_is_lost(
    storage: str, change: dict[str, Any], says: str
) -> None:
    study = run(Objective(), storage, test=False)
    before = study.runs, study.provenance
    with pytest.raises(InputError, match=says) as caught:
        run(Objective(), storage, **{"baseline": None, **change})
    assert "another name" in str(caught.value.remedy)
    after = hpo.load_study("toy", storage)
    assert after.runs.equals(before[0]) and after.provenance == before[1]


def test_scales_are_studies_of_their_own(objective: Objective, storage: str) -> None:
    scales = [{"params": 10, "tokens": 100}, {"params": 20, "tokens": 400}]
    study = run(objective, storage, scales=scales, budget={"trials": 2})
    assert [scale.label for scale in study.scales] == ["params=10,tokens=100", "params=20,tokens=400"]
    assert set(study.incumbents) == {scale.label for scale in study.scales}
    assert {config["params"] for config, _ in objective.calls} == {10, 20}
    small, large = ({c["x"] for c, s in objective.calls if c["params"] == p and s == 0} for p in (10, 20))
    assert not small & large, "each scale has draws of its own"
    assert set(study.runs["tokens"]) == {10.0}, "what was trained wins over what was asked for"
    assert len(study.runs) == 2 * (2 * 3 + 2 * 2) and len(study.openings) == 2


def test_a_tuned_baseline_gets_the_same_budget_and_seeds(objective: Objective, storage: str) -> None:
    study = run(objective, storage, baseline="tune", fixed={"kind": "new"})
    assert len(study.records("baseline")) == len(study.records("tuning")) == 12
    baseline = study.runs[study.runs["phase"] == "baseline"]
    assert set(baseline["seed"]) == {0, 1, 2}
    tested = study.runs[study.runs["role"] == "baseline"]
    assert len(tested) == 2 and set(tested["x"]) <= set(baseline["x"])


def test_early_stopping_in_this_process(storage: str) -> None:
    def curve(config: dict[str, Any], *, seed: int, trial: hpo.Trial) -> dict[str, float]:
        for step in range(1, 10):
            trial.report(step, loss=config["x"] + 1 / step)
        return {"loss": config["x"]}

    rule = {"name": "asha", "max_t": 9, "grace_period": 1, "reduction_factor": 3}
    study = run(curve, storage, scheduler=rule, budget={"trials": 9}, seeds={"tuning": [0]}, baseline=None)
    assert set(study.runs["status"]) == {"complete", "pruned"}
    best = study.runs.sort_values("x").iloc[0]
    assert best["status"] == "complete" and study.incumbent.config["x"] == best["x"]


def test_conditional_parameters_reach_the_objective_only_where_they_are(storage: str) -> None:
    space = {
        "optimizer": {"type": "categorical", "choices": ["adam", "sgd"]},
        "beta": {"type": "float", "low": 0.5, "high": 0.9, "when": {"optimizer": "adam"}},
    }
    seen: list[dict[str, Any]] = []

    def train(config: dict[str, Any], *, seed: int, trial: hpo.Trial) -> dict[str, float]:
        seen.append(config)
        return {"loss": config.get("beta", 1.0)}

    for sampler in ("random", "tpe", "bayesian"):
        seen.clear()
        run(
            train,
            storage,
            name=sampler,
            space=space,
            sampler={"name": sampler},
            budget={"trials": 8},
            baseline=None,
        )
        assert all(("beta" in config) == (config["optimizer"] == "adam") for config in seen)


def test_checkpoints_outlive_an_interruption_and_go_with_the_run(storage: str, tmp_path: Path) -> None:
    restored: list[Any] = []

    def train(config: dict[str, Any], *, seed: int, trial: hpo.Trial) -> dict[str, float]:
        restored.append(trial.restore())
        trial.save({"seed": seed})
        if len(restored) == 2:
            raise KeyboardInterrupt
        return {"loss": 1.0}

    with pytest.raises(KeyboardInterrupt):
        run(train, storage, test=False)
    run(train, storage, test=False)
    assert restored[:4] == [None, None, {"seed": 1}, None]
    assert not list((tmp_path / ".foretune-checkpoints").glob("*"))


def test_a_study_that_is_not_there(storage: str) -> None:
    with pytest.raises(InputError, match="no database"):
        hpo.load_study("toy", storage.replace("record", "no"))
    run(Objective(), storage, test=False)
    with pytest.raises(InputError, match="there are: 'toy'"):
        hpo.load_study("tye", storage)


def test_a_study_keeps_what_it_can_be_traced_to(objective: Objective, storage: str) -> None:
    study = run(objective, storage, test=False)
    (session,) = study.provenance
    assert session["packages"]["optuna"] == optuna.__version__ and session["cores"] >= 1 and session["python"]
    assert study.definition["seeds"]["testing"] == [100, 101] and study.definition["objective"].endswith(
        "Objective"
    )
    json.dumps([study.definition, study.provenance])


def test_any_optuna_tool_reads_the_record(objective: Objective, storage: str) -> None:
    study = run(objective, storage)
    plain = optuna.load_study(study_name="toy", storage=open_storage(storage))
    means = study.runs[study.runs["phase"] == "tuning"].groupby("configuration")["loss"].mean()
    assert [trial.value for trial in plain.trials] == pytest.approx(list(means))
    assert plain.best_value == pytest.approx(means.min())
