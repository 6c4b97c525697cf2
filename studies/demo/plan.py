"""What the demo runs: its study file, and the larger model that it predicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Candidate", "Plan", "candidates", "full", "reduced"]

_CONFIGS = Path(__file__).resolve().parents[2] / "configs"
#: Octaves between the prediction and the points around it: far enough to be told apart from noise.
_STEP = 1.0


@dataclass(frozen=True)
class Plan:
    """The demo's size.

    Attributes:
        study: Study of the small models: its file, or the same as a mapping.
        target: ``params`` and ``tokens`` of the larger model.
        fixed: What every run at the target is handed beside.
        seeds: Fresh seeds of the larger model: neither tuned nor tested on.
        level: Coverage of the intervals.
    """

    study: Path | Mapping[str, Any]
    target: Mapping[str, int]
    seeds: tuple[int, ...]
    fixed: Mapping[str, Any] = field(default_factory=dict)
    level: float = 0.9


@dataclass(frozen=True)
class Candidate:
    """A configuration of the larger model.

    Attributes:
        role: What it is, such as ``prediction`` or ``twice the learning rate``.
        lr: Peak learning rate.
        batch_size: Tokens a step.
    """

    role: str
    lr: float
    batch_size: int


def full() -> Plan:
    """The demo as ``make demo`` runs it."""
    target = {"params": 196608, "tokens": 524288}
    return Plan(_CONFIGS / "demo.yaml", target, (200, 201), {"device": "cpu"})


def reduced() -> Plan:
    """Two sizes and few trials, for continuous integration."""
    target = {"params": 24576, "tokens": 32768}
    return Plan(_CONFIGS / "demo-reduced.yaml", target, (200, 201), {"device": "cpu", "held_out": 8192})


def candidates(
    prediction: Mapping[str, float],
    baseline: Mapping[str, float],
    carried: Mapping[str, float],
) -> list[Candidate]:
    """What is trained at the target: the prediction, what is carried over unchanged, and points around the prediction.

    Args:
        prediction: ``lr`` and ``batch_size`` by the law.
        baseline: The study's baseline.
        carried: The incumbent of the largest small model.
    """
    lr, batch = prediction["lr"], prediction["batch_size"]
    wide = 2.0**_STEP
    listed = [
        Candidate("prediction", lr, round(batch)),
        Candidate("baseline, unchanged", baseline["lr"], round(baseline["batch_size"])),
        Candidate("small model's best, unchanged", carried["lr"], round(carried["batch_size"])),
        Candidate(f"{wide:g} × lr", lr * wide, round(batch)),
        Candidate(f"lr / {wide:g}", lr / wide, round(batch)),
        Candidate(f"{wide:g} × batch", lr, round(batch * wide)),
        Candidate(f"batch / {wide:g}", lr, round(batch / wide)),
    ]
    # Rounded, so that a run that is started again asks for the very same configuration.
    rounded = [Candidate(one.role, float(f"{one.lr:.4g}"), max(64, one.batch_size)) for one in listed]
    # Around a prediction of the smallest batch there may be nothing new.
    known = {(one.lr, one.batch_size) for one in rounded[:3]}
    return rounded[:3] + [one for one in rounded[3:] if (one.lr, one.batch_size) not in known]
