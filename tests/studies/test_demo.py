"""The demo: its arithmetic on made-up runs, and the whole road in its reduced form."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
import yaml

import hpo
from studies.demo import plan as plans
from studies.demo.drive import run_demo
from studies.demo.findings import Measured, _relative, _standard_error, summarise
from studies.demo.picture import put_summary
from studies.demo.plan import candidates
from studies.demo.report import write_report
from tests.browser import inspect_page
from tests.studies import basin

ROOT = Path(__file__).resolve().parents[2]


def test_candidates_surround_the_prediction_and_carry_over_what_the_small_models_had() -> None:
    listed = candidates(
        {"lr": 0.0123456, "batch_size": 300.4},
        {"lr": 0.01, "batch_size": 512},
        {"lr": 0.02, "batch_size": 128},
    )
    by_role = {one.role: one for one in listed}
    assert [one.role for one in listed][:3] == [
        "prediction",
        "baseline, unchanged",
        "small model's best, unchanged",
    ]
    assert (by_role["prediction"].lr, by_role["prediction"].batch_size) == (0.01235, 300)
    assert (by_role["baseline, unchanged"].lr, by_role["baseline, unchanged"].batch_size) == (0.01, 512)
    assert by_role["2 × lr"].lr == pytest.approx(2 * 0.0123456, rel=1e-3)
    assert by_role["batch / 2"].batch_size == 150
    assert len({(one.lr, one.batch_size) for one in listed}) == len(listed) == 7


def test_points_around_a_smallest_batch_are_not_trained_twice() -> None:
    same = {"lr": 0.02, "batch_size": 60}
    listed = candidates(same, {"lr": 0.01, "batch_size": 512}, same)
    assert [one.role for one in listed] == [
        "prediction",
        "baseline, unchanged",
        "small model's best, unchanged",
        "2 × lr",
        "lr / 2",
        "2 × batch",
    ]


def test_a_configuration_that_failed_once_is_not_the_best() -> None:
    sound = Measured("prediction", 0.01, 256, (2.0, 2.1))
    broken = Measured("2 × lr", 0.02, 256, (1.5,), failed=1)
    assert min((sound, broken), key=lambda one: one.mean) is sound
    assert _relative(broken, sound) == math.inf


def test_gaps_are_paired_by_seed() -> None:
    one, other = Measured("a", 1, 1, (2.02, 2.12)), Measured("b", 1, 1, (2.0, 2.1))
    assert _relative(one, other) == pytest.approx(0.02 / 2.05)
    assert _standard_error(one, other) == pytest.approx(0.0, abs=1e-12)
    assert math.isnan(_standard_error(Measured("a", 1, 1, (2.0,)), Measured("b", 1, 1, (2.1,))))


@pytest.mark.parametrize("plan", [plans.full(), plans.reduced()], ids=["full", "reduced"])
def test_the_larger_models_seeds_are_fresh_and_its_size_is_on_the_line(plan: plans.Plan) -> None:
    from hpo.config import load_config

    config = load_config(plan.study)
    assert not set(plan.seeds) & {*config.seeds.tuning, *config.seeds.testing}
    first, last = config.scales[0], config.scales[-1]
    slope = math.log(last["tokens"] / first["tokens"]) / math.log(last["params"] / first["params"])
    on_line = first["tokens"] * (plan.target["params"] / first["params"]) ** slope
    assert plan.target["tokens"] == pytest.approx(on_line, rel=0.1)
    assert plan.target["params"] > max(scale["params"] for scale in config.scales)


@pytest.mark.slow
def test_the_five_steps_on_a_landscape_whose_optimum_is_known(tmp_path: Path) -> None:
    content = yaml.safe_load((ROOT / "configs" / "demo.yaml").read_text())
    study = {**content, "objective": "tests.studies.basin:train", "budget": {"trials": 10}}
    study["sampler"] = {"name": "sobol", "seed": 1}
    plan = dataclasses.replace(plans.full(), study=study)
    outcome = run_demo(plan, tmp_path, engine="inline", progress=False)
    findings = summarise(outcome)
    lr, batch = basin.optimum(plan.target["params"])
    for name, truth in (("lr", lr), ("batch_size", batch)):
        entry = findings.prediction[name]
        assert entry["low"] < truth < entry["high"]
        assert entry["value"] == pytest.approx(truth, rel=0.6)
    assert findings.gap < 0.03 and len(findings.measured) == 7
    # A configuration that diverged on its first seed is not tried on the second.
    diverged = int((outcome.runs["status"] == "diverged").sum())
    assert findings.runs == 3 * (10 * 2 + 2 * 3) + 7 * len(plan.seeds) - diverged
    assert sum(part.failed for part in findings.used) == diverged
    # No testing seed has been in the table that the law was fitted to.
    assert set(pd.read_csv(tmp_path / "tuning.csv")["seed"]) == {0, 1}
    report = write_report(outcome, findings)
    findings.write(tmp_path)
    html = report.read_text()
    assert html.count('class="plot"') == 6 and findings.machine["cpu"] in html
    assert json.loads((tmp_path / "summary.json").read_text())["best"] == findings.best
    # Again: nothing is run, and the same comes out.
    again = run_demo(plan, tmp_path, engine="inline", progress=False)
    assert summarise(again).text() == findings.text()


def test_the_ten_lines_go_between_their_markers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- demo:begin -->\nold\n<!-- demo:end -->\nafter\n")
    assert put_summary("ten\nlines \\1", page)
    assert (
        page.read_text()
        == "before\n<!-- demo:begin -->\n```text\nten\nlines \\1\n```\n<!-- demo:end -->\nafter\n"
    )
    assert not put_summary("x", tmp_path / "absent.md")


def _start(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "studies.demo", "--reduced", "--folder", str(folder)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def _finished(database: Path) -> dict[tuple[str, int, str], str]:
    """Every recorded run with its record: section, trial, key."""
    if not database.is_file():
        return {}
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30) as connection:
        rows = connection.execute(
            "SELECT studies.study_name, trials.trial_id, trial_user_attributes.key, trial_user_attributes.value_json "
            "FROM trial_user_attributes JOIN trials USING (trial_id) JOIN studies USING (study_id) "
            "WHERE trial_user_attributes.key LIKE 'run:%'"
        ).fetchall()
    return {(study, trial, key): value for study, trial, key, value in rows}


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.timeout(900)
def test_killed_in_the_middle_and_started_again_the_demo_ends_with_its_report(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    first = _start(folder)
    deadline = time.monotonic() + 300
    while len(before := _finished_or_nothing(folder / "study.db")) < 5 and time.monotonic() < deadline:
        assert first.poll() is None, first.communicate()[0].decode()
        time.sleep(0.2)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    _end_what_is_left(first.pid)
    assert len(before) >= 5
    second = _start(folder)
    output = second.communicate(timeout=600)[0].decode()
    assert second.returncode == 0, output

    after = _finished(folder / "study.db")
    assert all(after[key] == value for key, value in before.items())  # kept as they were, none repeated
    assert max(Counter((study, trial, key) for study, trial, key in after).values()) == 1
    study = hpo.load_study("demo-reduced", folder / "study.db")
    runs = study.runs
    assert (runs["status"] == "complete").all()
    assert set(runs["phase"]) == {"tuning", "testing"}
    assert set(runs[runs["phase"] == "tuning"]["seed"]) == {0, 1}
    assert not runs.duplicated(["scale", "phase", "configuration", "seed"]).any()
    summary = json.loads((folder / "summary.json").read_text())
    assert (
        summary["prediction"]["lr"]["low"]
        < summary["prediction"]["lr"]["value"]
        < summary["prediction"]["lr"]["high"]
    )
    assert 5 <= len(summary["measured"]) <= 7 and summary["gap"] >= 0
    assert (folder / "summary.txt").read_text().strip() in output
    for name in ("runs.csv", "target.csv", "law.json", "prediction.json"):
        assert (folder / name).stat().st_size > 100
    page = inspect_page(folder / "report.html")
    page.assert_sound(at_least=6)
    assert page.title == "Tuned small, predicted large"


def _finished_or_nothing(database: Path) -> dict[tuple[str, int, str], str]:
    try:
        return _finished(database)
    except sqlite3.OperationalError:  # not there yet, or being made
        return {}


def _end_what_is_left(group: int) -> None:
    """Ray's processes, which outlive a driver that was killed by some seconds."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
