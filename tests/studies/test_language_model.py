from __future__ import annotations

import math

import numpy as np
import pytest

import hpo
from scaling.errors import InputError
from studies.language_model import Settings, Transformer, batches, learning_rate, sequences, shape_for, train
from studies.text import standard_library

TINY = {"params": 6144, "tokens": 16384, "lr": 1e-2, "batch_size": 1024, "held_out": 2048, "device": "cpu"}


def test_the_text_is_split_by_file_and_always_the_same() -> None:
    corpus = standard_library()
    standard_library.cache_clear()
    again = standard_library()
    assert corpus.sha256 == again.sha256
    assert len(corpus.training) > 5_000_000 and len(corpus.validation) > 200_000
    # A long stretch of held-out text is not in what is trained on.
    middle = len(corpus.validation) // 2
    assert corpus.validation[middle : middle + 400].tobytes() not in corpus.training.tobytes()


@pytest.mark.parametrize(
    ("params", "within"),
    [(6144, 0.01), (24576, 0.01), (82944, 0.01), (200_000, 0.05), (5e6, 0.1), (3e7, 0.1)],
)
def test_shapes_are_near_the_size_asked_for(params: float, within: float) -> None:
    width, depth = shape_for(int(params))
    assert abs(12 * depth * width**2 / params - 1) < within


def test_params_are_those_of_the_blocks() -> None:
    assert Transformer(32, 2, 64).params == 12 * 2 * 32**2


def test_warm_up_rises_to_the_peak_and_the_cosine_ends_with_the_tokens() -> None:
    rates = [learning_rate(step, 100, 10, 2.0, 0.1) for step in range(100)]
    assert rates[0] == pytest.approx(0.2) and max(rates) == rates[9] == 2.0
    assert np.all(np.diff(rates[:10]) > 0) and np.all(np.diff(rates[9:]) < 0)
    assert rates[-1] == pytest.approx(0.2)


def test_each_sequence_comes_once_before_any_comes_again() -> None:
    text = np.arange(101, dtype=np.uint8)
    seen = [tuple(row) for batch in batches(text, 10, 5, 10, seed=0) for row in batch.numpy().tolist()]
    assert len(set(seen)) == 10
    assert sorted(row[0] for row in seen) == list(range(0, 100, 10))
    later = list(batches(text, 10, 3, 17, seed=0))
    assert [len(batch) for batch in later] == [3, 3, 3, 3, 3, 2]
    assert later[4].tolist() == next(batches(text, 10, 3, 17, seed=0, first=4)).tolist()
    assert sequences(text, 10).shape == (10, 11)


def test_the_same_seed_gives_the_same_loss_to_the_last_digit_and_another_seed_another() -> None:
    first, again, other = train(TINY, seed=3), train(TINY, seed=3), train(TINY, seed=4)
    assert first["loss"] == again["loss"] != other["loss"]


def test_what_a_run_returns() -> None:
    result = train({**TINY, "batch_size": 1100}, seed=0)
    # Whole sequences in a step, and as many tokens as were asked for: the last step is smaller.
    assert result["batch_size"] == 17 * 64 and result["tokens"] == 16384 and result["steps"] == 16
    assert result["params"] == 6144 and result["flops"] == 6 * 6144 * 16384
    assert result["warmup_steps"] == 2 and result["seconds"] > 0
    assert result["loss"] < math.log(256)


def test_larger_steps_taken_in_parts_learn_the_same() -> None:
    whole, parts = train(TINY, seed=0), train({**TINY, "micro_batch_size": 256}, seed=0)
    assert parts["loss"] == pytest.approx(whole["loss"], abs=1e-3)


def test_training_learns_more_from_more_tokens() -> None:
    assert train({**TINY, "tokens": 65536}, seed=0)["loss"] < train(TINY, seed=0)["loss"] - 0.1


@pytest.mark.filterwarnings("ignore")
def test_divergence_is_reported_as_such() -> None:
    with pytest.raises(hpo.Diverged):
        train({**TINY, "lr": 1e3, "clip": 1e9}, seed=0)


def test_losses_are_reported_and_the_caller_may_stop_the_run() -> None:
    trial = hpo.Trial()
    final = train({**TINY, "tokens": 40960}, seed=0, trial=trial)["loss"]
    assert [step for step, _ in trial.reports] == [4 * k for k in range(1, 10)]
    assert trial.reports[-1][1]["loss"] == pytest.approx(final, abs=0.2)

    def stop(step: int, metrics: dict[str, float]) -> None:
        if step >= 8:
            raise hpo.Pruned

    with pytest.raises(hpo.Pruned):
        train({**TINY, "tokens": 40960}, seed=0, trial=hpo.Trial(on_report=stop))


def test_a_partial_run_trains_on_fewer_tokens() -> None:
    assert train(TINY, seed=0, trial=hpo.Trial(fidelity=0.5))["tokens"] == 8192


def test_an_interrupted_run_goes_on_to_the_same_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studies.language_model.SAVE_EVERY", -1.0)
    config = {**TINY, "tokens": 40960}

    def kill(step: int, metrics: dict[str, float]) -> None:
        if step >= 20:
            raise KeyboardInterrupt

    trial = hpo.Trial(on_report=kill)
    with pytest.raises(KeyboardInterrupt):
        train(config, seed=0, trial=trial)
    trial.on_report = None
    steps_before = len(trial.reports)
    resumed = train(config, seed=0, trial=trial)
    assert trial.reports[steps_before][0] == 20
    assert resumed["loss"] == train(config, seed=0)["loss"]


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        ({"learning_rate": 1}, "learning_rate"),
        ({"lr": -1.0}, "lr"),
        ({"tokens": math.nan}, "tokens"),
        ({"params": None}, "params"),
    ],
)
def test_wrong_settings_are_named(wrong: dict[str, object], key: str) -> None:
    with pytest.raises(InputError) as caught:
        Settings.of({**TINY, **wrong})
    assert caught.value.key == key
