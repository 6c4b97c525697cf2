"""The table and the plot of :mod:`benchmarks.rl_seeds`, from whatever its cache holds."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import hpo
from hpo.statistics import Method, compare, method_of
from hpo.storage import open_storage
from hpo.store import study_names
from scaling.errors import ForetuneError
from scaling.terminal import clean

#: What Eimer et al. (2023) and their project page (sites.google.com/auto-ai.org/hpo-in-rl) report.
PAPER = (
    "## What the paper reports",
    "",
    "| statement | where | here |",
    "| --- | --- | --- |",
    "| incumbents more than four times worse on unseen seeds than on those they were tuned on, at worst | paper "
    "| worst ratio of tuning to testing, in the first table |",
    "| with 64 runs, DEHB ahead of the hand-tuned baseline on every Brax environment, by the mean of three tuning runs "
    "| project page | repeats above the defaults |",
    "| improvement with almost all tools already with 16 runs, for eleven hyperparameters of PPO on Brax "
    "| project page | repeats above the defaults |",
    "| ahead of grid search with less than 10 % of its budget | project page | not measured |",
    "",
    "Its trainings are larger by far; ours take seconds each, so the statements stand side by side and the numbers "
    "cannot be compared.",
)
RESULTS = Path(__file__).parent / "results"


def collect(storage: Path, tasks: Sequence[str], tuners: Sequence[str], repeats: int) -> dict[str, Any]:
    """Every finished study: its incumbent on tuning and on testing seeds, and the comparison of the tuners."""
    found: dict[str, Any] = {}
    names = set(study_names(open_storage(storage)))
    for task in tasks:
        if f"{task} defaults" not in names:
            continue
        defaults = _values(method_of(hpo.load_study(f"{task} defaults", storage)))
        rows = []
        for tuner in tuners:
            for repeat in range(repeats):
                name = f"{task} {tuner} {repeat}"
                row = _row(hpo.load_study(name, storage)) if name in names else None
                if row is not None:
                    rows.append({"tuner": tuner, "repeat": repeat, **row})
        if rows:
            found[task] = {"defaults": defaults, "studies": rows, **_compared(rows, defaults, repeats)}
    return found


def _values(method: Method) -> dict[int, float | None]:
    return dict(method.runs[""])


def _row(study: hpo.Study) -> dict[str, Any] | None:
    """One study; ``None`` if it is not finished."""
    try:
        tested = _values(method_of(study))
        chosen = study.incumbent
    except ForetuneError:
        return None
    definition = study.definition
    if len(tested) < len(definition["seeds"]["testing"]):
        return None
    tuned = {run.atom.seed: run.value for run in study.scales[0].candidates.of(chosen.configuration)}
    records = [*study.records("tuning"), *study.records("schedules")]
    return {
        "config": chosen.config,
        "tuning": tuned,
        "testing": tested,
        "estimate": [chosen.estimate.value, chosen.estimate.low, chosen.estimate.high],
        "best_seen": _best_mean(study),
        "configurations": len(study.scales[0].ledger.params),
        "runs": len(records),
        "stopped": sum(run.status == "pruned" for run in records),
        "failed": sum(run.value is None for run in [*records, *study.records("testing")]),
        "flops": sum(float(run.metrics.get("flops") or 0.0) for run in records),
        "seconds": sum(run.seconds for run in records),
    }


def _best_mean(study: hpo.Study) -> float:
    """What is usually reported: the best mean over the tuning seeds, of a population its best member; NaN where there
    is none.
    """
    ledger = study.scales[0].ledger
    if study.scales[0].schedules is not None:
        return max((run.value for run in ledger if run.value is not None), default=math.nan)
    means = []
    for number in ledger.configurations():
        runs = ledger.of(number)
        if len(runs) == 5 and all(run.status == "complete" for run in runs):
            means.append(_mean([run.value for run in runs]))
    return max(means, default=math.nan)


def _mean(values: Sequence[float | None]) -> float:
    """NaN where a run failed: there is no mean of the survivors."""
    return math.nan if None in values else sum(filter(None, values)) / len(values)


def _compared(
    rows: Sequence[Mapping[str, Any]], defaults: Mapping[int, float | None], repeats: int
) -> dict[str, Any]:
    """The tuners against each other, run by run, over the repeats that all with more than one have finished."""
    by_tuner: dict[str, dict[str, Any]] = {}
    for row in rows:
        by_tuner.setdefault(row["tuner"], {})[str(row["repeat"])] = row["testing"]
    enough = min(2, max(map(len, by_tuner.values())))
    judged = {tuner: runs for tuner, runs in by_tuner.items() if len(runs) >= enough}
    shared = sorted(set.intersection(*(set(runs) for runs in judged.values())))
    methods = [Method(tuner, {key: runs[key] for key in shared}) for tuner, runs in judged.items()]
    methods.append(Method("defaults", dict.fromkeys(shared, defaults), tuned=False))
    told = compare(methods, direction="maximize", metric="return").to_dict()
    return {
        "repeats": len(shared),
        "wanted": repeats,
        "summaries": told["summaries"],
        "effects": told["effects"],
    }


def write(found: Mapping[str, Any], name: str = "rl_seeds") -> None:
    """``results/NAME.json``, ``.md`` and ``.svg``."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(clean(found), indent=1, ensure_ascii=False) + "\n")
    (RESULTS / f"{name}.md").write_text(markdown(found))
    (RESULTS / f"{name}.svg").write_text(svg(found))


