"""The reusable holdout against an analyst who overfits: the paper's own experiment, without any signal in the data."""

import json

import numpy as np
import pytest

from hpo.holdout import HoldoutSpent, Thresholdout

EXAMPLES, FEATURES, CHOSEN = 2000, 4000, 300


def overfit(look, rng):
    """Choose features that agree with the labels on training set and (as told) on the holdout; the final classifier.

    Labels are coin tosses: no classifier is better than .5. As in section 5 of Dwork et al. (2015).
    """
    train_x, held_x, fresh_x = (rng.choice([-1.0, 1.0], (EXAMPLES, FEATURES)) for _ in range(3))
    train_y, held_y, fresh_y = (rng.choice([-1.0, 1.0], EXAMPLES) for _ in range(3))
    train_share = (train_x * train_y[:, None] > 0).mean(axis=0)
    held_share = (held_x * held_y[:, None] > 0).mean(axis=0)
    told = np.array([look(a, b) for a, b in zip(train_share, held_share, strict=True)])
    agreement = np.where((train_share - 0.5) * (told - 0.5) > 0, train_share - 0.5, 0.0)
    best = np.argsort(-np.abs(agreement))[:CHOSEN]
    weights = np.sign(agreement[best])

    def accuracy(x, y):
        return float(((x[:, best] @ weights) * y > 0).mean())

    return accuracy(train_x, train_y), accuracy(held_x, held_y), accuracy(fresh_x, fresh_y)


def test_a_naive_holdout_is_fooled_and_thresholdout_is_not():
    train, held, fresh = overfit(lambda a, b: b, np.random.default_rng(0))
    naive = held
    assert fresh == pytest.approx(0.5, abs=0.04)
    assert naive > 0.57  # what the analyst believes of coin tosses

    guard = Thresholdout(budget=2000, size=EXAMPLES, seed=1)
    train, held, fresh = overfit(lambda a, b: guard.look(a, b).value, np.random.default_rng(0))
    answer = guard.look(train, held)
    assert answer.overfitted  # it says that the training score does not hold ...
    assert answer.value == pytest.approx(fresh, abs=0.05)  # ... and what does
    assert held < naive - 0.04


def test_it_answers_with_the_training_score_while_both_agree():
    guard = Thresholdout(budget=1000, size=100_000, seed=0)
    answers = [(mean, guard.look(mean, mean)) for mean in np.linspace(0.1, 0.9, 1000)]
    assert all(answer.value == mean for mean, answer in answers if not answer.overfitted)
    assert guard.looks == 1000
    assert guard.spent == pytest.approx(53, abs=30)  # by the noise alone: 5.3 % of looks


def test_a_spent_budget_answers_no_more():
    guard = Thresholdout(budget=3, size=10_000, seed=0)
    left = [guard.look(0.95, 0.5).left for _ in range(3)]
    assert left == [2, 1, 0]
    with pytest.raises(HoldoutSpent, match="fresh data"):
        guard.look(0.5, 0.5)


def test_a_guard_kept_between_processes_goes_on_where_it_was():
    first = Thresholdout(budget=10, size=1000, seed=3)
    for _ in range(4):
        first.look(0.9, 0.5)
    second = Thresholdout.from_dict(json.loads(json.dumps(first.to_dict())))
    assert [first.look(0.9, 0.5) for _ in range(5)] == [second.look(0.9, 0.5) for _ in range(5)]


def test_scores_out_of_range_are_refused_for_the_noise_is_in_their_unit():
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        Thresholdout(budget=1, size=10).look(2.3, 2.4)


def test_examples_may_be_given_instead_of_means():
    guard = Thresholdout(budget=1, size=4, threshold=0.2, noise=0.01, seed=0)
    answer = guard.guard(lambda model: ([1, 0, 1, 1], [1, 1, 1, 0]))("model")
    assert answer.value == 0.75
