"""A driver that is killed outright, anywhere: the same command goes on, and no finished run is made again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

import hpo

OBJECTIVE = """
import os, time

def train(config, *, seed, trial):
    time.sleep(float(os.environ.get("TOY_SLEEP", "0")))
    loss = (config["x"] - 0.3) ** 2 + seed / 1000
    with open(os.environ["TOY_LOG"], "a") as log:  # whole lines, however many processes write
        log.write(f"{config['x']!r} {seed}\\n")
    return {"loss": loss}


def climb(config, *, seed, trial):
    state = trial.restore() or {"step": 0, "path": [], "sessions": []}
    while state["step"] < 8:
        time.sleep(float(os.environ["TOY_SLEEP"]))
        path, sessions = [*state["path"], config["x"]], [*state["sessions"], os.environ["TOY_SLEEP"]]
        state = {"step": state["step"] + 1, "path": path, "sessions": sessions}
        with open(os.environ["TOY_LOG"], "a") as log:
            log.write("step\\n")
        trial.save(state)
        trial.report(state["step"], loss=-sum(path))
    return {"loss": -sum(state["path"]), **state}
"""

STUDY = """
name: killed
objective: toy_killed:train
metric: loss
space: {x: {type: float, low: 0, high: 1}}
seeds: {tuning: [0, 1], testing: [8, 9]}
sampler: {name: random, seed: 0}
budget: {trials: 6}
baseline: {x: 0.5}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "toy_killed.py").write_text(OBJECTIVE)
    (tmp_path / "study.yaml").write_text(STUDY)
    return tmp_path


def command(folder: Path, engine: str, sleep: float) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "TOY_LOG": str(folder / "log"),
        "TOY_SLEEP": str(sleep),
        "FORETUNE_CPUS": "2",
    }
    line = [sys.executable, "-m", "hpo", "run", "study.yaml", "-q", "--json", f"engine={engine}"]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        line,
        cwd=folder,
        env=environment,
        stdout=pipe,
        stderr=pipe,
        start_new_session=True,
        # Whoever started the tests in the background has had Ctrl-C ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def made(folder: Path) -> list[str]:
    return (folder / "log").read_text().splitlines() if (folder / "log").exists() else []


def kill_after(folder: Path, process: subprocess.Popen[bytes], runs: int, how: signal.Signals) -> None:
    """Kill the driver alone, as the kernel's out-of-memory killer would, once ``runs`` have been made."""
    deadline = time.monotonic() + 120
    while len(made(folder)) < runs and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process.poll() is None, process.communicate()[1].decode()
    process.send_signal(how)
    process.wait(timeout=60)


def finish(folder: Path, engine: str) -> hpo.Study:
    process = command(folder, engine, 0)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err.decode()
    assert b'"name": "killed"' in out
    return hpo.load_study("killed", f"sqlite:///{folder / 'foretune.db'}")


def check(folder: Path, study: hpo.Study, interruptions: int, workers: int) -> None:
    runs = study.runs
    assert len(runs) == 6 * 2 + 2 * 2 and (runs["status"] == "complete").all()
    assert not runs.duplicated(["phase", "configuration", "seed"]).any()
    again = {line: count for line, count in Counter(made(folder)).items() if count > 1}
    # What was under way, or had just ended and was not yet committed, when the driver died.
    assert sum(count - 1 for count in again.values()) <= interruptions * workers
    assert len(study.openings) == 1


def test_in_this_process(folder: Path) -> None:
    for runs in (1, 4, 9, 13):
        kill_after(folder, command(folder, "inline", 0.15), runs, signal.SIGKILL)
    study = finish(folder, "inline")
    check(folder, study, interruptions=4, workers=1)


def test_ctrl_c_says_how_to_go_on(folder: Path) -> None:
    process = command(folder, "inline", 0.15)
    kill_after(folder, process, 3, signal.SIGINT)
    assert process.returncode == 130
    message = process.stderr.read().decode() if process.stderr else ""
    assert "hpo run study.yaml" in message and "goes on from here" in message and "Traceback" not in message
    check(folder, finish(folder, "inline"), interruptions=1, workers=1)


def test_a_second_driver_is_turned_away(folder: Path) -> None:
    first = command(folder, "inline", 0.3)
    deadline = time.monotonic() + 60
    while not made(folder) and time.monotonic() < deadline:
        time.sleep(0.01)
    second = command(folder, "inline", 0)
    _, err = second.communicate(timeout=60)
    assert second.returncode == 1 and f"process {first.pid}".encode() in err
    assert first.wait(timeout=60) == 0
    check(folder, finish(folder, "inline"), interruptions=0, workers=1)


@pytest.mark.slow
def test_on_ray(folder: Path) -> None:
    kill_after(folder, command(folder, "ray", 0.3), 5, signal.SIGKILL)
    check(folder, finish(folder, "ray"), interruptions=1, workers=2)


@pytest.mark.slow
def test_ctrl_c_on_ray(folder: Path) -> None:
    process = command(folder, "ray", 0.3)
    kill_after(folder, process, 3, signal.SIGINT)
    assert process.returncode == 130
    message = process.stderr.read().decode() if process.stderr else ""
    assert "goes on from here" in message and "Traceback" not in message


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["pbt", "asha"])
def test_runs_that_report_go_on_where_they_were(folder: Path, scheduler: str) -> None:
    rules = {"pbt": "perturbation_interval: 2, synch: true", "asha": "max_t: 8, grace_period: 7"}
    changes = {"toy_killed:train": "toy_killed:climb", "trials: 6": "trials: 2", ", testing: [8, 9]": ""}
    text = STUDY.replace("baseline: {x: 0.5}", f"scheduler: {{name: {scheduler}, {rules[scheduler]}}}")
    for old, new in changes.items():
        text = text.replace(old, new)
    (folder / "study.yaml").write_text(text)
    kill_after(folder, command(folder, "ray", 0.2), 14, signal.SIGKILL)
    study = finish(folder, "ray")
    runs = study.records("tuning")
    assert len(runs) == 4 and {run.status for run in runs} <= {"complete", "pruned"}
    whole = [run for run in runs if run.status == "complete"]
    assert any(run.metrics["sessions"][0] == "0.2" and "0" in run.metrics["sessions"] for run in whole)
    for run in whole if scheduler == "pbt" else ():  # what the network went through is what the ledger says
        schedule = run.metrics["hyperparameter_schedule"]
        ends = [*(part["step"] for part in schedule[1:]), 8]
        steps = zip(schedule, [0, *ends], ends, strict=False)
        told = [part["values"]["x"] for part, begin, end in steps for _ in range(end - begin)]
        assert told == pytest.approx(run.metrics["path"]) and run.metrics["sessions"][:2] == ["0.2"] * 2
    assert not list((folder / ".foretune-checkpoints").iterdir())
