"""Checks of a fit: its optimum, its degrees of freedom, its parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scaling.checks.registry import Finding, check
from scaling.report.numbers import number, percent

if TYPE_CHECKING:
    from scaling.fitted import FittedLaw

__all__: list[str] = []

Array = NDArray[np.float64]


def _spread(fitted: FittedLaw) -> float:
    """Robust standard deviation of the residuals."""
    residual = fitted.residuals
    return float(1.4826 * np.median(np.abs(residual - np.median(residual))))


def _independent(fitted: FittedLaw) -> int:
    """Runs, with checkpoints of one training counted once."""
    return int(fitted.frame["group"].nunique()) if "group" in fitted.frame else len(fitted.target)


@check("not-at-the-optimum", "fit")
def _not_at_the_optimum(fitted: FittedLaw) -> Finding | None:
    """Parameters that do not minimise the summed objective: stopped early, or rounded."""
    from scaling.fitting import solve

    options = fitted.options
    here = solve(
        fitted.law,
        fitted.inputs,
        fitted.target,
        weights=np.ones((1, len(fitted.target))),
        loss=options.loss,
        delta=options.delta,
        starts=fitted.theta,
    )
    lower = 1.0 - float(here.objective[0]) / fitted.objective if fitted.objective > 0 else 0.0
    if fitted.converged and lower < 1e-6:
        return None
    if lower < 1e-6:
        return Finding(
            "warning",
            "the gradient of the summed objective did not vanish, though no lower point was found nearby: "
            "the optimum "
            "is flat, and several sets of parameters fit equally well. Trust predictions near the runs, "
            "not parameters.",
            {"lower": lower},
        )
    return Finding(
        "error",
        f"going on from these parameters lowers the summed objective by {percent(lower, 3)}: they were "
        "rounded, or the "
        "optimiser stopped early (as it does when the objective is averaged over the runs). Fit again.",
        {"lower": lower},
    )


@check("one-start-reached-the-optimum", "fit")
def _one_start(fitted: FittedLaw) -> Finding | None:
    """A lowest point that only one of several starts has found."""
    if fitted.starts < 3 or fitted.reached > 1:
        return None
    return Finding(
        "warning",
        f"only {fitted.reached} of {fitted.starts} starts ended at the lowest objective: a lower one may "
        "exist. Fit with "
        "another seed or fewer parameters, and compare the objectives.",
        {"starts": fitted.starts, "reached": fitted.reached},
    )


@check("delta-against-residuals", "fit")
def _delta(fitted: FittedLaw) -> Finding | None:
    """A Huber delta so far from the residuals' scale that the loss is another one in truth."""
    if fitted.options.loss != "huber":
        return None
    inside = float(np.mean(np.abs(fitted.residuals) < fitted.options.delta))
    spread = _spread(fitted)
    details = {"inside": inside, "delta": fitted.options.delta, "spread": spread}
    said = f"delta {number(fitted.options.delta)} against residuals of {number(spread, 3)}"
    if inside < 0.15:
        return Finding(
            "info",
            f"{said}: only {percent(inside, 2)} of them are inside, so this is nearly a "
            "least-absolute-deviations fit, "
            f"robust but less sharp. Compare with delta {number(1.5 * spread, 2)}.",
            details,
        )
    largest = float(np.max(np.abs(fitted.residuals)))
    if inside == 1.0 and spread > 0 and largest > 5 * spread:
        return Finding(
            "warning",
            f"{said}: all are inside, so this is a least-squares fit, and the largest residual "
            f"({number(largest, 3)}) pulls "
            f"with full weight. Try delta {number(1.5 * spread, 2)}.",
            details,
        )
    return None


@check("few-degrees-of-freedom", "fit")
def _degrees(fitted: FittedLaw) -> Finding | None:
    """Fewer than three runs more than parameters."""
    runs, parameters = _independent(fitted), len(fitted.law.names)
    spare = runs - parameters
    if spare >= 3:
        return None
    return Finding(
        "error" if spare < 2 else "warning",
        f"{parameters} parameters on {runs} points leave {max(spare, 0)} "
        f"{'degree' if spare == 1 else 'degrees'} of freedom: the residuals say next to "
        "nothing about the law's error, and a good fit is no evidence. Add runs, or fix parameters "
        "(`--fix`).",
        {"runs": runs, "parameters": parameters},
    )


