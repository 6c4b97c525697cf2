"""Which runs a fit hangs on: every run left out in turn, and a few dropped together.

After Broderick, Giordano and Meager, "An Automatic Finite-Sample Robustness Metric: When Can Dropping a Little Data
Make a Big Difference?" (arXiv 2011.14999), with real refits in place of their linear approximation: all of them are
replicates of one batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from scaling.checks.registry import Finding, check
from scaling.report.numbers import number, percent

if TYPE_CHECKING:
    from scaling.fitted import FittedLaw

__all__ = ["Influence", "drop_path", "far_point", "influence", "tokens_per_param"]

Array = NDArray[np.float64]
#: Runs that are left out in turn; of more, those with the largest residuals and the most extreme inputs.
MOST = 400
#: The same for laws without linear parameters, which take long to refit.
MOST_SLOW = 60
#: Columns that grow when training grows.
GROWING = ("params", "tokens", "unique_tokens", "flops", "examples", "steps")


def refit(fitted: FittedLaw, weights: Array) -> Array:
    """Parameters when runs count as ``weights`` (shape ``(R, n)``) say. Shape ``(R, p)``."""
    from scaling.fitting import solve

    options = fitted.options
    return solve(
        fitted.law,
        fitted.inputs,
        fitted.target,
        weights=weights,
        loss=options.loss,
        delta=options.delta,
        starts=fitted.theta,
    ).theta


def far_point(fitted: FittedLaw, reach: float = 10.0) -> dict[str, Array]:
    """Where a fit is judged: ``reach`` times the compute of its largest run, at that run's proportions."""
    names = [name for name in fitted.law.inputs if name in GROWING]
    if not names:
        # A law of the loss, or of an axis that nobody knows the direction of: just beyond the best run.
        best = int(np.argmin(fitted.target))
        return {name: np.array([0.95 * column[best]]) for name, column in fitted.inputs.items()}
    size = np.sum([np.log(fitted.inputs[name]) for name in names if name != "unique_tokens"], axis=0)
    largest = int(np.argmax(size))
    powers = sum(name in ("params", "tokens") for name in names)
    factor = reach ** (1.0 / max(powers, 1))
    return {
        name: np.array([column[largest] * (factor if name in names else 1.0)])
        for name, column in fitted.inputs.items()
    }


def tokens_per_param(fitted: FittedLaw, theta: Array, flops: float) -> Array:
    """Compute-optimal D / N of the law at ``flops`` = 6ND, for each row of ``theta`` (shape ``(R, p)``). "
    "Shape ``(R,)``."""
    ratio = np.logspace(-2, 4, 1201)
    params = np.sqrt(flops / 6.0 / ratio)
    value = fitted.law.predict(theta, {"params": params, "tokens": ratio * params})
    best: Array = ratio[np.nanargmin(value, axis=-1)]
    return best


@dataclass(frozen=True)
class Influence:
    """What each run does to the prediction at a far point.

    Attributes:
        rows: Runs left out, shape ``(m,)``.
        shift: Relative change of the prediction when each is left out, shape ``(m,)``.
        point: Where the prediction is made.
        spread: Standard deviation of that prediction over the bootstrap, relative; ``nan`` without draws.
    """

    rows: NDArray[np.int_]
    shift: Array
    point: dict[str, Array]
    spread: float


