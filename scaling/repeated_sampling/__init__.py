"""Repeated sampling: pass@k and its law over problems, and resampling against an imperfect verifier."""

from __future__ import annotations

from scaling.repeated_sampling.aggregate import (
    DEFAULT,
    PYTHIA_MATH,
    PassAtK,
    Settings,
    beta_pass_at_k,
    fit_pass_at_k,
    power_law_pass_at_k,
)
from scaling.repeated_sampling.estimator import pass_at_k
from scaling.repeated_sampling.verifier import BestSamples, Outcome, best_samples, resample

__all__ = [
    "DEFAULT",
    "PYTHIA_MATH",
    "BestSamples",
    "Outcome",
    "PassAtK",
    "Settings",
    "best_samples",
    "beta_pass_at_k",
    "fit_pass_at_k",
    "pass_at_k",
    "power_law_pass_at_k",
    "resample",
]
