"""What a study has come to, in numbers for people and machines."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from hpo.ledger import RunRecord
from scaling.errors import ForetuneError

if TYPE_CHECKING:
    from hpo.study import Scale, Study

__all__ = ["summary"]


def summary(study: Study) -> dict[str, Any]:
    """Name, metric, and for each scale: counts of runs by status, the incumbent, what testing found, last errors."""
    parts = [_scale(study, scale) for scale in study.scales]
    for section in study.given:
        records = list(section.ledger())
        parts.append({"scale": "", "phase": "given", "runs": dict(Counter(run.status for run in records))})
    return {
        "name": study.name,
        "metric": study.metric,
        "direction": study.direction,
        "scales": parts,
        "tuning_seeds": list(study.definition.get("seeds", {}).get("tuning", [])),
        "testing_seeds": list(study.definition.get("seeds", {}).get("testing", [])),
        "openings": study.openings,
        "second_look": any(sum(o["scale"] == s.label for o in study.openings) > 1 for s in study.scales),
    }


def _scale(study: Study, scale: Scale) -> dict[str, Any]:
    ledger = scale.ledger
    records = list(ledger)
    found: dict[str, Any] = {
        "scale": scale.label,
        "configurations": len(ledger.params),
        "planned": _planned(study),
        "runs": dict(Counter(run.status for run in records)),
        "seconds": sum(run.seconds for run in records),
        "incumbent": None,
        "testing": {},
        "errors": [_last_line(run) for run in records if run.error][-3:],
    }
    try:
        incumbent = scale.incumbent
    except ForetuneError:
        return found
    estimate = incumbent.estimate
    found["incumbent"] = {
        "configuration": incumbent.configuration,
        "config": dict(incumbent.config),
        "estimate": {"value": estimate.value, "low": estimate.low, "high": estimate.high},
    }
    if scale.testing is not None:
        tested = scale.testing.ledger()
        for number, role in scale.testing.roles().items():
            for word in role.split(", "):
                found["testing"].setdefault(word, []).append(
                    _tested(tested.params[number], tested.of(number))
                )
    return found


def _tested(config: dict[str, Any], runs: list[RunRecord]) -> dict[str, Any]:
    """A mean only where every testing run has completed: one over survivors would flatter fragile configurations."""
    values = [run.value for run in runs if run.status == "complete" and run.value is not None]
    whole = bool(values) and len(values) == len(runs)
    return {
        "config": config,
        "runs": len(runs),
        "failed": len(runs) - len(values),
        "mean": sum(values) / len(values) if whole else None,
        "values": {run.atom.seed: run.value for run in runs},
    }


def _planned(study: Study) -> dict[str, Any]:
    budget = study.definition.get("budget", {})
    return {name: value for name, value in budget.items() if value is not None}


def _last_line(run: RunRecord) -> str:
    lines = [line for line in (run.error or "").splitlines() if line.strip()]
    return f"configuration {run.atom.configuration}, seed {run.atom.seed}: {lines[-1].strip() if lines else run.status}"
