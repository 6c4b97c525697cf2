"""Study files: what they may say, and what is said of their mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from hpo.config import StudyConfig, load_config
from scaling.errors import InputError

GOOD = """\
name: lm
objective: studies.language_model:train
metric: loss
direction: minimize
space:
  lr: {type: float, low: 1e-4, high: 3.0e-2, log: true}
  batch_size: {type: int, low: 1024, high: 65536, log: true}
fixed: {params: 200000}
seeds: {tuning: [0, 1, 2], testing: [100, 101], allocation: fixed}
sampler: {name: bayesian, seed: 0}
budget: {trials: 24}
baseline: {lr: 3.0e-3, batch_size: 8192}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "study.yaml"
    path.write_text(text)
    return path


def complaint(folder: Path, text: str) -> InputError:
    with pytest.raises(InputError) as caught:
        load_config(written(folder, text))
    assert caught.value.exit_code == 2
    return caught.value


def test_a_good_file_is_read(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, GOOD))
    assert config.engine == "ray" and config.scheduler.name == "none"
    assert config.space.root["lr"].low == 1e-4  # which YAML 1.1 by itself reads as text
    assert config.baseline is not None and config.baseline.config == {"lr": 3e-3, "batch_size": 8192}
    assert config.variants == ({"params": 200000},)


def test_the_design_documents_example_is_read(tmp_path: Path) -> None:
    text = GOOD.replace(
        "fixed: {params: 200000}", "scales: [{params: 6, tokens: 1}, {params: 25, tokens: 5}]"
    )
    config = load_config(written(tmp_path, text))
    assert config.labels == ("params=6,tokens=1", "params=25,tokens=5")
    assert config.variants[1] == {"params": 25, "tokens": 5}


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "says"),
    [
        ("metric: loss", "metrc: loss", 3, "metrc", "did you mean 'metric'"),
        ("metric: loss\n", "", None, "metric", "missing"),
        ("high: 3.0e-2", "high: 1.0e-5", 6, "space.lr.low", "above high"),
        ("low: 1e-4", "low: 0", 6, "space.lr.low", "logarithm"),
        ("low: 1e-4", "low: -1", 6, "space.lr.low", "logarithm"),
        ("low: 1e-4", "low: .nan", 6, "space.lr", "finite"),
        ("low: 1e-4", "lw: 1e-4", 6, "space.lr", ""),
        ("low: 1e-4", "low: small", 6, "space.lr.low", "small"),
        ("type: float", "type: real", 6, "space.lr", "float, int, categorical"),
        ("{type: float, low: 1e-4, high: 3.0e-2, log: true}", "{low: 1, high: 2}", 6, "space.lr", "type"),
        ("low: 1024", "low: 10.5", 7, "space.batch_size.low", "10.5"),
        ("testing: [100, 101]", "testing: [100, 2]", 9, "seeds", "tuning and testing"),
        ("tuning: [0, 1, 2]", "tuning: [0, 1, 1]", 9, "seeds.tuning", "twice"),
        ("tuning: [0, 1, 2]", "tuning: []", 9, "seeds.tuning", "empty"),
        ("tuning: [0, 1, 2]", "tuning: [0, -1]", 9, "seeds.tuning.1", "-1"),
        ("allocation: fixed", "allocation: fair", 9, "seeds.allocation", "fair"),
        ("{trials: 24}", "{trials: 0}", 11, "budget.trials", "0"),
        ("{trials: 24}", "{trials: 24, runs: 3}", 11, "budget", "give one of"),
        ("{trials: 24}", "{trails: 24}", 11, "budget.trails", "did you mean 'trials'"),
        ("direction: minimize", "direction: min", 4, "direction", "minimize"),
        ("batch_size: 8192", "batchsize: 8192", 12, "baseline.batchsize", "batch_size"),
        ("fixed: {params: 200000}", "fixed: {lr: 1}", 6, "space.lr", "fixed"),
        ("objective: studies.language_model:train\n", "", None, "objective", "command"),
        ("name: lm", "name: a/b", 1, "name", "separate"),
    ],
)
def test_each_mistake_is_named(
    tmp_path: Path, old: str, new: str, line: int | None, key: str, says: str
) -> None:
    assert old in GOOD
    error = complaint(tmp_path, GOOD.replace(old, new))
    expected = f"{tmp_path / 'study.yaml'}" + (f":{line}" if line else "")
    assert error.source == expected
    assert (error.key or "").startswith(key)
    assert says in str(error)