@check("intervals-narrower-than-runs-support", "fit")
def _narrow(fitted: FittedLaw) -> Finding | None:
    """Bootstrap intervals from so few runs that they must be too narrow."""
    runs, parameters = _independent(fitted), len(fitted.law.names)
    spare = runs - parameters
    if spare < 1:
        return None
    from scipy.stats import t

    # p parameters follow the residuals, which shrinks them, and the n - p left estimate a spread only so well.
    factor = float(t.ppf(0.975, spare) / 1.96 * np.sqrt(runs / spare))
    if factor < 1.15:
        return None
    return Finding(
        "warning",
        f"standard errors from resampling {runs} runs under {parameters} parameters are too small: 95 % "
        "intervals made "
        f"from them would have to be about {number(factor, 3)} times as wide. Predictions here allow for "
        "it; parameters' "
        "standard errors do not.",
        {"factor": factor, "runs": runs},
    )


@check("parameter-at-bound", "fit")
def _bounds(fitted: FittedLaw) -> Finding | None:
    """Parameters that the search pushed against the end of their range."""
    low, high = fitted.law.bounds
    place = fitted.law.to_search(fitted.theta)
    at = np.isclose(place, low, rtol=0, atol=1e-4) | np.isclose(place, high, rtol=0, atol=1e-4)
    at |= fitted.law.to_natural(place) < 1e-12 * (np.array([p.low for p in fitted.law.parameters]) == 0.0)
    if not at.any():
        return None
    names = [name for name, stuck in zip(fitted.law.names, at, strict=True) if stuck]
    said = ", ".join(f"{name} = {number(fitted.params[name], 3)}" for name in names)
    return Finding(
        "warning",
        f"{said} stands at the end of its range: the data does not identify it, and it is no measurement. "
        "Fit a law "
        f"without it, fix it (`--fix {names[0]}=VALUE`), or add runs that it acts on.",
        {"parameters": names},
    )


@check("unidentified-parameter", "fit")
def _unidentified(fitted: FittedLaw) -> Finding | None:
    """Parameters that resampled runs put anywhere."""
    if len(fitted.draws) < 50:
        return None
    low, high = fitted.law.bounds
    draws = fitted.law.to_search(fitted.draws)
    said, names = [], []
    for place, parameter in enumerate(fitted.law.parameters):
        column = draws[:, place]
        ends = np.quantile(fitted.draws[:, place], [0.05, 0.95])
        stuck = float(np.mean((column < low[place] + 1e-3) | (column > high[place] - 1e-3)))
        # Factors of a power (which have no starts of their own) trade with its exponent and span decades without harm.
        limit = 10.0 if parameter.starts else 1e4
        spans = parameter.transform == "log" and ends[0] > 0 and ends[1] > limit * ends[0]
        if spans or stuck > 0.1:
            names.append(parameter.name)
            said.append(
                f"{parameter.name} is {number(ends[0], 3)} to {number(ends[1], 3)}"
                + (f", at the end of its range in {percent(stuck, 2)} of them" if stuck > 0.1 else "")
            )
    if not names:
        return None
    return Finding(
        "warning",
        f"over {len(fitted.draws)} resamples of the runs (5th to 95th percentile) {'; '.join(said)}: "
        "unidentified by "
        "this data. Do not quote a value; fix it from elsewhere, or add runs that it acts on.",
        {"parameters": names},
    )


@check("digits-to-quote", "fit")
def _digits(fitted: FittedLaw) -> Finding | None:
    """How many digits of the parameters a publication must print for others to get the same predictions."""
    exact, spread = fitted.fitted_values, max(_spread(fitted), 1e-12)
    for digits in range(2, 12):
        rounded = np.array([float(f"{value:.{digits - 1}e}") for value in fitted.theta])
        with np.errstate(all="ignore"):
            change = fitted.law.predict(rounded, fitted.inputs) - exact
        if fitted.law.residuals == "log":
            change = change / exact
        if np.max(np.abs(change)) <= 0.1 * spread:
            break
    if digits <= 3:
        return None
    return Finding(
        "info",
        f"quote the parameters with {digits} significant digits or more: rounded to fewer, predictions at "
        "the runs move "
        "by over a tenth of the residuals. The law file keeps all of them.",
        {"digits": digits},
    )


@check("chained-law-without-upstream", "fit")
def _chained(fitted: FittedLaw) -> Finding | None:
    """A law of the loss that will be asked at predicted losses, without their uncertainty."""
    if fitted.law.inputs != ("loss",) or fitted.upstream is not None:
        return None
    return Finding(
        "warning",
        f"{fitted.law.name} was fitted to measured losses. Asked at a predicted loss, its interval leaves "
        "out that "
        "prediction's own error. Give the law of the loss as `upstream` (`--upstream LAW`), and both are "
        "carried through.",
    )
