"""Studies as methods to compare: the testing runs of what they chose, what tuning cost, where it ran."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hpo import cost
from hpo.statistics.comparison import Method
from hpo.statistics.measures import oriented
from hpo.statistics.tradeoff import Point
from scaling.errors import InputError

if TYPE_CHECKING:
    from hpo.ledger import RunRecord
    from hpo.store import Section
    from hpo.study import Scale, Study

__all__ = ["cost_points", "hardware_of", "method_of", "roles_of"]


def roles_of(study: Study) -> list[str]:
    """What has been tested: ``incumbent``, ``baseline``, and names given to ``hpo test``, in that order."""
    found: list[str] = []
    for scale in study.scales:
        if scale.testing is not None:
            for opening in scale.testing.attribute("openings") or []:
                found += [entry["role"] for entry in opening["what"]]
    for section in study.given:
        found += [role or str(number) for number, role in section.roles().items()]
    return list(dict.fromkeys(found))


def method_of(study: Study, role: str | None = None, *, name: str | None = None) -> Method:
    """One configuration (at each scale) with its testing runs.

    Args:
        study: Where it was tuned and tested, or evaluated.
        role: One of :func:`roles_of`; the incumbent unless said otherwise.
        name: As shown; the study's name, and the role unless it is the incumbent.

    Raises:
        InputError: It has not been tested, or not wholly.
    """
    known = roles_of(study)
    wanted = role or ("incumbent" if study.scales else next(iter(known), ""))
    if wanted not in known:
        raise InputError(
            f"has no testing runs of {wanted!r}",
            source=study.name,
            remedy=f"tested are {', '.join(known)}"
            if known
            else f"open its testing seeds first: hpo test {study.name}",
        )
    runs: dict[str, dict[int, float | None]] = {}
    for scale in study.scales:
        runs[scale.label] = _values(_tested(scale, wanted, study.name))
    for section in study.given:
        runs[""] = _values(_given(section, wanted))
    if not all(runs.values()):
        raise InputError(
            f"the testing runs of {wanted!r} are not finished", source=study.name, remedy="run it again"
        )
    shown = name or (study.name if wanted == "incumbent" or not study.scales else f"{study.name}:{wanted}")
    tuning = _tuning_records(study, wanted)
    return Method(
        shown,
        runs,
        budget=_budget(tuning),
        hardware=hardware_of(study),
        tuned=bool(tuning),
        tuning_seeds=frozenset(run.atom.seed for run in tuning),
    )


def hardware_of(study: Study) -> str | None:
    """The machines of all sessions, in a line."""
    machines = []
    for session in study.provenance:
        parts = [str(session.get("cpu") or "unknown processor"), f"{session.get('cores')} cores"]
        parts += [str(gpu) for gpu in session.get("gpus") or ()]
        machines.append(", ".join(parts))
    return " and ".join(dict.fromkeys(machines)) or None


def cost_points(study: Study, column: str) -> list[Point]:
    """A study's testing (or given) runs as points of quality and cost, one a configuration.

    Args:
        study: Such as the baseline evaluated at several training lengths.
        column: What a run costs: ``seconds``, a cost on the record (``gpu_seconds``, ``flops``), a metric, or a value
            of the configuration (``steps``).

    Raises:
        InputError: Not all runs have that number.
    """
    points = []
    sections = [scale.testing for scale in study.scales if scale.testing is not None] + list(study.given)
    for section in sections:
        ledger, roles = section.ledger(), section.roles()
        for number, config in ledger.params.items():
            runs = ledger.of(number)
            costs = [_cost(run, config, column) for run in runs]
            if not runs or any(value is None for value in costs):
                raise InputError(
                    f"not every run says its {column!r}", source=study.name, key="--cost",
                    remedy="name seconds, flops, or a number that the objective returns or the configuration holds",
                )  # fmt: skip
            label = " ".join(
                filter(None, (study.name, section.attributes.get("label", ""), roles.get(number, "")))
            )
            scores = oriented(
                [run.value if run.status == "complete" else None for run in runs], study.direction
            )
            points.append(Point(label, sum(map(float, filter(None, costs))) / len(costs), tuple(scores)))
    return points


def _cost(run: RunRecord, config: dict[str, Any], column: str) -> float | None:
    if column == "seconds":
        return run.seconds
    for source in (run.cost, run.metrics, config):
        value = source.get(column)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
    return None


def _tested(scale: Scale, role: str, study: str) -> Sequence[RunRecord]:
    """Runs of the configuration that was last opened under that role."""
    assert scale.testing is not None
    openings = scale.testing.attribute("openings") or []
    entries = [entry for opening in openings for entry in opening["what"] if entry["role"] == role]
    ledger = scale.testing.ledger()
    for number, config in ledger.params.items():
        if entries and config == entries[-1]["config"]:
            return ledger.of(number)
    raise InputError(f"{role!r} was not tested at every scale", source=study, remedy=f"hpo test {study}")


def _given(section: Section, role: str) -> Sequence[RunRecord]:
    ledger = section.ledger()
    for number, known in section.roles().items():
        if role in (known, str(number)):
            return ledger.of(number)
    return []


def _values(runs: Sequence[RunRecord]) -> dict[int, float | None]:
    return {run.atom.seed: run.value if run.status == "complete" else None for run in runs}


def _tuning_records(study: Study, role: str) -> list[RunRecord]:
    if role == "incumbent":
        return [*study.records("tuning"), *study.records("schedules")]
    return study.records("baseline") if role == "baseline" else []


def _budget(tuning: Sequence[RunRecord]) -> dict[str, float]:
    if not tuning:
        return {}
    spent = cost.total(tuning)
    known = {key: amount for key, amount in spent.amounts.items() if spent.known[key] == spent.runs}
    from hpo.budget import flops_of

    flops = [flops_of(run) for run in tuning]
    if all(flops):
        known["flops"] = sum(flops)
    return {"runs": float(spent.runs), "seconds": spent.seconds, **known}
