"""Pages of studies that went wrong, have scales, or only ran what they were given."""

import pytest

import hpo
from hpo.report import study_page
from hpo.statistics import compare, method_of
from hpo.storage import open_storage


def train(config, *, seed, trial):
    if config["x"] > config.get("limit", 2.0):
        raise hpo.Diverged("too far")
    return {"loss": (config["x"] - 0.3) ** 2 + 0.01 * seed / 100}


def run(**more):
    return hpo.run(
        {
            "name": "edge",
            "objective": train,
            "metric": "loss",
            "space": {"x": {"type": "float", "low": 0.0, "high": 1.0}},
            "seeds": {"tuning": [0, 1], "testing": [100, 101, 102, 103, 104]},
            "sampler": {"name": "random", "seed": 0},
            "budget": {"trials": 6},
            "engine": "inline",
            **more,
        },
        storage="memory://",
        progress=False,
        test="fixed" not in more,
    )


def test_a_study_without_a_single_value_says_so():
    html = study_page(run(fixed={"limit": -1.0})).html()
    assert "no configuration has completed" in html
    assert "6 diverged" in html


def test_each_scale_has_its_own_part_and_is_paired_with_itself():
    study = run(scales=[{"limit": 1.5}, {"limit": 2.5}], baseline={"x": 0.9})
    html = study_page(study).html()
    assert html.count("Tuning: limit=") >= 2
    incumbent, baseline = method_of(study), method_of(study, "baseline")
    assert sorted(incumbent.runs) == sorted(baseline.runs) == ["limit=1.5", "limit=2.5"]
    (effect,) = compare([incumbent, baseline], direction="minimize").effects
    assert effect.paired
    assert effect.verdict.startswith(f"{incumbent.name} is better")


def test_given_runs_have_a_page_too():
    storage = open_storage("memory://")
    hpo.evaluate(
        train, [{"x": 0.1}, {"x": 0.9, "limit": 0.5}], range(5), name="given", roles=["near", "broken"],
        storage=storage, engine="inline", progress=False,
    )  # fmt: skip
    html = study_page(hpo.Study(storage, "given")).html()
    assert "near" in html
    assert "too far" in html
    assert "chose none" in html


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_marks_of_failed_runs_stand_where_worse_is(direction):
    from hpo.report.figures import history

    figure = history([(0, 1.0, "complete"), (1, 3.0, "complete"), (2, None, "failed")], [], "m", direction)
    (mark,) = next(trace.y for trace in figure.data if "failed" in trace.name)
    assert mark > 3.0 if direction == "minimize" else mark < 1.0
