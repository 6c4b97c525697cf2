"""The one engine: fit any law to one data set, to its bootstrap replicates, or to a thousand curves at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scaling.fitting.losses import TIP, Loss, get_loss
from scaling.fitting.newton import Minimum, Problem, minimise, objective
from scaling.fitting.starts import grid_starts
from scaling.laws.base import Law

__all__ = ["Solution", "solve", "solve_many"]

Array = NDArray[np.float64]
#: Starts that are followed to the end.
KEEP = 8
#: Scale of residuals at which annealing begins.
FIRST_DELTA = 0.1
#: While annealing, a minimum is near enough when a step would gain less than this share of the objective.
ROUGH = 1e-3
#: Steps that every start may take at the last delta.
SPRINT = 10
#: An unfinished start goes on beside a finished one when its objective is at most this many times as large.
NEAR = 1.02
#: Each delta is about this share smaller than the one before.
SPACING = 10.0


@dataclass(frozen=True)
class Solution:
    """Fitted parameters of ``R`` replicates (or curves).

    Attributes:
        theta: Natural parameters, shape ``(R, p)``.
        objective: Summed objective, shape ``(R,)``.
        converged: Whether the gradient of the summed objective vanished, shape ``(R,)``.
        gradient: Share of the objective that a Newton step could still gain, shape ``(R,)``.
        starts: Starts followed to the end.
        reached: Of these, how many ended at the best objective found (to 1e-6 of it).
        iterations: Steps of the slowest replicate.
    """

    theta: Array
    objective: Array
    converged: NDArray[np.bool_]
    gradient: Array
    starts: int
    reached: int
    iterations: int


def _problem(law: Law, inputs: Mapping[str, Array], target: Array, weights: Array, loss: Loss) -> Problem:
    low, high = law.bounds
    log = law.residuals == "log"
    with np.errstate(invalid="ignore", divide="ignore"):
        measured = np.log(target) if log else target
    return Problem(law.model, law.model.bind(inputs), measured, weights, loss, log, low, high)


def _schedule(loss: Loss, delta: float) -> list[float]:
    """Deltas from :data:`FIRST_DELTA` down to the target."""
    if not loss.annealed or delta >= FIRST_DELTA:
        return [delta]
    steps = max(1, round(np.log(FIRST_DELTA / delta) / np.log(SPACING)))
    return [float(value) for value in np.geomspace(FIRST_DELTA, delta, steps + 1)]


def _anneal(problem: Problem, theta: Array, delta: float, starts: int, *, begun: bool = False) -> Minimum:
    """Follow the minimum from a nearly quadratic objective to the one asked for.

    Rows come in blocks of ``starts`` for each data set. After :data:`SPRINT` steps, those go on that may still be the
    best: the two lowest, or, where the lowest has arrived, any that are as low within :data:`NEAR`. ``begun`` says
    that the first delta has been dealt with.
    """
    *wide, last = _schedule(problem.loss, delta)
    for scale in wide[1:] if begun else wide:
        theta = minimise(problem, theta, scale, limit=10, tolerance=ROUGH, exact=False).theta
    found = minimise(problem, theta, last, limit=SPRINT)
    cost = found.objective.reshape(-1, starts)
    done = found.converged.reshape(-1, starts)
    first = np.argsort(np.argsort(cost, axis=1, kind="stable"), axis=1) < 2
    settled = done[np.arange(len(cost)), np.argmin(cost, axis=1)][:, None]
    on = ~done & np.where(settled, cost <= NEAR * cost.min(axis=1, keepdims=True), first)
    rows = np.flatnonzero(on)
    if len(rows):
        rest = minimise(problem.take(rows, len(theta)), found.theta[rows], last)
        for name in ("theta", "objective", "gradient", "converged"):
            getattr(found, name)[rows] = getattr(rest, name)
        found.iterations += rest.iterations
    return found


def _merge(problem: Problem, theta: Array, delta: float) -> tuple[Array, NDArray[np.intp]]:
    """Starts that came to the same place as one, the best of each, and how many each stands for.

    The same place is one where the law's values differ by less than a tenth of the residuals: parameters may differ
    widely along directions that the data hardly see.
    """
    value = problem.model.value(theta, problem.bound)
    with np.errstate(all="ignore"):
        scale = (np.log(value) if problem.log else value) - problem.target
    cost = objective(problem, theta, delta)
    spread = np.sqrt((scale**2).mean(axis=1))
    kept: list[int] = []
    counts: list[int] = []
    for row in np.argsort(cost, kind="stable"):
        for place, other in enumerate(kept):
            if np.sqrt(((scale[row] - scale[other]) ** 2).mean()) < 0.1 * spread[other]:
                counts[place] += 1
                break
        else:
            kept.append(int(row))
            counts.append(1)
    return theta[kept], np.array(counts)


def solve(
    law: Law,
    inputs: Mapping[str, ArrayLike],
    target: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    loss: str = "huber",
    delta: float = 1e-3,
    starts: ArrayLike | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Solution:
    """Fit a law to one data set, or to reweighted copies of it.

    Args:
        law: The law.
        inputs: Its inputs, each of shape ``(n,)``.
        target: Measured values, shape ``(n,)``.
        weights: How often each run counts in each replicate, shape ``(R, n)``; one replicate of ones by default.
        loss: ``huber``, ``squared``, ``soft-l1`` or ``absolute``.
        delta: Scale of the loss, in the units of the residuals (of logarithms, for most laws); ``absolute`` has none.
        starts: Natural parameters to start from, shape ``(S, p)``; from a grid by default. With ``weights``, these
            are where every replicate starts.
        seed: For laws whose grid of starts is drawn at random.
        progress: Called with replicates done and all replicates.
    """
    columns = law.columns(inputs)
    measured = np.asarray(target, dtype=np.float64)
    rule = get_loss(loss)
    delta = TIP if rule.name == "absolute" else delta
    ones = np.ones(len(measured))
    given = None if starts is None else np.atleast_2d(np.asarray(starts, dtype=np.float64))
    if weights is None:
        return _solve_point(law, columns, measured, ones, rule, delta, given, seed)
    rows = np.atleast_2d(np.asarray(weights, dtype=np.float64))
    if given is None:
        given = _solve_point(law, columns, measured, ones, rule, delta, None, seed).theta
    return _solve_replicates(law, columns, measured, rows, rule, delta, given, progress)


def _solve_point(
    law: Law,
    columns: Mapping[str, Array],
    target: Array,
    weights: Array,
    loss: Loss,
    delta: float,
    starts: Array | None,
    seed: int,
) -> Solution:
    problem = _problem(law, columns, target, weights, loss)
    if starts is None:
        starts = grid_starts(law, columns, target, weights, seed=seed)
    search = np.clip(law.to_search(starts), problem.low, problem.high)
    if len(search) > KEEP:
        first = _schedule(loss, delta)[0]
        order = np.argsort(objective(problem, search, first), kind="stable")
        search = search[order[:KEEP]]
    first = _schedule(loss, delta)[0]
    rough = minimise(problem, search, first, limit=10, tolerance=ROUGH, exact=False).theta
    distinct, counts = _merge(problem, rough, first)
    found = _anneal(problem, distinct, delta, len(distinct), begun=True)
    best = int(np.argmin(found.objective))
    reached = int(counts[found.objective <= found.objective[best] * (1 + 1e-6) + 1e-28].sum())
    return Solution(
        law.to_natural(found.theta[best : best + 1]),
        found.objective[best : best + 1],
        found.converged[best : best + 1],
        found.gradient[best : best + 1],
        len(search),
        reached,
        found.iterations,
    )


def _solve_replicates(
    law: Law,
    columns: Mapping[str, Array],
    target: Array,
    weights: Array,
    loss: Loss,
    delta: float,
    starts: Array,
    progress: Callable[[int, int], None] | None,
) -> Solution:
    problem = _problem(law, columns, target, weights, loss)
    count = len(weights)
    size = count if progress is None else max(1, count // 40)
    pieces: list[Minimum] = []
    for first in range(0, count, size):
        rows = np.arange(first, min(first + size, count))
        pieces.append(_from_starts(problem.take(rows, count), law.to_search(starts), len(rows), delta))
        if progress is not None:
            progress(int(rows[-1]) + 1, count)
    return Solution(
        law.to_natural(np.concatenate([piece.theta for piece in pieces])),
        np.concatenate([piece.objective for piece in pieces]),
        np.concatenate([piece.converged for piece in pieces]),
        np.concatenate([piece.gradient for piece in pieces]),
        len(starts),
        len(starts),
        max(piece.iterations for piece in pieces),
    )


def _from_starts(problem: Problem, starts: Array, count: int, delta: float) -> Minimum:
    """Each replicate from each start, keeping its best end."""
    best: Minimum | None = None
    for start in starts:
        found = minimise(problem, np.repeat(start[None], count, axis=0), delta)
        if best is None:
            best = found
            continue
        better = found.objective < best.objective
        for name in ("theta", "objective", "gradient", "converged"):
            getattr(best, name)[better] = getattr(found, name)[better]
    assert best is not None
    return best


def solve_many(
    law: Law,
    curves: Sequence[tuple[Mapping[str, ArrayLike], ArrayLike]],
    *,
    loss: str = "huber",
    delta: float = 1e-3,
    seed: int = 0,
) -> Solution:
    """Fit the same law to many data sets at once; time and memory grow linearly with their number.

    Args:
        law: The law.
        curves: For each curve its inputs and its target, each of shape ``(n_curve,)``.
        loss: As in :func:`solve`.
        delta: As in :func:`solve`.
        seed: As in :func:`solve`.

    Returns:
        One row a curve, in order; ``starts`` and ``reached`` count one curve's starts, on average.
    """
    rule = get_loss(loss)
    delta = TIP if rule.name == "absolute" else delta
    block = 64
    thetas, objectives, converged, gradients = [], [], [], []
    reached, kept, iterations = 0, KEEP, 0
    for first in range(0, len(curves), block):
        part = [
            (law.columns(inputs), np.asarray(t, dtype=np.float64))
            for inputs, t in curves[first : first + block]
        ]
        found, kept = _solve_block(law, part, rule, delta, seed)
        table = found.objective.reshape(len(part), kept)
        best = np.argmin(table, axis=1)
        picked = np.arange(len(part)) * kept + best
        lowest = table[np.arange(len(part)), best]
        reached += int((table <= lowest[:, None] * (1 + 1e-6) + 1e-28).sum())
        thetas.append(law.to_natural(found.theta[picked]))
        objectives.append(lowest)
        converged.append(found.converged[picked])
        gradients.append(found.gradient[picked])
        iterations = max(iterations, found.iterations)
    return Solution(
        np.concatenate(thetas),
        np.concatenate(objectives),
        np.concatenate(converged),
        np.concatenate(gradients),
        kept,
        round(reached / max(len(curves), 1)),
        iterations,
    )


def _solve_block(
    law: Law, part: list[tuple[dict[str, Array], Array]], loss: Loss, delta: float, seed: int
) -> tuple[Minimum, int]:
    """A block of curves, padded to one length with runs of weight zero, from several starts each."""
    longest = max(len(target) for _, target in part)
    first_delta = _schedule(loss, delta)[0]
    starts: list[Array] = []
    for columns, target in part:
        weights = np.ones(len(target))
        rows = law.to_search(grid_starts(law, columns, target, weights, seed=seed))
        problem = _problem(law, columns, target, weights, loss)
        order = np.argsort(
            objective(problem, np.clip(rows, problem.low, problem.high), first_delta), kind="stable"
        )
        starts.append(rows[np.resize(order[:KEEP], KEEP)])

    def pad(values: Array) -> Array:
        return np.concatenate([values, np.repeat(values[-1:], longest - len(values))])

    inputs = {
        name: np.repeat(np.stack([pad(np.broadcast_to(c[name], t.shape)) for c, t in part]), KEEP, axis=0)
        for name in law.inputs
    }
    target = np.repeat(np.stack([pad(t) for _, t in part]), KEEP, axis=0)
    lengths = np.array([len(t) for _, t in part])
    weights = np.repeat((np.arange(longest) < lengths[:, None]).astype(np.float64), KEEP, axis=0)
    return _anneal(_problem(law, inputs, target, weights, loss), np.concatenate(starts), delta, KEEP), KEEP
