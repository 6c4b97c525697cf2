"""Methods against each other on testing seeds: what is better, by how much, how sure, and with what to be
read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from hpo.statistics import measures, power
from hpo.statistics.bootstrap import Interval, interval, paired_interval

__all__ = ["Comparison", "Effect", "Method", "Summary", "compare"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Method:
    """A method's testing runs.

    Attributes:
        name: As shown.
        runs: By task, by testing seed, the metric; ``None`` where the run failed or diverged.
        budget: What tuning it used, each in its unit: ``runs``, ``seconds``, ``gpu_seconds``, ``flops``
            (those known).
        hardware: Where it ran; compared as text.
        tuned: Whether it was tuned (a given baseline and the library's defaults are not).
        tuning_seeds: Seeds that tuning saw; none of them may be among the testing seeds.
    """

    name: str
    runs: Mapping[str, Mapping[int, float | None]]
    budget: Mapping[str, float] = field(default_factory=dict)
    hardware: str | None = None
    tuned: bool = True
    tuning_seeds: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Summary:
    """One method: each measure in the metric's own direction, or ``None`` where failures leave it
    undefined.
    """

    name: str
    runs: int
    failed: int
    interquartile_mean: Interval
    median: Interval
    mean: Interval
    optimality_gap: Interval | None


@dataclass(frozen=True)
class Effect:
    """The first method against the second.

    Attributes:
        first: The method judged.
        second: The one it is judged against.
        paired: Whether both ran the same seeds in each task.
        difference: Of interquartile means, positive where the first is better, in the metric's unit.
        probability: That a run of the first is better than a run of the second.
        seeds: Testing seeds that each had in a task, the fewest.
        seeds_needed: For a difference this large at 80 % power by a t test; ``None`` where undefined or
            beyond reach.
        seeds_needed_rank: The same for the probability of improvement, by ranks.
        verdict: In a sentence.
    """

    first: str
    second: str
    paired: bool
    difference: Interval
    probability: Interval
    seeds: int
    seeds_needed: int | None
    seeds_needed_rank: int | None
    verdict: str


@dataclass(frozen=True)
class Comparison:
    """All methods and all pairs of them; ``notes`` are to be read before the numbers."""

    direction: str
    metric: str
    level: float
    summaries: tuple[Summary, ...]
    effects: tuple[Effect, ...]
    notes: tuple[str, ...]
    scores: Mapping[str, Mapping[str, Floats]]

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``; what is not finite becomes ``null`` there."""
        stored = asdict(self)
        del stored["scores"]
        return stored


def compare(
    methods: Sequence[Method],
    *,
    direction: str,
    metric: str = "value",
    target: float | None = None,
    level: float = 0.95,
    replicates: int = 5000,
    seed: int = 0,
) -> Comparison:
    """Every method summarised, every pair judged.

    Tasks count alike and their runs are pooled: give values that share a scale where there are several tasks.

    Args:
        methods: Two or more, with the same tasks.
        direction: ``minimize`` or ``maximize``.
        metric: Its name, for the sentences.
        target: Value that counts as solved, for the optimality gap.
        level: Coverage of the intervals.
        replicates: Bootstrap draws.
        seed: Of the draws.

    Raises:
        ValueError: Methods with different tasks, or a task without runs.
    """
    tasks = sorted(methods[0].runs)
    for method in methods:
        if sorted(method.runs) != tasks or not all(method.runs.values()):
            raise ValueError(f"{method.name!r} needs testing runs of the tasks {', '.join(tasks)}")
    options = {"level": level, "replicates": replicates, "seed": seed}
    scores = {
        method.name: {task: measures.oriented(_in_order(method.runs[task]), direction) for task in tasks}
        for method in methods
    }
    summaries = tuple(_summary(method, scores[method.name], direction, target, options) for method in methods)
    effects = tuple(
        _effect(first, second, scores, options)
        for position, first in enumerate(methods)
        for second in methods[position + 1 :]
    )
    notes = (*_fairness(methods), *_reading(methods, effects))
    return Comparison(direction, metric, level, summaries, effects, notes, scores)


def _in_order(runs: Mapping[int, float | None]) -> list[float | None]:
    return [runs[seed] for seed in sorted(runs)]


def _summary(
    method: Method,
    scores: Mapping[str, Floats],
    direction: str,
    target: float | None,
    options: Mapping[str, Any],
) -> Summary:
    strata = list(scores.values())
    sign = 1.0 if direction == "maximize" else -1.0

    def measured(measure: Any) -> Interval:
        return interval(measure, strata, **options).mapped(lambda value: sign * value)

    gap = None
    if target is not None:
        goal = sign * target
        gap = interval(lambda runs: measures.optimality_gap(runs, goal), strata, **options)
    return Summary(
        name=method.name,
        runs=sum(map(len, strata)),
        failed=int(sum(np.isneginf(runs).sum() for runs in strata)),
        interquartile_mean=measured(measures.interquartile_mean),
        median=measured(measures.median),
        mean=measured(measures.mean),
        optimality_gap=gap,
    )


def _effect(
    first: Method, second: Method, scores: Mapping[str, Mapping[str, Floats]], options: Mapping[str, Any]
) -> Effect:
    tasks = list(scores[first.name])
    left = [scores[first.name][task] for task in tasks]
    right = [scores[second.name][task] for task in tasks]
    paired = all(set(first.runs[task]) == set(second.runs[task]) for task in tasks)
    difference = paired_interval(_iqm_difference, left, right, paired=paired, **options)
    probability = _at_the_edge(
        paired_interval(_improvement, left, right, paired=paired, **options),
        min(sum(map(len, left)), sum(map(len, right))),
    )
    shapes_match = paired or len(tasks) == 1
    size = (
        power.effect_size(np.concatenate(left), np.concatenate(right), paired=paired)
        if shapes_match
        else math.nan
    )
    return Effect(
        first=first.name,
        second=second.name,
        paired=paired,
        difference=difference,
        probability=probability,
        seeds=min(map(len, left + right)),
        seeds_needed=power.seeds_needed(size, paired=paired),
        seeds_needed_rank=power.seeds_needed_for_rank(probability.value),
        verdict=_verdict(first.name, second.name, difference, probability),
    )


def _iqm_difference(first: list[Floats], second: list[Floats]) -> Floats:
    left, right = np.concatenate(first, axis=1), np.concatenate(second, axis=1)
    return np.asarray(measures.interquartile_mean(left) - measures.interquartile_mean(right))


def _improvement(first: list[Floats], second: list[Floats]) -> Floats:
    """Probability of improvement for each replicate, averaged over tasks."""
    each = []
    for left, right in zip(first, second, strict=True):
        better = (left[:, :, None] > right[:, None, :]).mean(axis=(1, 2))
        each.append(better + 0.5 * (left[:, :, None] == right[:, None, :]).mean(axis=(1, 2)))
    return np.asarray(np.mean(each, axis=0))


def _at_the_edge(found: Interval, runs: int) -> Interval:
    """Where every run of one beats every run of the other, no bootstrap draw differs; the exact binomial interval of
    that many wins out of that many runs is claimed instead (Clopper & Pearson 1934)."""
    if found.value not in (0.0, 1.0):
        return found
    exact = stats.binomtest(round(found.value * runs), runs).proportion_ci(found.level)
    return Interval(found.value, float(exact.low), float(exact.high), found.level)


def _verdict(first: str, second: str, difference: Interval, probability: Interval) -> str:
    share = f"{difference.level:.0%}"
    if math.isnan(difference.value):
        return f"{first} and {second} both fail too often for a difference to be told."
    better, worse = (first, second) if difference.value >= 0 else (second, first)
    if math.isinf(difference.value):
        return f"{worse} fails on more than a quarter of its testing runs; {better} does not."
    sign = 1.0 if difference.value >= 0 else -1.0
    flipped = difference.mapped(lambda value: sign * value)
    chance = probability.value if sign > 0 else 1 - probability.value
    bounds = f"{share} interval {flipped.low:.4g} to {flipped.high:.4g}"
    if difference.excludes(0.0):
        gain = f"{better} is better than {worse} by {flipped.value:.4g} ({bounds})"
        return f"{gain}; a run of it wins in {chance:.0%} of all pairs."
    ahead = f"{better} is ahead of {worse} by {flipped.value:.4g}"
    return f"No clear difference: {ahead}, but its {bounds} holds zero."


def _fairness(methods: Sequence[Method]) -> list[str]:
    """Unequal budgets and hardware, said loudly."""
    notes = []
    tuned = [method for method in methods if method.tuned]
    # Of several units the first that all know decides: with early stopping equal FLOPs are unequal numbers of runs.
    for unit in ("flops", "runs"):
        known = {method.name: method.budget[unit] for method in tuned if unit in method.budget}
        if len(known) == len(tuned) > 0:
            if max(known.values()) > 1.15 * min(known.values()):
                listed = ", ".join(f"{name} {value:.4g}" for name, value in known.items())
                notes.append(f"UNEQUAL BUDGETS: the methods were tuned with different {unit} ({listed}).")
            break
    seen = {seed for method in methods for seed in method.tuning_seeds}
    leaked = sorted(seen & {seed for method in methods for runs in method.runs.values() for seed in runs})
    if leaked:
        notes.append(
            f"TESTED ON TUNING SEEDS: {', '.join(map(str, leaked))}. The numbers flatter what was tuned on them."
        )
    untuned = [method.name for method in methods if not method.tuned]
    if untuned and tuned:
        notes.append(
            f"NOT TUNED: {', '.join(untuned)} had no tuning budget, the others had; "
            "a difference from them is not evidence about the methods alone."
        )
    hardware = {method.hardware for method in methods if method.hardware is not None}
    if len(hardware) > 1:
        notes.append(f"DIFFERENT HARDWARE: {'; '.join(sorted(hardware))}. Seconds and costs do not compare.")
    return notes


def _reading(methods: Sequence[Method], effects: Sequence[Effect]) -> list[str]:
    """What weakens the numbers without being unfair."""
    notes = [
        f"{effect.first} and {effect.second} ran different testing seeds: the comparison is not paired."
        for effect in effects
        if not effect.paired
    ]
    fewest = min(len(runs) for method in methods for runs in method.runs.values())
    if fewest < 5:
        notes.append(f"{fewest} testing seeds are too few for an interval to be trusted; 10 are usual.")
    if len(effects) > 1:
        notes.append(
            f"{len(effects)} pairs are judged, each at its own level: expect one in "
            f"{1 / (1 - effects[0].difference.level):.0f} to look clear by chance."
        )
    return notes
