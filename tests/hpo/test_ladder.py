"""One study file runs the whole ladder: cheap sizes first, the target last, at the law's prediction."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hpo
import scaling.planning
from scaling.errors import InputError

SCALES = [{"params": 1e6 * 2**k, "tokens": 2e7 * 2**k} for k in (0, 1, 2, 3, 4)]
TARGET = {"params": 6.4e7, "tokens": 1.28e9}


def best_lr(params: float) -> float:
    """Where the made-up basin has its bottom."""
    return 0.02 * (params / 1e6) ** -0.4


def train(config: dict[str, Any], *, seed: int, trial: Any) -> dict[str, float]:
    away = math.log2(config["lr"] / best_lr(config["params"]))
    if away > 3:
        raise hpo.Diverged("too fast")
    batch = math.log2(config["batch_size"] / (64 * (config["params"] / 1e6) ** 0.3))
    floor = 1.7 + 400 / config["params"] ** 0.34
    key = [seed, int(1e9 * config["lr"]), int(config["batch_size"]), int(config["params"])]
    noise = np.random.default_rng(key).normal(0, 5e-4)
    return {"loss": floor * math.exp(0.006 * away**2 + 0.003 * batch**2 + noise)}


def study(flop: float = 4e17, **changes: Any) -> dict[str, Any]:
    return {
        "name": "ladder",
        "objective": train,
        "metric": "loss",
        "space": {
            "lr": {"type": "float", "low": 3e-4, "high": 0.2, "log": True},
            "batch_size": {"type": "int", "low": 16, "high": 2048, "log": True},
        },
        "scales": SCALES,
        "seeds": {"tuning": [0, 1], "testing": [100, 101]},
        "sampler": {"name": "scale-up", "target": TARGET},
        "budget": {"flops": flop},
        "engine": "inline",
        **changes,
    }


def flops(frame: Any) -> float:
    return float((6 * frame["params"] * frame["tokens"]).sum())


@pytest.fixture
def storage(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ladder.db'}"


def test_it_spends_its_budget_on_several_sizes_and_finds_the_law(storage: str) -> None:
    runs = hpo.run(study(), storage=storage, progress=False).runs
    assert flops(runs) <= 4e17
    assert runs["params"].nunique() >= 3
    first, later = runs.iloc[:16], runs.iloc[16:]
    assert later["params"].max() >= first["params"].max()
    from scaling.api import fit

    answer = fit(runs, law="lr-batch", bootstrap=0).answer(TARGET)
    assert abs(math.log2(answer["predictions"]["lr"]["value"] / best_lr(TARGET["params"]))) < 0.7


def test_the_law_is_fitted_to_the_batch_that_was_trained(
    storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def whole(config: dict[str, Any], *, seed: int, trial: Any) -> dict[str, float]:
        batch = 64 * max(1, config["batch_size"] // 64)
        return {**train({**config, "batch_size": batch}, seed=seed, trial=trial), "batch_size": batch}

    seen: list[Any] = []
    plan = scaling.planning.plan
    monkeypatch.setattr(
        scaling.planning, "plan", lambda runs, **options: seen.append(runs) or plan(runs, **options)
    )
    hpo.run(study(1e17, objective=whole), storage=storage, progress=False)
    complete = seen[-1][seen[-1]["status"] == "complete"]
    assert (complete["batch_size"] % 64 == 0).all()


def test_a_target_among_the_scales_is_trained_last_at_the_prediction_and_tested(storage: str) -> None:
    budget = 4e17 + 2 * 6 * TARGET["params"] * TARGET["tokens"]
    made = study(budget, scales=[*SCALES, TARGET], baseline={"lr": best_lr(1e6), "batch_size": 64})
    done = hpo.run(made, storage=storage, progress=False)
    at_target = done.runs[done.runs["params"] == TARGET["params"]]
    assert sorted(at_target.loc[at_target["phase"] == "tuning", "seed"]) == [0, 1]
    tested = at_target[at_target["phase"] == "testing"]
    assert set(tested["role"]) == {"incumbent", "baseline"}
    assert set(tested["seed"]) == {100, 101}
    losses = tested.groupby("role")["loss"].mean()
    assert losses["incumbent"] < losses["baseline"]
    assert abs(math.log2(done.incumbent.config["lr"] / best_lr(TARGET["params"]))) < 0.7
    # Nothing below the target is tested, and no testing seed tunes.
    assert set(done.runs.loc[done.runs["phase"] == "tuning", "seed"]) == {0, 1}
    count = len(done.runs)
    again = done.test({"mine": {"lr": 1e-3, "batch_size": 64}}, objective=train, progress=False)
    assert len(again.openings) == 2 and len(again.runs) == count + 2


def test_an_interrupted_ladder_goes_on_and_repeats_no_run(storage: str) -> None:
    calls: list[tuple[float, float, float]] = []
    after = 23

    def stops(config: dict[str, Any], *, seed: int, trial: Any) -> dict[str, float]:
        if len(calls) == after:
            raise KeyboardInterrupt
        calls.append((config["params"], config["lr"], config["batch_size"]))
        return train(config, seed=seed, trial=trial)

    made = study(objective=stops)
    with pytest.raises(KeyboardInterrupt):
        hpo.run(made, storage=storage, progress=False)
    after = 10**9
    runs = hpo.run(made, storage=storage, progress=False).runs
    assert len(calls) == len(set(calls)) == len(runs)
    assert flops(runs) <= 4e17


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"sampler": {"name": "scale-up"}}, "sampler.target"),
        ({"sampler": {"name": "scale-up", "target": {"params": 1e9}}}, "sampler.target"),
        ({"sampler": {"name": "scale-up", "target": TARGET, "fast": True}}, "sampler.fast"),
        ({"budget": {"trials": 10}}, "budget"),
        ({"budget": {"flops": 1e12}}, "budget.flops"),
        ({"scales": [{"params": 1e6, "width": 3}, {"params": 2e6, "width": 4}]}, "scales"),
        ({"scales": [TARGET, *SCALES]}, "scales"),
        ({"direction": "maximize"}, "direction"),
        ({"space": {"momentum": {"type": "float", "low": 0.1, "high": 0.9}}}, "space"),
    ],
)
def test_a_study_that_cannot_be_a_ladder_is_refused_before_anything_is_written(
    storage: str, changes: dict[str, Any], key: str
) -> None:
    with pytest.raises(InputError) as caught:
        hpo.run(study(**changes), storage=storage, progress=False)
    assert caught.value.key == key
    assert caught.value.remedy
    assert not Path(storage.removeprefix("sqlite:///")).exists()
