"""The five steps, each through the public interfaces alone. What is finished is not run again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hpo
import scaling
from hpo.study import Study
from studies.demo.plan import Candidate, Plan, candidates

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Outcome", "run_demo", "say"]


@dataclass(frozen=True)
class Outcome:
    """Everything that came out.

    Attributes:
        plan: What was asked for.
        folder: Where it lies.
        study: The study of the small models.
        runs: Its runs table, tuning and testing.
        law: The fitted law.
        answer: What it says of the target.
        candidates: What was trained at the target.
        target_runs: Runs table of the larger model.
    """

    plan: Plan
    folder: Path
    study: Study
    runs: pd.DataFrame
    law: Any
    answer: dict[str, Any]
    candidates: list[Candidate]
    target_runs: pd.DataFrame


def say(text: str) -> None:
    """A line about what happens now, for people."""
    from rich.console import Console

    Console(stderr=True, highlight=False).print(text)


def run_demo(plan: Plan, folder: Path, *, engine: str = "ray", progress: bool = True) -> Outcome:
    """Run the demo, or go on with it.

    Args:
        plan: What to run.
        folder: Holds the record of all runs (``study.db``) and everything that is made of them.
        engine: ``ray`` or ``inline``.
        progress: Whether to show a progress bar.
    """
    folder.mkdir(parents=True, exist_ok=True)
    storage = folder / "study.db"

    say(
        "[bold]1, 2[/]  Tune small models on tuning seeds, then test what was chosen on seeds no search has seen"
    )
    study = hpo.run(plan.study, storage=storage, overrides=[f"engine={engine}"], progress=progress)
    runs = study.runs
    _write(runs, folder / "runs.csv")

    say("[bold]3[/]     Fit the law and predict the larger model")
    law, answer = _predict(plan, runs, folder)
    for name in ("lr", "batch_size"):
        entry = answer["predictions"][name]
        say(f"      {name} {entry['value']:.3g}  (90 %: {entry['low']:.3g} to {entry['high']:.3g})")

    say("[bold]4[/]     Train the larger model there, at what is carried over, and around, on fresh seeds")
    chosen = _chosen(plan, study, answer, folder)
    configs = [_config(plan, one) for one in chosen]
    target_runs = hpo.evaluate(
        study.definition["objective"],
        configs,
        plan.seeds,
        name=f"{study.name}-target",
        storage=storage,
        engine=engine,
        roles=[one.role for one in chosen],
        progress=progress,
    )
    _write(target_runs, folder / "target.csv")
    return Outcome(plan, folder, study, runs, law, answer, chosen, target_runs)


def _predict(plan: Plan, runs: pd.DataFrame, folder: Path) -> tuple[Any, dict[str, Any]]:
    # The testing runs stay out: they are to judge what was chosen, and choose nothing themselves.
    tuning = runs[runs["phase"] == "tuning"]
    _write(tuning, folder / "tuning.csv")
    law = scaling.fit(folder / "tuning.csv", law="lr-batch", seed=0)
    law.save(folder / "law.json")
    answer = scaling.predict(folder / "law.json", level=plan.level, **plan.target)
    (folder / "prediction.json").write_text(json.dumps(answer, indent=2) + "\n")
    return law, answer


def _chosen(plan: Plan, study: Study, answer: dict[str, Any], folder: Path) -> list[Candidate]:
    baseline = study.definition["baseline"]["config"]
    prediction = {name: answer["predictions"][name]["value"] for name in ("lr", "batch_size")}
    listed = candidates(prediction, baseline, study.incumbent.config)
    (folder / "candidates.json").write_text(
        json.dumps({"target": dict(plan.target), "candidates": [asdict(one) for one in listed]}, indent=2)
        + "\n"
    )
    return listed


def _config(plan: Plan, one: Candidate) -> dict[str, Any]:
    return {**plan.fixed, **plan.target, "lr": one.lr, "batch_size": one.batch_size}


def _write(frame: pd.DataFrame, path: Path) -> None:
    scratch = path.with_name(f".{path.name}.part")
    frame.to_csv(scratch, index=False)
    scratch.replace(path)
