"""The page of a study: what is better, by how much, how sure, at what cost, and how to repeat it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import yaml

from hpo import cost
from hpo.report import figures
from hpo.report.checklist import checklist
from hpo.report.comparison import sections
from hpo.report.parameters import parameter_blocks
from hpo.report.words import configuration, interval
from hpo.statistics import Interval, compare, interquartile_mean, method_of, oriented, roles_of
from hpo.statistics import interval as bootstrap
from hpo.study import PHASES
from scaling.errors import ForetuneError
from scaling.report import Code, Details, Figure, Page, Table, Text, Tile, Tiles
from scaling.report.theme import COLOURS

if TYPE_CHECKING:
    from hpo.ledger import RunRecord
    from hpo.statistics import Comparison, Method
    from hpo.study import Scale, Study

__all__ = ["study_page"]


def study_page(study: Study) -> Page:
    """The page of a study as it stands; parts that are not there yet are said to be missing."""
    comparison, methods = _comparison(study)
    page = Page(study.name, _lead(study, comparison), _tiles(study), kicker="Hyperparameter study")
    loud = [note for note in (comparison.notes if comparison else ()) if note.split(":")[0].isupper()]
    if loud or len(study.openings) > len(study.scales):
        page.section(
            "Read this first", Text("\n".join(f"- **{note}**" for note in (*loud, *_second_look(study))))
        )
    page.section("Chosen", *_chosen(study))
    page.section("Tuning against testing seeds", *_gap(study))
    if comparison is not None and len(methods) > 1:
        for heading, blocks in sections(comparison, dots=False):
            page.section(heading, *blocks)
    for scale in study.scales:
        label = f": {scale.label}" if scale.label else ""
        page.section(f"Tuning{label}", *_tuning(study, scale))
        blocks = parameter_blocks(scale, study.metric)
        if blocks:
            page.section(f"Hyperparameters{label}", *blocks)
    page.section("Failures", *_failures(study))
    page.section("Cost", *_cost(study))
    page.section("How to repeat it", *_repeat(study))
    return page


def _comparison(study: Study) -> tuple[Comparison | None, list[Method]]:
    """Everything tested against each other; nothing while the testing seeds are sealed."""
    methods = []
    for role in roles_of(study):
        try:
            methods.append(method_of(study, role, name=role))
        except ForetuneError:
            continue  # opened, but its runs are not finished
    if not methods:
        return None, []
    return compare(methods, direction=study.direction, metric=study.metric), methods


def _lead(study: Study, comparison: Comparison | None) -> str:
    goal = "Less" if study.direction == "minimize" else "More"
    parts = [f"{goal} {study.metric} is better:"]
    if comparison is not None and comparison.effects:
        parts += [effect.verdict for effect in comparison.effects[:2]]
    elif comparison is not None:
        found = comparison.summaries[0]
        parts.append(
            f"On {found.runs} testing runs: {interval(found.interquartile_mean)} (interquartile mean)."
        )
    else:
        parts.append(
            "The testing seeds are still sealed, so nothing here says how good the choice really is."
        )
    return " ".join(parts)


def _second_look(study: Study) -> list[str]:
    looks = Counter(opening["scale"] for opening in study.openings)
    if not looks or max(looks.values()) < 2:
        return []
    return [
        f"THE TESTING SEEDS WERE OPENED {max(looks.values())} TIMES: what was chosen after the first look was "
        "chosen with their help, and its score is no longer one on unseen seeds."
    ]


def _tiles(study: Study) -> Tiles:
    records = study.records("tuning")
    failed = sum(run.value is None for run in records)
    spent = cost.total([run for phase in PHASES for run in study.records(phase)])
    tiles = []
    for scale in study.scales[-2:]:
        chosen = _incumbent(scale)
        label = f" at {scale.label}" if scale.label else ""
        if chosen is not None:
            estimate = chosen.estimate
            shown = Interval(estimate.value, estimate.low, estimate.high)
            tiles.append(
                Tile(f"expected {study.metric}{label}", interval(shown), "of the incumbent on new seeds")
            )
    tiles.append(
        Tile(
            "tuning runs",
            len(records),
            f"{failed} failed" if failed else "none failed",
            "warning" if failed else "",
        )
    )
    tiles.append(Tile("training time", spent.describe()["training time"], f"{spent.runs} runs in all"))
    return Tiles(tiles)


def _incumbent(scale: Scale) -> Any:
    try:
        return scale.incumbent
    except ForetuneError:
        return None


def _chosen(study: Study) -> list[Any]:
    rows: list[list[Any]] = []
    for scale in study.scales:
        chosen = _incumbent(scale)
        if chosen is None:
            rows.append([scale.label or study.name, "none: no configuration has completed", None, None])
            continue
        estimate = chosen.estimate
        runs = scale.candidates.of(chosen.configuration)
        shown = interval(Interval(estimate.value, estimate.low, estimate.high))
        rows.append([scale.label or study.name, configuration(chosen.config), len(runs), shown])
    if not rows:
        return [Text("This study ran given configurations; it chose none.")]
    note = (
        "The incumbent is chosen on tuning seeds alone, by the estimate of its true value, not by its best run. "
        "The estimate is of its mean on seeds that nobody has seen, with a 95 % interval."
    )
    if len(study.definition.get("seeds", {}).get("tuning", [])) == 1:
        note += " There was one tuning seed: what it does to all configurations alike is in no interval."
    return [Table(["scale", "incumbent", "tuning runs of it", f"expected {study.metric}"], rows), Text(note)]


def _gap(study: Study) -> list[Any]:
    """The incumbent on the seeds that chose it and on those that did not."""
    blocks: list[Any] = []
    rows = []
    for scale in study.scales:
        chosen = _incumbent(scale)
        if chosen is None:
            continue
        groups = {"incumbent, tuning seeds": _by_seed(scale.candidates.of(chosen.configuration))}
        for role in roles_of(study):
            try:
                tested = method_of(study, role).runs[scale.label]
            except ForetuneError:
                continue
            groups[f"{role}, testing seeds"] = dict(tested)
        colours = {
            "incumbent, tuning seeds": COLOURS["light"],
            "baseline, testing seeds": COLOURS["baseline"],
        }
        label = f" ({scale.label})" if scale.label else ""
        blocks.append(
            Figure(
                figures.seeds(groups, study.metric, study.direction, colours),
                f"Every run; the bars are interquartile means{label}.",
            )
        )
        rows += [
            [scale.label or study.name, name, *_gap_row(runs, study.direction)]
            for name, runs in groups.items()
        ]
    if not blocks:
        return [Text("Nothing has been chosen yet.")]
    blocks.append(Table(["scale", "configuration and seeds", "runs", "failed", "interquartile mean"], rows))
    if not study.openings:
        blocks.append(Text("The testing seeds are sealed. `hpo test` opens them, once, for the record."))
    return blocks


def _gap_row(runs: dict[int, float | None], direction: str) -> list[Any]:
    sign = 1.0 if direction == "maximize" else -1.0
    scores = oriented(runs.values(), direction)
    found = bootstrap(interquartile_mean, [scores]).mapped(lambda value: sign * value)
    return [len(runs), sum(value is None for value in runs.values()), interval(found)]


def _by_seed(runs: list[RunRecord]) -> dict[int, float | None]:
    return {
        run.atom.seed: run.value if run.status == "complete" else None
        for run in runs
        if run.atom.fidelity == 1
    }


def _tuning(study: Study, scale: Scale) -> list[Any]:
    ledger = scale.ledger
    sign = 1.0 if study.direction == "maximize" else -1.0
    runs = [(run.atom.configuration, run.value, run.status) for run in ledger]
    best: list[tuple[int, float]] = []
    most = max((len(ledger.of(n)) for n in ledger.configurations()), default=0)
    for n in ledger.configurations():
        values = [run.value for run in ledger.of(n) if run.status == "complete" and run.value is not None]
        if values and len(values) == len(ledger.of(n)) == most:
            mean = sum(values) / len(values)
            best.append((n, max([mean, *(value for _, value in best[-1:])], key=lambda value: sign * value)))
    caption = (
        f"{len(runs)} runs of {len(ledger.params)} configurations. The line is the best mean among configurations that "
        f"met all {most} seeds; it is optimistic, being the luckiest of many. The expected value above is not."
    )
    return [Figure(figures.history(runs, best, study.metric, study.direction), caption)]


def _failures(study: Study) -> list[Any]:
    rows = []
    counts: Counter[str] = Counter()
    for phase in PHASES:
        for run in study.records(phase):
            counts[run.status] += 1
            if run.value is None:
                lines = [line.strip() for line in (run.error or "").splitlines() if line.strip()]
                rows.append(
                    [phase, run.atom.configuration, run.atom.seed, run.status, lines[-1] if lines else None]
                )
    said = ", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "no runs yet"
    text = Text(
        f"{said}. A run that failed or diverged has no value: it is a state, never a number, and no mean is taken over "
        "the runs that survived."
    )
    return (
        [text, Table(["phase", "configuration", "seed", "how it ended", "reason"], rows, limit=12)]
        if rows
        else [text]
    )


def _cost(study: Study) -> list[Any]:
    phases = {phase: study.records(phase) for phase in PHASES}
    told = {phase: cost.total(records).describe() for phase, records in phases.items() if records}
    if not told:
        return [Text("Nothing has been run.")]
    names = list(dict.fromkeys(name for said in told.values() for name in said))
    rows = [["runs", *(f"{len(phases[phase]):,}" for phase in told)]]
    rows += [[name, *(said.get(name, "none") for said in told.values())] for name in names]
    return [Table(["", *told], rows, "Failed runs are included: they were paid for.")]


def _repeat(study: Study) -> list[Any]:
    definition = {key: value for key, value in study.definition.items() if value not in (None, {}, [], ())}
    text = yaml.safe_dump(definition, sort_keys=False, allow_unicode=True, width=100)
    commands = "\n".join(
        dict.fromkeys(str(session["command"]) for session in study.provenance if session.get("command"))
    )
    return [
        Table(
            ["what", "as it was"],
            checklist(study),
            "What Eimer, Lindauer and Raileanu (2023) ask to be reported, filled in from the record.",
        ),
        Details("The study file", [Code(text)]),
        Details("Commands that ran it", [Code(commands)]),
    ]
