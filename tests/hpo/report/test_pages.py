"""Reports and comparisons of real (small) studies: what they say, what they refuse, and that every plot is drawn."""

import json

import numpy as np
import pytest

import hpo
from hpo.report import comparison_page, study_page
from hpo.report.checklist import checklist
from hpo.report.words import ranges
from hpo.statistics import compare, cost_points, method_of, roles_of
from scaling.errors import InputError


def train(config, *, seed, trial):
    rng = np.random.default_rng([seed, int(config["lr"] * 1e7)])
    if config["lr"] > 2e-2 and seed == 1:
        raise hpo.Diverged("loss is NaN")
    x, y = np.log10(config["lr"]) + 2.5, np.log2(config["batch_size"] / 256)
    return {"loss": 2 + 0.3 * x * x + 0.02 * y * y + rng.normal(0, 0.05), "cost": float(config["batch_size"])}


def definition(name, **more):
    return {
        "name": name,
        "objective": train,
        "metric": "loss",
        "space": {
            "lr": {"type": "float", "low": 1e-4, "high": 5e-2, "log": True},
            "batch_size": {"type": "int", "low": 16, "high": 4096, "log": True},
        },
        "seeds": {"tuning": [0, 1, 2], "testing": list(range(100, 108))},
        "sampler": {"name": "random", "seed": 0},
        "budget": {"trials": 10},
        "engine": "inline",
        "baseline": {"lr": 3e-4, "batch_size": 512},
        **more,
    }


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    where = f"sqlite:///{tmp_path_factory.mktemp('studies')}/record.db"
    hpo.run(definition("one"), storage=where, progress=False)
    hpo.run(
        definition("two", sampler={"name": "sobol", "seed": 1}, baseline="tune"),
        storage=where,
        progress=False,
    )
    hpo.run(definition("sealed", baseline=None), storage=where, progress=False, test=False)
    curve = [{"lr": 3e-4, "batch_size": size} for size in (32, 128, 512)]
    hpo.evaluate(train, curve, range(100, 108), name="curve", storage=where, engine="inline", progress=False)
    return where


def test_the_page_says_what_is_better_by_how_much_and_how_sure(storage):
    html = study_page(hpo.load_study("one", storage)).html()
    assert "incumbent is better than baseline by" in html
    assert "interval" in html
    assert "NOT TUNED: baseline" in html


def test_the_page_of_a_sealed_study_claims_nothing_about_testing(storage):
    html = study_page(hpo.load_study("sealed", storage)).html()
    assert "still sealed" in html
    assert "is better than" not in html


def test_failures_are_listed_with_their_reason(storage):
    study = hpo.load_study("one", storage)
    assert any(run.status == "diverged" for run in study.records())
    assert "loss is NaN" in study_page(study).html()


def test_the_checklist_fills_itself_in(storage):
    told = dict(checklist(hpo.load_study("two", storage)))
    assert "lr: 0.0001 to 0.05, float, log" in told["search space"]
    assert told["tuning seeds"].startswith("0–2")
    assert told["testing seeds"] == "100–107"
    assert "sobol" in told["tuner"]
    assert "trials=10" in told["tuning budget"]
    assert "tuned with the same budget" in told["baseline"]
    assert "incumbent, baseline" in told["openings of the testing seeds"]
    assert "numpy" in told["versions"]
    assert told["failed runs"].startswith("tuning: ")
    assert "not on the record" not in told["hardware"]


def test_a_second_look_at_the_testing_seeds_is_said_loudly(storage):
    study = hpo.run(definition("looked"), storage=storage, progress=False)
    study.test({"mine": {"lr": 1e-3, "batch_size": 256}}, objective=train, progress=False)
    study = hpo.load_study("looked", storage)
    assert roles_of(study) == ["incumbent", "baseline", "mine"]
    assert "THE TESTING SEEDS WERE OPENED 2 TIMES" in study_page(study).html()


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("what", ["study", "comparison"])
def test_every_plot_is_drawn_and_nothing_is_fetched(storage, tmp_path, what):
    from tests.browser import inspect_page

    studies = [hpo.load_study(name, storage) for name in ("one", "two")]
    methods = [method_of(study) for study in studies]
    page = (
        study_page(studies[0])
        if what == "study"
        else comparison_page(compare(methods, direction="minimize", metric="loss"), methods)
    )
    inspect_page(page.write(tmp_path / "page.html")).assert_sound(at_least=4)


def test_compare_answers_in_json_and_writes_a_page(storage, tmp_path, capsys):
    from hpo.cli.compare import compare as run

    run(["one", "two"], storage=storage, report=tmp_path / "c.html", as_json=True, level=0.9, cost="seconds")
    told = json.loads(capsys.readouterr().out)
    assert [summary["name"] for summary in told["summaries"]] == ["one", "two"]
    assert told["level"] == 0.9
    (effect,) = told["effects"]
    assert effect["paired"]
    assert (tmp_path / "c.html").read_text().count("interquartile") > 1


def test_one_study_alone_is_compared_with_its_baseline(storage, capsys):
    from hpo.cli.compare import compare as run

    run(["one"], storage=storage, level=0.95, cost="seconds")
    said = capsys.readouterr().out
    assert "one is better than one:baseline" in said
    assert "NOT TUNED" in said


def test_a_tuned_baseline_with_the_same_budget_needs_no_note(storage):
    study = hpo.load_study("two", storage)
    found = compare([method_of(study), method_of(study, "baseline")], direction="minimize")
    assert not [note for note in found.notes if note.isupper() or note.startswith(("NOT", "UNEQUAL"))]


def test_quality_against_cost_says_how_many_times_cheaper(storage, capsys):
    from hpo.cli.compare import compare as run

    run(["one"], storage=storage, level=0.95, curve="curve", cost="batch_size")
    said = capsys.readouterr().out
    assert "at equal cost" in said or "not identified" in said
    run(["one"], storage=storage, level=0.95, curve="curve", cost="batch_size", as_json=True)
    told = json.loads(capsys.readouterr().out)["costs"]
    assert {"name", "cost", "better", "cheaper", "statement"} <= set(told[0])
    points = cost_points(hpo.load_study("curve", storage), "batch_size")
    assert [point.cost for point in points] == [32, 128, 512]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["sealed", "one"], "hpo test sealed"),
        (["one:nobody", "two"], "tested are incumbent, baseline"),
        (["one", "one"], "twice"),
        (["one", "nowhere"], "no study"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_a_way_out(storage, names, words):
    from hpo.cli.compare import compare as run

    with pytest.raises(InputError, match=words):
        run(names, storage=storage, level=0.95, cost="seconds")


def test_costs_that_are_not_on_the_record_are_refused(storage):
    with pytest.raises(InputError, match="not every run says"):
        cost_points(hpo.load_study("curve", storage), "parsecs")


def test_ranges_of_seeds_read_well():
    assert ranges([5, 1, 2, 3, 9, 8]) == "1–3, 5, 8, 9"
    assert ranges([]) == "none"
