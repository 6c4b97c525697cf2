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
from scaling.repeated_sampling.answers import Answers, Counts, answer_pass_at_k, load_counts
from scaling.repeated_sampling.estimator import pass_at_k
from scaling.repeated_sampling.verifier import BestSamples, Outcome, best_samples, resample

__all__ = [
    "DEFAULT",
    "PYTHIA_MATH",
    "Answers",
    "BestSamples",
    "Counts",
    "Outcome",
    "PassAtK",
    "Settings",
    "answer_pass_at_k",
    "best_samples",
    "beta_pass_at_k",
    "fit_pass_at_k",
    "load_counts",
    "pass_at_k",
    "power_law_pass_at_k",
    "resample",
]