def influence(fitted: FittedLaw) -> Influence:
    """Leave each run out in turn and refit."""
    n = len(fitted.target)
    rows = np.arange(n)
    most = MOST if fitted.law.linear else MOST_SLOW
    if n > most:
        logs = np.stack([np.log(column) for column in fitted.inputs.values()])
        centred = np.abs((logs - logs.mean(1, keepdims=True)) / np.maximum(logs.std(1, keepdims=True), 1e-12))
        order = np.argsort(-np.abs(fitted.residuals)), np.argsort(-centred.max(0))
        rows = np.unique(np.concatenate([part[: most // 4] for part in order]))
    weights = np.ones((len(rows), n))
    weights[np.arange(len(rows)), rows] = 0.0
    point = far_point(fitted)
    value = float(fitted.law.predict(fitted.theta, point)[0])
    shift = fitted.law.predict(refit(fitted, weights), point)[:, 0] / value - 1.0
    spread = np.nan
    if len(fitted.draws) > 20:
        low, high = np.nanquantile(fitted.law.predict(fitted.draws, point)[:, 0] / value, [0.16, 0.84])
        spread = float(high - low) / 2
    return Influence(rows, shift, point, spread)


def drop_path(
    fitted: FittedLaw,
    most: int,
    *,
    order: Literal["worst", "up", "down"] = "worst",
    flops: float | None = None,
) -> Array:
    """Compute-optimal tokens per parameter as 0, 1, ... ``most`` runs are dropped together.

    Args:
        fitted: A law in ``params`` and ``tokens``.
        most: Runs dropped in the end.
        order: ``worst`` drops the highest losses first; ``up`` and ``down`` those that move the figure most each way.
        flops: Compute to ask for; ten times the largest run's by default.

    Returns:
        Shape ``(most + 1,)``.
    """
    compute = 6.0 * fitted.inputs["params"] * fitted.inputs["tokens"]
    asked = 10.0 * float(compute.max()) if flops is None else flops
    n = len(fitted.target)
    if order == "worst":
        sequence = np.argsort(-fitted.target)
    else:
        alone = tokens_per_param(fitted, refit(fitted, np.ones((n, n)) - np.eye(n)), asked)
        sequence = np.argsort(-alone if order == "up" else alone, kind="stable")
    weights = np.ones((most + 1, n))
    for dropped in range(most + 1):
        weights[dropped, sequence[:dropped]] = 0.0
    return tokens_per_param(fitted, refit(fitted, weights), asked)


@check("influential-run", "fit")
def _influential_run(fitted: FittedLaw) -> Finding | None:
    """One run that moves the prediction beyond the data by more than three quarters of its standard error."""
    if len(fitted.target) <= len(fitted.theta) + 1:
        return None
    found = influence(fitted)
    worst = int(np.nanargmax(np.abs(found.shift)))
    if not (found.spread > 0 and abs(found.shift[worst]) > 0.75 * found.spread):
        return None
    where = ", ".join(f"{name} {number(float(value[0]), 3)}" for name, value in found.point.items())
    return Finding(
        "warning",
        f"leaving out run {int(found.rows[worst]) + 1} alone moves the prediction at {where} by "
        f"{percent(found.shift[worst], 2)}, against a standard error of {percent(found.spread, 2)}. Look "
        "at this run; if "
        "nothing is wrong with it, runs near it would settle the question.",
        {"row": int(found.rows[worst]), "shift": float(found.shift[worst]), "standard_error": found.spread},
    )


@check("handful-of-runs", "fit")
def _handful(fitted: FittedLaw) -> Finding | None:
    """A few runs in a hundred that decide the compute-optimal tokens per parameter."""
    n = len(fitted.target)
    if set(fitted.law.inputs) != {"params", "tokens"} or not 20 <= n <= MOST:
        return None
    most = int(np.ceil(0.045 * n)) if n < 245 else int(0.045 * n)
    paths = {order: drop_path(fitted, most, order=order) for order in ("worst", "up", "down")}
    start = float(paths["worst"][0])
    reached = {order: float(path[-1]) for order, path in paths.items()}
    low, high = min([start, *reached.values()]), max([start, *reached.values()])
    if high < 1.5 * low:
        return None
    return Finding(
        "warning",
        f"the fit hangs on a handful of its {n} runs: at ten times the largest compute it wants "
        f"{number(start, 3)} tokens "
        f"per parameter, but {number(reached['worst'], 3)} without the {most} runs of highest loss, and "
        "anything from "
        f"{number(low, 3)} to {number(high, 3)} depending on which {most} are dropped. Say so when you "
        "quote it.",
        {"dropped": most, "tokens_per_param": start, **{f"without_{k}": v for k, v in reached.items()}},
    )