def markdown(found: Mapping[str, Any]) -> str:
    """The tables as people read them."""
    lines = ["# Tuning seeds against testing seeds, on real training", "", *_overview(found), ""]
    for task, told in found.items():
        lines += [f"## {task}", "", *_gap_table(told), "", *_effect_table(told), ""]
    return "\n".join([*lines, *PAPER, ""])


def _overview(found: Mapping[str, Any]) -> list[str]:
    """Beside the paper's own: how the tuners stand against the defaults on testing seeds, and how they overfit."""
    lines = [
        "| task | tuner | testing seeds, mean of the repeats | defaults | repeats above the defaults "
        "| worst ratio of tuning to testing |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for task, told in found.items():
        defaults = _mean(list(told["defaults"].values()))
        for tuner in dict.fromkeys(row["tuner"] for row in told["studies"]):
            mine = [row for row in told["studies"] if row["tuner"] == tuner]
            tested = [_mean(list(row["testing"].values())) for row in mine]
            worst = max(_times_worse(row["best_seen"], t) for row, t in zip(mine, tested, strict=True))
            above = sum(t > defaults for t in tested)
            lines.append(
                f"| {task} | {tuner} | {sum(tested) / len(tested):.1f} | {defaults:.1f} | {above} of {len(mine)} "
                f"| {worst:.2f} |"
            )
    return lines


def _times_worse(seen: float, tested: float) -> float:
    """How many times worse on testing seeds than what tuning had seen; returns may be negative, as Acrobot's are."""
    return seen / tested if seen > 0 else tested / seen


def _gap_table(told: Mapping[str, Any]) -> list[str]:
    lines = [
        "Mean return of the chosen configuration, averaged over the repeats of each tuner (each repeat's own in "
        "brackets); 5 tuning seeds, 10 testing seeds, the same FLOPs for each tuner (PB2: as many runs as these are on "
        "average). The best seen of PB2 is its best member, which has one seed; its estimate is of the schedule chosen "
        "among those trained again on all tuning seeds.",
        "",
        "| tuner | configurations | runs (stopped early) | TFLOP | best mean seen in tuning "
        "| our estimate of the chosen | on testing seeds | gap of the best seen | gap of the estimate "
        "| its 95 % interval holds the testing mean |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for tuner in dict.fromkeys(row["tuner"] for row in told["studies"]):
        mine = [row for row in told["studies"] if row["tuner"] == tuner]
        tested = [_mean(list(row["testing"].values())) for row in mine]
        best, guess = [row["best_seen"] for row in mine], [row["estimate"][0] for row in mine]
        held = sum(row["estimate"][1] <= t <= row["estimate"][2] for row, t in zip(mine, tested, strict=True))
        lines.append(
            f"| {tuner} | {_average([row['configurations'] for row in mine])} "
            f"| {_average([row['runs'] for row in mine])} ({_average([row['stopped'] for row in mine])}) "
            f"| {sum(row['flops'] for row in mine) / len(mine) / 1e12:.3f} | {_listed(best)} | {_listed(guess)} "
            f"| {_listed(tested)} | {_listed([b - t for b, t in zip(best, tested, strict=True)])} "
            f"| {_listed([g - t for g, t in zip(guess, tested, strict=True)])} | {held} of {len(mine)} |"
        )
    lines.append(
        f"| defaults | – | – | – | – | – | {_mean(list(told['defaults'].values())):.1f} | – | – | – |"
    )
    return lines


def _effect_table(told: Mapping[str, Any]) -> list[str]:
    lines = [
        f"| pair, on testing seeds, {told['repeats']} of {told['wanted']} repeats "
        "| better by (interquartile mean) [95 %] | probability of improvement [95 %] "
        "| seeds for this difference |",
        "| --- | ---: | ---: | ---: |",
    ]
    for effect in told["effects"]:
        gain, chance = effect["difference"], effect["probability"]
        lines.append(
            f"| {effect['first']} – {effect['second']} | {gain['value']:.1f} [{gain['low']:.1f}, {gain['high']:.1f}] "
            f"| {chance['value']:.2f} [{chance['low']:.2f}, {chance['high']:.2f}] "
            f"| {effect['seeds_needed_rank'] or 'beyond reach'} |"
        )
    return lines


def _average(values: Sequence[float]) -> str:
    return f"{sum(values) / len(values):.1f}"


def _listed(values: Sequence[float]) -> str:
    each = ", ".join("none" if math.isnan(value) else f"{value:.0f}" for value in values)
    mean = sum(values) / len(values)
    return f"{'none' if math.isnan(mean) else f'{mean:.1f}'} ({each})"


def svg(found: Mapping[str, Any]) -> str:
    """Every tuner's repeats: best mean seen in tuning, our estimate, and each testing run."""
    wide, high, left = 520, 330, 60
    panels = []
    for place, (task, told) in enumerate(found.items()):
        groups = [(f"{row['tuner']} {row['repeat'] + 1}", row) for row in told["studies"]]
        values = [
            v for _, row in groups for v in [*row["testing"].values(), row["best_seen"]] if v is not None
        ]
        values += [v for v in told["defaults"].values() if v is not None]
        low, top = min(values), max(values)

        def y(value: float, low: float = low, top: float = top) -> float:
            return 40 + (high - 120) * (top - value) / ((top - low) or 1.0)

        step = (wide - left - 10) / (len(groups) + 1)
        marks = [f'<text x="{left}" y="22" class="head">{escape(task)}: return</text>']
        for tick in range(5):
            value = low + (top - low) * tick / 4
            marks.append(
                f'<line x1="{left}" x2="{wide - 10}" y1="{y(value):.1f}" y2="{y(value):.1f}" class="grid"/>'
                f'<text x="{left - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.0f}</text>'
            )
        shown = [*groups, ("defaults", {"testing": told["defaults"]})]
        for i, (label, row) in enumerate(shown):
            x = left + step * (i + 0.5)
            tested = [v for v in row["testing"].values() if v is not None]
            marks += [f'<circle cx="{x:.1f}" cy="{y(v):.1f}" r="3" class="test"/>' for v in tested]
            mean = sum(tested) / len(tested)
            marks.append(
                f'<line x1="{x - 9:.1f}" x2="{x + 9:.1f}" y1="{y(mean):.1f}" y2="{y(mean):.1f}" class="mean"/>'
            )
            if "estimate" in row:
                if not math.isnan(row["best_seen"]):
                    marks.append(
                        f'<path d="M{x - 5:.1f} {y(row["best_seen"]):.1f}l5 -5l5 5l-5 5z" class="seen"/>'
                    )
                g = y(row["estimate"][0])
                marks.append(f'<path d="M{x - 5:.1f} {g - 5:.1f}l10 10m0 -10l-10 10" class="guess"/>')
            turned = f'transform="translate({x + 4:.1f} {high - 72}) rotate(-40)" text-anchor="end"'
            marks.append(f"<text {turned}>{escape(label)}</text>")
        panels.append(f'<g transform="translate({place * wide} 0)">{"".join(marks)}</g>')
    style = (
        "text{font:11px system-ui,sans-serif;fill:#1d2530}.head{font-size:14px;font-weight:600}.grid{stroke:#e6e9ee}"
        ".test{fill:#0072B2;opacity:.55}.mean{stroke:#0072B2;stroke-width:2.5}.seen{fill:#D55E00}"
        ".guess{stroke:#009E73;stroke-width:2.5;fill:none}"
    )
    key = (
        f'<g transform="translate({left} {high - 8})"><path d="M0 -4l5 -5l5 5l-5 5z" class="seen"/>'
        '<text x="14">best mean seen in tuning</text>'
        '<path d="M160 -9l10 10m0 -10l-10 10" class="guess"/><text x="174">estimate of the chosen</text>'
        '<circle cx="310" cy="-4" r="3" class="test"/><text x="318">testing runs, and their mean</text></g>'
    )
    width = max(wide * len(found), 560)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{high}" viewBox="0 0 {width} {high}">'
        f'<style>{style}</style><rect width="100%" height="100%" fill="#fff"/>{"".join(panels)}{key}</svg>\n'
    )
