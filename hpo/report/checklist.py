"""What must be said for a study to be judged and repeated, filled in from the record.

After the recommendations of Eimer, Lindauer, Raileanu, "Hyperparameters in Reinforcement Learning and How To Tune
Them" (ICML 2023, arXiv 2306.01324): report spaces, seeds of tuning and testing, budgets, the tuner with its settings,
hardware and versions, and do not leave failed runs out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hpo import cost
from hpo.report.words import configuration, ranges
from hpo.study import PHASES

if TYPE_CHECKING:
    from hpo.study import Study

__all__ = ["checklist"]

_MISSING = "not on the record"


def checklist(study: Study) -> list[tuple[str, str]]:
    """Pairs of what is asked and what the record answers; what it does not know it says."""
    told = study.definition
    sessions = study.provenance
    seeds = told.get("seeds", {})
    return [
        ("objective", str(told.get("objective") or told.get("command") or _MISSING)),
        ("metric", f"{study.metric}, to {study.direction}"),
        (
            "search space",
            "; ".join(f"{name}: {_range(spec)}" for name, spec in told.get("space", {}).items()) or "none",
        ),
        ("fixed values", configuration(told.get("fixed") or {}) or "none"),
        ("scales", "; ".join(map(configuration, told.get("scales") or ())) or "one"),
        ("tuning seeds", f"{_listed(seeds.get('tuning'))} (allocation: {seeds.get('allocation', 'fixed')})"),
        ("testing seeds", _listed(seeds.get("testing"))),
        ("openings of the testing seeds", _openings(study)),
        ("tuner", _settings(told.get("sampler"))),
        ("early stopping", _settings(told.get("scheduler"))),
        (
            "tuning budget",
            configuration(told.get("budget") or {}) + f" ({len(study.records('tuning'))} runs made)",
        ),
        ("baseline", _baseline(study)),
        ("failed runs", _failures(study)),
        ("hardware", "; ".join(dict.fromkeys(map(_machine, sessions))) or _MISSING),
        ("resources of a run", configuration(told.get("resources") or {}) or _MISSING),
        ("time", _time(study)),
        ("code", "; ".join(dict.fromkeys(map(_code, sessions))) or _MISSING),
        ("versions", "; ".join(dict.fromkeys(map(_versions, sessions))) or _MISSING),
    ]


def _range(spec: Any) -> str:
    if not isinstance(spec, Mapping):
        return str(spec)
    if "choices" in spec:
        said = f"one of {', '.join(map(str, spec['choices']))}"
    else:
        scale = ", log" if spec.get("log") else ""
        said = f"{spec.get('low'):g} to {spec.get('high'):g}, {spec.get('type', 'float')}{scale}"
    return f"{said}, when {spec['when']}" if spec.get("when") else said


def _listed(seeds: Any) -> str:
    return ranges(seeds or ())


def _openings(study: Study) -> str:
    if not study.openings:
        return "none: sealed"
    return "; ".join(
        f"{entry.get('when')} by {entry.get('who')} on {entry.get('host')}"
        + (f" at {entry['scale']}" if entry.get("scale") else "")
        + f" for {', '.join(what['role'] for what in entry['what'])}"
        for entry in study.openings
    )


def _settings(told: Mapping[str, Any] | None) -> str:
    if not told:
        return _MISSING
    rest = {
        key: value for key, value in told.items() if key != "name" and not isinstance(value, (dict, list))
    }
    return f"{told.get('name')} {configuration(rest)}".strip()


def _baseline(study: Study) -> str:
    told = study.definition.get("baseline")
    if not told:
        return "none"
    if told.get("tune") is not None:
        return f"tuned with the same budget and seeds by {_settings(told['tune'].get('sampler'))}"
    return f"given, not tuned: {configuration(told.get('config') or {})}"


def _failures(study: Study) -> str:
    parts = []
    for phase in PHASES:
        records = study.records(phase)
        if records:
            lost = sum(run.value is None for run in records)
            diverged = sum(run.status == "diverged" for run in records)
            parts.append(
                f"{phase}: {lost} of {len(records)}" + (f" ({diverged} diverged)" if diverged else "")
            )
    return "; ".join(parts) or "no runs"


def _machine(session: Mapping[str, Any]) -> str:
    parts = [str(session.get("cpu") or "unknown processor"), f"{session.get('cores')} cores"]
    if session.get("memory_gib"):
        parts.append(f"{session['memory_gib']} GiB")
    return ", ".join([*parts, *map(str, session.get("gpus") or ["no GPU"])]) + f" ({session.get('system')})"


def _code(session: Mapping[str, Any]) -> str:
    git = session.get("git")
    if not git:
        return "not in a git repository"
    return f"git {git['commit'][:12]}" + (" with uncommitted changes" if git.get("changed") else "")


def _versions(session: Mapping[str, Any]) -> str:
    packages = session.get("packages") or {}
    return ", ".join(
        [f"python {session.get('python')}", *(f"{name} {version}" for name, version in packages.items())]
    )


def _time(study: Study) -> str:
    every = [run for phase in PHASES for run in study.records(phase)]
    said = cost.total(every).describe()
    return "; ".join(f"{name}: {value}" for name, value in said.items())