def test_a_key_that_stands_there_twice(tmp_path: Path) -> None:
    error = complaint(tmp_path, GOOD + "metric: accuracy\n")
    assert error.key == "metric" and "lines 3 and 13" in error.message


@pytest.mark.parametrize("text", ["", "just words", "- a\n- b\n", "a: [1,\n", "name: {"])
def test_what_is_no_study_at_all(tmp_path: Path, text: str) -> None:
    assert "study.yaml" in (complaint(tmp_path, text).source or "")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.yaml"):
        load_config(tmp_path / "nowhere.yaml")


def test_overrides_are_yaml_and_reach_nested_keys(tmp_path: Path) -> None:
    config = load_config(
        written(tmp_path, GOOD),
        ["budget.runs=7", "space.lr.high=1e-1", "sampler.name=tpe", "seeds.tuning=[4, 5]"],
    )
    assert config.budget.runs == 7 and config.budget.trials is None  # one unit takes the place of the other
    assert config.space.root["lr"].high == 0.1
    assert config.sampler.name == "tpe" and config.seeds.tuning == (4, 5)


@pytest.mark.parametrize(
    "override", ["budget", "=3", "space.lr.low=5", "budget.trials=[", "metric.deep=1", "nme=x"]
)
def test_wrong_overrides_name_the_command_line(tmp_path: Path, override: str) -> None:
    with pytest.raises(InputError, match="command line"):
        load_config(written(tmp_path, GOOD), [override])


def base(**changes: Any) -> dict[str, Any]:
    return {
        **yaml.safe_load(GOOD),
        "space": {"x": {"type": "float", "low": 0, "high": 1}},
        "baseline": None,
        **changes,
    }


def test_a_mapping_with_the_function_itself() -> None:
    def train(config: dict[str, float], *, seed: int, trial: object) -> dict[str, float]:
        return {"loss": 0.0}

    config = load_config(base(objective=train))
    assert isinstance(config, StudyConfig) and config.what.endswith("train")


def test_commands_must_pass_the_seed_on_and_name_what_is_there() -> None:
    load_config(base(objective=None, command="python t.py --x {x} --seed {seed}"))
    with pytest.raises(InputError, match="seed"):
        load_config(base(objective=None, command="python t.py --x {x}"))
    with pytest.raises(InputError, match=r"\{lr\} is not known"):
        load_config(base(objective=None, command="python t.py --lr {lr} --seed {seed}"))


@pytest.mark.parametrize(
    ("when", "says"),
    [
        ({"momentum": 1}, "no other parameter"),
        ({"optimizer": "adamw"}, "none of its choices"),
    ],
)
def test_conditions_name_what_is_there(when: dict[str, Any], says: str) -> None:
    space = {
        "optimizer": {"type": "categorical", "choices": ["adam", "sgd"]},
        "beta": {"type": "float", "low": 0, "high": 1, "when": when},
    }
    with pytest.raises(InputError, match=says) as caught:
        load_config(base(space=space))
    assert (caught.value.key or "").startswith("space.beta.when")


def test_conditions_in_a_circle_are_refused() -> None:
    inside = {"type": "int", "low": 0, "high": 3}
    with pytest.raises(InputError, match="circle"):
        load_config(base(space={"a": {**inside, "when": {"b": 1}}, "b": {**inside, "when": {"a": 1}}}))


def test_scales_must_agree_in_their_keys() -> None:
    with pytest.raises(InputError, match="same keys"):
        load_config(base(scales=[{"params": 1}, {"tokens": 2}]))
    with pytest.raises(InputError, match="twice"):
        load_config(base(scales=[{"params": 1}, {"params": 1}]))


def test_baselines_are_given_or_tuned() -> None:
    assert load_config(base(baseline="tune")).baseline.tune.sampler.name == "random"  # type: ignore[union-attr]
    tuned = load_config(base(baseline={"tune": {"fixed": {"optimizer": "sgd"}}})).baseline
    assert tuned is not None and tuned.tune is not None and tuned.tune.fixed == {"optimizer": "sgd"}
    assert load_config(base(baseline={"x": 0.5})).baseline.config == {"x": 0.5}  # type: ignore[union-attr]
