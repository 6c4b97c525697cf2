"""Contract: every check has a case where it fires and one where it does not, and says something to act on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from scaling.checks import Check, all_checks, check_prediction, check_runs, run_checks
from scaling.fitted import FittedLaw, fit_law
from scaling.laws import get_law
from scaling.runs import load_runs

TRUTH = [1.8, 400.0, 1500.0, 0.34, 0.37]


def table(sizes: int = 5, ratios: int = 5, noise: float = 0.003, **columns: Any) -> pd.DataFrame:
    """A grid of sizes and of tokens per parameter, Chinchilla's law with noise."""
    size, ratio = np.meshgrid(np.logspace(7, 9.5, sizes), np.logspace(0.7, 2, ratios), indexing="ij")
    params, tokens = size.ravel(), (size * ratio).ravel()
    rng = np.random.default_rng(0)
    loss = get_law("chinchilla").predict(TRUTH, {"params": params, "tokens": tokens})
    loss = loss * np.exp(rng.normal(0, noise, len(params)))
    return pd.DataFrame({"params": params, "tokens": tokens, "loss": loss}).assign(**columns)


@cache
def fitted(bootstrap: int = 60) -> FittedLaw:
    return fit_law(table(), bootstrap=bootstrap, delta=5e-3, checks=False)


def fit(frame: pd.DataFrame, law: Any = "chinchilla", bootstrap: int = 0, **options: Any) -> list[Check]:
    return run_checks(fit_law(frame, law, bootstrap=bootstrap, checks=False, **options))


def runs(**columns: Any) -> list[Check]:
    frame = table()
    made = {name: make(frame) if callable(make) else make for name, make in columns.items()}
    return check_runs(load_runs(frame.assign(**made)), get_law("chinchilla"))


def changed(**changes: Any) -> list[Check]:
    return run_checks(dataclasses.replace(fitted(), **changes))


def few(n: int) -> pd.DataFrame:
    return table().iloc[np.linspace(0, 24, n).astype(int)]


def with_outliers(size: float, rows: list[int]) -> pd.DataFrame:
    frame = table()
    frame.loc[rows, "loss"] *= 1 + size
    return frame


def bent() -> pd.DataFrame:
    """Runs of which one in twenty pulls towards another optimum."""
    frame = table(10, 10)
    order = np.argsort(-frame["tokens"].to_numpy() / frame["params"].to_numpy())[:8]
    frame.loc[order, "loss"] *= 1.25
    return frame


def repeated() -> pd.DataFrame:
    """Runs that never repeat their data, so that nothing decays."""
    return table(unique_tokens=table()["tokens"])


def asked(**inputs: float) -> list[Check]:
    return check_prediction(fitted(), {name: np.array([value]) for name, value in inputs.items()})


def chained(upstream: Any) -> list[Check]:
    frame = table().assign(error=lambda rows: 0.8 - 2.0 * np.exp(-0.6 * rows["loss"]))
    return fit(frame, "downstream", upstream=upstream)


def on_examples(value: float) -> list[Check]:
    frame = pd.DataFrame({"examples": np.logspace(2, 5, 12)})
    frame["loss"] = 0.1 + 3 * frame["examples"] ** -0.3
    curve = fit_law(frame, get_law("power-law", axis="examples"), bootstrap=0, checks=False)
    return check_prediction(curve, {"examples": np.array([value])})


