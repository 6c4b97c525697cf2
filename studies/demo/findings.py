"""What came out, in numbers and in ten lines."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scaling.report.numbers import count
from scaling.terminal import clean

if TYPE_CHECKING:
    import pandas as pd

    from studies.demo.drive import Outcome

__all__ = ["Findings", "Measured", "Shared", "summarise"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """A configuration on seeds it was not chosen on.

    Attributes:
        role: ``prediction``, ``incumbent``, ``baseline``, ...
        lr: Peak learning rate.
        batch_size: Tokens a step.
        losses: One a seed; failed or diverged runs are left out and counted in ``failed``.
        failed: Runs without a result.
        tuning: Losses of the same configuration on the tuning seeds, where it has some.
    """

    role: str
    lr: float
    batch_size: float
    losses: tuple[float, ...]
    failed: int = 0
    tuning: tuple[float, ...] = ()

    @property
    def mean(self) -> float:
        """Mean loss; infinite where a run failed, since a configuration that fails cannot be the best."""
        return float(np.mean(self.losses)) if self.losses and not self.failed else math.inf


@dataclass(frozen=True)
class Shared:
    """What the runs have used.

    Attributes:
        part: Which runs.
        runs: Finished ones.
        failed: Of them, failed or diverged.
        core_minutes: Training time summed over runs, in minutes.
        flops: Summed over runs, 6ND.
    """

    part: str
    runs: int
    failed: int
    core_minutes: float
    flops: float


@dataclass(frozen=True)
class Findings:
    """The demo in numbers.

    Attributes:
        target: ``params`` and ``tokens`` of the larger model.
        prediction: Of each hyperparameter: ``value``, ``low``, ``high``.
        level: Coverage that the intervals claim.
        scales: Of each small size: its label, the incumbent and the baseline on testing seeds.
        measured: Configurations of the larger model on fresh seeds, as listed in the plan.
        best: Role of the best of them.
        gap: How far the prediction's mean loss lies above the best's, relative.
        gap_noise: Standard error of that difference by its seeds, relative; NaN with one seed.
        over_baseline: How far the baseline lies above the prediction, relative.
        over_carried: How far the small model's best, carried over unchanged, lies above the prediction, relative.
        predicted_loss: By the law, with its interval; ``None`` if it makes no statement.
        used: What the runs have used.
        wall_minutes: From the first start to the last end, pauses taken out.
        machine: Processor, cores, memory, versions.
    """

    target: dict[str, int]
    prediction: dict[str, dict[str, float]]
    level: float
    scales: list[dict[str, Any]]
    measured: list[Measured]
    best: str
    gap: float
    gap_noise: float
    over_baseline: float
    over_carried: float
    predicted_loss: dict[str, float] | None
    used: list[Shared]
    wall_minutes: float
    machine: dict[str, Any]

    @property
    def runs(self) -> int:
        """All training runs."""
        return sum(part.runs for part in self.used)

    @property
    def core_minutes(self) -> float:
        """Training time of all of them."""
        return sum(part.core_minutes for part in self.used)

    @property
    def verdict(self) -> str:
        """How far the prediction was from the best of those trained, in words."""
        if self.gap <= 0:
            return "the prediction is the best of them"
        return f"the prediction is {self.gap:.2%} (± {self.gap_noise:.2%}) above it"

    def text(self) -> str:
        """Ten lines for people."""
        lr, batch = self.prediction["lr"], self.prediction["batch_size"]
        by_role = {one.role: one for one in self.measured}
        predicted = self.measured[0]
        small = "; ".join(
            f"{count(scale['params'])} {scale['incumbent'].mean:.3f} ({scale['baseline'].mean:.3f})"
            for scale in self.scales
        )
        lines = [
            f"small models tuned: {small}  [testing loss of the chosen, in brackets of the baseline]",
            f"the law predicts for {count(self.target['params'])} parameters, {count(self.target['tokens'])} tokens "
            f"({self.level:.0%} intervals):",
            f"  lr         {lr['value']:.4f}  [{lr['low']:.4f}, {lr['high']:.4f}]",
            f"  batch size {batch['value']:.0f} tokens  [{batch['low']:.0f}, {batch['high']:.0f}]",
            f"trained there on {len(predicted.losses)} fresh seeds, held-out loss in nats a byte:",
            f"  prediction           {_loss(predicted)}" + self._loss_law(),
            f"  small model's best   {_loss(self.measured[2])}  ({self.over_carried:+.2%})",
            f"  baseline unchanged   {_loss(self.measured[1])}  ({self.over_baseline:+.2%})",
            f"  best of {len(self.measured)}            {_loss(by_role[self.best])}  ({self.best}): {self.verdict}",
            f"{self.runs} runs, {self.core_minutes:.1f} core-minutes of training in {self.wall_minutes:.1f} minutes "
            f"on {self.machine['cores']} cores ({self.machine['cpu']})",
        ]
        return "\n".join(lines)

    def _loss_law(self) -> str:
        if self.predicted_loss is None:
            return ""
        loss = self.predicted_loss
        return f"  (the law said {loss['value']:.3f} [{loss['low']:.3f}, {loss['high']:.3f}])"

    def write(self, folder: Path) -> None:
        """``summary.json`` and ``summary.txt``."""
        stored = asdict(self)
        for one, measured in zip(stored["measured"], self.measured, strict=True):
            one["mean"] = measured.mean
        (folder / "summary.json").write_text(json.dumps(clean(stored), indent=2) + "\n")
        (folder / "summary.txt").write_text(self.text() + "\n")


def summarise(outcome: Outcome) -> Findings:
    """Read the findings off the runs."""
    target = _measured_at_target(outcome)
    best = min(target, key=lambda one: one.mean)
    prediction, baseline, carried = target[:3]
    everything = outcome.study.provenance
    return Findings(
        dict(outcome.plan.target),
        {name: outcome.answer["predictions"][name] for name in ("lr", "batch_size")},
        outcome.plan.level,
        _scales(outcome),
        target,
        best.role,
        _relative(prediction, best),
        _standard_error(prediction, best),
        _relative(baseline, prediction),
        _relative(carried, prediction),
        outcome.answer["predictions"].get("loss"),
        _used(outcome),
        _wall_minutes(outcome),
        everything[-1],
    )


def _measured_at_target(outcome: Outcome) -> list[Measured]:
    frame = outcome.target_runs
    listed = []
    # A configuration that is there twice has been trained once, and is recorded under its first role.
    first: dict[tuple[float, int], str] = {}
    for one in outcome.candidates:
        role = first.setdefault((one.lr, one.batch_size), one.role)
        rows = frame[frame["role"] == role]
        listed.append(_measured(one.role, rows, one.lr, one.batch_size))
    return listed


def _measured(role: str, rows: pd.DataFrame, lr: float, batch_size: float, tuning: Any = ()) -> Measured:
    done = rows[rows["status"] == "complete"].sort_values("seed")
    trained = float(done["batch_size"].iloc[0]) if len(done) else float(batch_size)
    losses = tuple(float(loss) for loss in done["loss"])
    return Measured(role, float(lr), trained, losses, len(rows) - len(done), tuple(tuning))


def _scales(outcome: Outcome) -> list[dict[str, Any]]:
    frame, listed = outcome.runs, []
    for scale in outcome.study.scales:
        here = frame[frame["scale"] == scale.label]
        tuning, testing = here[here["phase"] == "tuning"], here[here["phase"] == "testing"]
        chosen = scale.incumbent
        seen = tuning[(tuning["configuration"] == chosen.configuration) & (tuning["status"] == "complete")]
        entry: dict[str, Any] = {"label": scale.label, "params": int(here["params"].dropna().iloc[0])}
        entry["tokens"] = int(here["tokens"].dropna().iloc[0])
        entry["estimate"] = {
            "value": chosen.estimate.value,
            "low": chosen.estimate.low,
            "high": chosen.estimate.high,
        }
        for role in ("incumbent", "baseline"):
            rows = testing[testing["role"] == role]
            lr, batch = (float(rows[name].iloc[0]) for name in ("lr", "batch_size"))
            losses = seen["loss"] if role == "incumbent" else ()
            entry[role] = _measured(role, rows, lr, batch, [float(loss) for loss in losses])
        listed.append(entry)
    return listed


def _used(outcome: Outcome) -> list[Shared]:
    runs, target = outcome.runs, outcome.target_runs
    parts = [
        ("tuning, small sizes", runs[runs["phase"] == "tuning"]),
        ("testing, small sizes", runs[runs["phase"] == "testing"]),
        ("the larger model", target),
    ]
    return [
        Shared(
            name,
            len(rows),
            int((rows["status"] != "complete").sum()),
            float(rows["seconds"].sum()) / 60,
            float(rows["flops"].sum()) if "flops" in rows else math.nan,
        )
        for name, rows in parts
    ]


def _wall_minutes(outcome: Outcome, pause: float = 60.0) -> float:
    """Minutes in which something ran: gaps of more than ``pause`` seconds are interruptions, not work."""
    starts = np.concatenate([outcome.runs["started"], outcome.target_runs["started"]])
    ends = starts + np.concatenate([outcome.runs["seconds"], outcome.target_runs["seconds"]])
    order = np.argsort(starts)
    total, reached = 0.0, float(starts[order[0]])
    for start, end in zip(starts[order], ends[order], strict=True):
        if start - reached > pause:
            reached = float(start)
        total += max(0.0, float(end) - reached)
        reached = max(reached, float(end))
    return total / 60


def _relative(one: Measured, other: Measured) -> float:
    """How far ``one`` lies above ``other``; infinite where one of its runs failed."""
    return one.mean / other.mean - 1 if math.isfinite(one.mean) and other.mean > 0 else math.inf


def _standard_error(one: Measured, other: Measured) -> float:
    if one.role == other.role:
        return 0.0
    if len(one.losses) != len(other.losses) or len(one.losses) < 2:
        return math.nan
    differences = np.subtract(one.losses, other.losses)
    return float(differences.std(ddof=1) / math.sqrt(len(differences)) / other.mean)


def _loss(one: Measured) -> str:
    failed = f", {one.failed} failed" if one.failed else ""
    return (f"{np.mean(one.losses):.4f}" if one.losses else "no result") + failed
