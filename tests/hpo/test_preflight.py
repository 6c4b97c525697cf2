"""What is refused before a study's first run, or at the first that shows it, and what is written until then."""

from __future__ import annotations

from typing import Any

import pytest

import hpo
from hpo.allocation.fixed import Fixed
from hpo.config import load_config
from hpo.preflight import allocation_of
from scaling.errors import InputError
from tests.hpo.study_kit import STUDY, Objective, run


def test_a_budget_of_flops_counts_by_what_every_run_is_asked_for(storage: str) -> None:
    def plain(config: dict[str, Any], *, seed: int, trial: hpo.Trial) -> dict[str, float]:
        return {"loss": config["x"]}

    changes: dict[str, Any] = {"seeds": {"tuning": [0]}, "baseline": None, "budget": {"flops": 1500}}
    with pytest.raises(InputError, match=r"budget\.flops: a run has completed without") as caught:
        run(plain, storage, **changes)
    assert caught.value.source == "study", "an error that does not say which file is at fault"
    study = run(plain, storage, **changes, name="sized", fixed={"params": 10, "tokens": 10})
    assert list(study.runs["flops"]) == [600.0] * 3


@pytest.mark.parametrize(
    ("changes", "key", "said"),
    [
        ({"scheduler": {"name": "asha", "maximum": 3}}, "scheduler", "does not take these options"),
        (
            {
                "scheduler": {"name": "pbt", "perturbation_interval": 2},
                "seeds": {"tuning": [0, 1, 2], "testing": [100, 101], "allocation": "racing"},
                "budget": {"runs": 9},
                "engine": "ray",
            },
            "seeds.allocation",
            "cannot race",  # that the seeds have changed would be said under the same key
        ),
    ],
)
def test_what_a_scheduler_cannot_do_is_said_before_anything_is_written(
    objective: Objective, storage: str, changes: dict[str, Any], key: str, said: str
) -> None:
    study = run(objective, storage)
    with pytest.raises(InputError, match=said) as caught:
        run(objective, storage, **changes)
    assert caught.value.key == key and caught.value.remedy
    assert hpo.load_study("toy", storage).definition == study.definition


@pytest.mark.parametrize(
    ("name", "judged"),
    [("none", False), ("asha", True), ("median", True), ("hyperband", True), ("pbt", False)],
)
def test_further_seeds_wait_only_for_rules_that_judge_the_first(name: str, judged: bool) -> None:
    config = load_config({**STUDY, "objective": Objective(), "scheduler": {"name": name}, "engine": "ray"})
    allocation = allocation_of(config, config.space)
    assert isinstance(allocation, Fixed) and allocation.judged is judged