#: name -> (a case where it fires, one where it must not)
CASES: dict[str, tuple[Callable[[], list[Check]], Callable[[], list[Check]]]] = {
    "warmup-longer-than-training": (
        lambda: runs(steps=100, warmup_steps=lambda f: np.where(f.index < 6, 150, 10)),
        lambda: runs(steps=100, warmup_steps=50),
    ),
    "warmup-longer-than-a-fifth": (
        lambda: runs(steps=100, warmup_steps=30),
        lambda: runs(steps=100, warmup_steps=20),
    ),
    "schedule-not-matched": (
        lambda: runs(steps=100, schedule_steps=200),
        lambda: runs(steps=100, schedule_steps=100),
    ),
    "checkpoints-as-runs": (
        lambda: runs(group=lambda f: f.index // 5),
        lambda: runs(group=lambda f: f.index),
    ),
    "repeated-data-in-one-epoch-law": (
        lambda: runs(unique_tokens=lambda f: f["tokens"] / 8),
        lambda: runs(unique_tokens=lambda f: f["tokens"]),
    ),
    "params-with-embeddings": (
        lambda: runs(N_no_emb=lambda f: f["params"] * np.linspace(0.5, 0.95, len(f))),
        lambda: runs(embedding_params=lambda f: 2 * f["params"]),
    ),
    "collinear-inputs": (
        lambda: check_runs(load_runs(table(8, 1))),
        lambda: runs(),
    ),
    "few-distinct-scales": (
        lambda: check_runs(load_runs(table(2, 2)), get_law("chinchilla")),
        lambda: runs(),
    ),
    "not-at-the-optimum": (
        lambda: changed(theta=np.array([float(f"{v:.2g}") for v in fitted().theta]), objective=rounded()),
        lambda: run_checks(fitted()),
    ),
    "one-start-reached-the-optimum": (
        lambda: changed(starts=20, reached=1),
        lambda: changed(starts=20, reached=9),
    ),
    "delta-against-residuals": (
        lambda: fit(table(10, 10), delta=1e-5),
        lambda: fit(table(), delta=5e-3),
    ),
    "few-degrees-of-freedom": (lambda: fit(few(6)), lambda: fit(few(8))),
    "intervals-narrower-than-runs-support": (lambda: fit(few(9)), lambda: fit(table(8, 8))),
    "parameter-at-bound": (
        lambda: fit(repeated(), "repeated-data-tied"),
        lambda: run_checks(fitted()),
    ),
    "unidentified-parameter": (
        lambda: fit(repeated(), "repeated-data-tied", bootstrap=50),
        lambda: run_checks(fitted()),
    ),
    "digits-to-quote": (lambda: fit(table(noise=1e-6)), lambda: fit(table(noise=0.1), delta=0.1)),
    "chained-law-without-upstream": (lambda: chained(None), lambda: chained("power-law-no-floor")),
    "influential-run": (
        lambda: fit(with_outliers(0.6, [24]), loss="squared", bootstrap=60),
        lambda: fit(table(10, 10), bootstrap=60, delta=5e-3),
    ),
    "handful-of-runs": (lambda: fit(bent(), loss="squared"), lambda: fit(table(10, 10, noise=1e-4))),
    "extrapolation-in-params": (
        lambda: asked(params=3e11, tokens=1e11),
        lambda: asked(params=4e9, tokens=1e11),
    ),
    "extrapolation-in-tokens": (
        lambda: asked(params=1e9, tokens=1e14),
        lambda: asked(params=1e9, tokens=1e11),
    ),
    "extrapolation-in-compute": (
        lambda: asked(params=3e10, tokens=3e12),
        lambda: asked(params=1e9, tokens=1e10),
    ),
    "extrapolation-in-tokens-per-param": (
        lambda: asked(params=1e7, tokens=1e10),
        lambda: asked(params=1e9, tokens=2e10),
    ),
    "extrapolation-in-other-inputs": (lambda: on_examples(1e7), lambda: on_examples(1e4)),
}


def rounded() -> float:
    """Objective at two digits, so that the stored figure is that of the stored parameters."""
    theta = np.array([float(f"{value:.2g}") for value in fitted().theta])
    there = dataclasses.replace(fitted(), theta=theta).residuals
    size, delta = np.abs(there), fitted().options.delta
    return float(np.where(size < delta, 0.5 * size**2, delta * (size - 0.5 * delta)).sum())


def test_every_check_has_a_case() -> None:
    assert {entry.name for entry in all_checks()} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_fires_and_says_what_to_do(name: str) -> None:
    fired = [check for check in CASES[name][0]() if check.name == name]
    assert len(fired) == 1, [check.name for check in CASES[name][0]()]
    (check,) = fired
    assert check.severity in ("info", "warning", "error")
    assert len(check.message) > 60
    assert check.message.rstrip().endswith(".")
    assert Check.from_dict(check.to_dict()) == check


@pytest.mark.parametrize("name", CASES)
def test_stays_quiet(name: str) -> None:
    assert name not in [check.name for check in CASES[name][1]()]


def test_a_sound_fit_has_nothing_worse_than_information() -> None:
    frame = table(10, 10, noise=0.002)
    found = fit(frame, bootstrap=100, delta=2e-3)
    assert {check.severity for check in found} <= {"info"}, found


def test_the_further_the_worse() -> None:
    order = ["info", "warning", "error"]
    seen = []
    for factor in (3, 30, 3000):
        found = asked(params=10**9.5 * factor, tokens=1e11)
        seen += [check.severity for check in found if check.name == "extrapolation-in-params"]
    assert seen == order
