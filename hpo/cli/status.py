"""`hpo status`."""

from __future__ import annotations

from typing import Any

from hpo.cli.options import Json, Storage, StudyName

__all__ = ["show", "status"]


def status(study: StudyName = None, storage: Storage = None, as_json: Json = False) -> None:
    """How far a study is, its incumbents, its failures, and whether its testing seeds have been opened."""
    from hpo.cli.opening import find_study
    from hpo.summary import summary
    from scaling.terminal import echo_json

    found = summary(find_study(study, storage))
    echo_json(found) if as_json else show(found)


def show(found: dict[str, Any]) -> None:
    """Print a summary for people."""
    from hpo.replay import in_words
    from scaling.terminal import table

    rows = []
    for part in found["scales"]:
        chosen = part.get("incumbent")
        rows.append(
            (
                part["scale"] or "-",
                _counts(part["runs"]),
                _estimate(chosen["estimate"]) if chosen else "",
                *(_tested(part.get("testing", {}).get(role)) for role in ("incumbent", "baseline")),
            )
        )
    columns = (
        "scale",
        "runs",
        f"incumbent's {found['metric']} [95 %]",
        "incumbent tested",
        "baseline tested",
    )
    table(f"{found['name']}: {found['direction']} {found['metric']}", columns, rows)
    for part in found["scales"]:
        where = f"{part['scale']}: " if part["scale"] else ""
        if chosen := part.get("incumbent"):  # below the table, which would cut a long one short
            print(f"incumbent: {where}{in_words(chosen['config'])}")
        for line in part.get("errors", ()):
            print(f"failed: {where}{line}")
    if len(found["tuning_seeds"]) == 1 and any(part.get("incumbent") for part in found["scales"]):
        print("tuning seeds: one, so that what it does to all configurations alike is in no interval")
    _say_openings(found)


def _say_openings(found: dict[str, Any]) -> None:
    openings = found["openings"]
    if not openings:
        print("testing seeds: sealed" if found["testing_seeds"] else "testing seeds: none")
        return
    last = openings[-1]
    print(f"testing seeds: opened {last['when']} by {last['who']} on {last['host']}")
    if found["second_look"]:
        print(
            f"testing seeds: this was not the first look (there have been {len(openings)}); "
            "what was chosen after the first has been chosen with their help"
        )


def _counts(runs: dict[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(runs.items())) or "none"


def _estimate(estimate: dict[str, float]) -> str:
    low, high = estimate["low"], estimate["high"]
    interval = f" [{low:.5g}, {high:.5g}]" if low == low and high == high else " (one seed: no interval)"
    return f"{estimate['value']:.5g}{interval}"


def _tested(entries: list[dict[str, Any]] | None) -> str:
    if not entries:
        return ""
    last = entries[-1]
    if last["mean"] is None:
        return f"{last['failed']} of {last['runs']} failed"
    return f"{last['mean']:.5g} ({last['runs']} seeds)"
