"""The demo's page: what was predicted, what was found, and everything it rests on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scaling.report import Block, Checks, Code, Columns, Details, Figure, Page, Table, Tile, Tiles
from scaling.report.numbers import count
from studies.demo import figures

if TYPE_CHECKING:
    from studies.demo.drive import Outcome
    from studies.demo.findings import Findings

__all__ = ["write_report"]


def write_report(outcome: Outcome, findings: Findings) -> Path:
    """Write ``report.html`` into the demo's folder; it needs no other file and no network."""
    target = f"{count(findings.target['params'])} parameters on {count(findings.target['tokens'])} tokens"
    page = Page(
        "Tuned small, predicted large",
        _lead(findings, target),
        Tiles(_tiles(findings)),
        kicker="Foretune's demo: a language model on real text",
    )
    page.section("Loss over learning rate and batch size", *_landscapes(outcome, findings))
    page.section("The law and its prediction", *_law(outcome, findings))
    page.section("The larger model, trained", *_target(findings))
    page.section("What was chosen, on seeds it was not chosen on", *_seeds(outcome, findings))
    page.section("What ran, where, for how long", *_used(outcome, findings))
    return page.write(outcome.folder / "report.html")


def _lead(findings: Findings, target: str) -> str:
    sizes = ", ".join(count(scale["params"]) for scale in findings.scales)
    lr, batch = findings.prediction["lr"], findings.prediction["batch_size"]
    if findings.best == "prediction":
        found = f"Of the {len(findings.measured)} configurations trained there, none was better than the prediction."
    else:
        found = (
            f"Of the {len(findings.measured)} configurations trained there the best ({findings.best}) is "
            f"**{findings.gap:.2%}** better than the prediction (standard error {findings.gap_noise:.2%})."
        )
    return (
        f"Learning rate and batch size were tuned at {sizes} parameters. The law fitted to those runs says "
        f"for {target}: learning rate **{lr['value']:.3g}**, batch size **{batch['value']:.0f}** tokens. {found} "
        f"The baseline, carried over unchanged, is {findings.over_baseline:+.2%} against the prediction."
    )


def _tiles(findings: Findings) -> list[Tile]:
    level = f"{findings.level:.0%}"
    lr, batch = findings.prediction["lr"], findings.prediction["batch_size"]
    tiles = [
        Tile(
            "predicted learning rate",
            f"{lr['value']:.3g}",
            f"{level} interval {lr['low']:.2g} to {lr['high']:.2g}",
        ),
        Tile(
            "predicted batch size",
            f"{batch['value']:.0f}",
            f"tokens; {level} interval {batch['low']:.0f} to {batch['high']:.0f}",
        ),
        Tile(
            "above the best found there",
            f"{findings.gap:.2%}",
            f"standard error {findings.gap_noise:.2%}, of {len(findings.measured)} configurations",
            "good" if findings.gap < 0.01 else "warning",
        ),
        Tile(
            "baseline against prediction",
            f"{findings.over_baseline:+.2%}",
            "in held-out loss, unchanged from small",
        ),
        Tile(
            "runs",
            findings.runs,
            f"{findings.core_minutes:.1f} core-minutes in {findings.wall_minutes:.1f} minutes",
        ),
    ]
    return tiles


def _landscapes(outcome: Outcome, findings: Findings) -> list[Block | str]:
    caption = (
        "Every point is a training run, coloured by its loss over the best of its panel. The star is the law's optimum "
        "with its intervals, dotted lines are where the law says 0.3 %, 1 % and 3 % more. The last panel shows runs "
        "that the law has *not* seen."
    )
    words = (
        "Bayesian search proposed the configurations of the small models, each trained on the tuning seeds. One basin "
        "is fitted to all of these runs at once; its centre moves with size as a power law."
    )
    order = "Configurations in the order they were proposed, and the best so far."
    folded = Details("How the search went", [Figure(figures.search(outcome, findings), order)])
    return [words, Figure(figures.landscapes(outcome, findings), caption), folded]


def _law(outcome: Outcome, findings: Findings) -> list[Block | str]:
    pictures = [
        Figure(figures.law_of(outcome, findings, "lr"), "Learning rate over size."),
        Figure(figures.law_of(outcome, findings, "batch_size"), "Batch size over size."),
    ]
    words = (
        f"`{outcome.law.formula}`\n\nTokens grew with size along one line, so what the size does and what the tokens "
        "do cannot be told apart: the law is one in N, and holds along that line. Blue points are each size's own "
        "optimum by its runs; the band is where the optimum of a further size should lie."
    )
    rows = [list(row) for row in outcome.law.summary_rows()]
    table = Table(["coefficient", "value", "standard error", "meaning"], rows)
    warnings = "\n".join(f"- {warning}" for warning in outcome.answer["warnings"])
    return [
        words,
        Columns(pictures),
        Details("Coefficients", [table]),
        Checks(outcome.law.checks),
        "What the prediction comes with:\n\n" + warnings
        if warnings
        else "The prediction comes without warnings.",
    ]


def _target(findings: Findings) -> list[Block | str]:
    caption = "A point is a fresh seed, a bar the mean. " + (
        "The dashed line and its band are the loss that the law expects at its optimum."
        if findings.predicted_loss
        else ""
    )
    best = min(one.mean for one in findings.measured)
    rows = [
        [
            one.role,
            one.lr,
            one.batch_size,
            f"{one.mean:.4f}",
            f"{one.mean / best - 1:.2%}",
            len(one.losses),
            one.failed,
        ]
        for one in sorted(findings.measured, key=lambda one: one.mean)
    ]
    heads = ["configuration", "learning rate", "batch size", "mean loss", "above the best", "seeds", "failed"]
    words = (
        f"{len(findings.measured)} configurations of the larger model, each on the same "
        f"{len(findings.measured[0].losses)} seeds, which nothing before has used. The best of several is a lucky one "
        "by a little: the true distance is rather smaller."
    )
    return [
        words,
        Figure(figures.at_target(findings), caption),
        Table(heads, rows),
    ]


def _seeds(outcome: Outcome, findings: Findings) -> list[Block | str]:
    caption = "A point is a seed, a bar the mean. What was chosen looks a little better on the seeds it was chosen on."
    rows = []
    for scale in findings.scales:
        chosen, baseline, estimate = scale["incumbent"], scale["baseline"], scale["estimate"]
        rows.append(
            [
                count(scale["params"]),
                f"{chosen.lr:.3g}",
                chosen.batch_size,
                f"{_mean(chosen.tuning):.4f}",
                f"{estimate['value']:.4f} [{estimate['low']:.4f}, {estimate['high']:.4f}]",
                f"{chosen.mean:.4f}",
                f"{baseline.mean:.4f}",
                f"{baseline.mean / chosen.mean - 1:+.2%}",
            ]
        )
    heads = [
        "size",
        "lr",
        "batch",
        "on tuning seeds",
        "estimate",
        "on testing seeds",
        "baseline",
        "baseline over chosen",
    ]
    seeds = outcome.study.definition["seeds"]
    words = (
        f"Chosen on seeds {seeds['tuning']}, re-trained on seeds {seeds.get('testing', [])}, which no search has seen. "
        "The estimate was made before the testing seeds were opened: what the loss will be on new "
        "seeds, with its 95 % interval."
    )
    return [words, Figure(figures.seeds(findings), caption), Table(heads, rows)]


def _mean(losses: tuple[float, ...]) -> float:
    return sum(losses) / len(losses) if losses else float("nan")


def _used(outcome: Outcome, findings: Findings) -> list[Block | str]:
    machine = findings.machine
    rows = [
        [part.part, part.runs, part.failed, f"{part.core_minutes:.1f}", f"{part.flops:.2e}"]
        for part in findings.used
    ]
    about = [
        ["processor", f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB"],
        ["graphics", ", ".join(map(str, machine["gpus"])) or "none"],
        ["system", f"{machine['system']}, Python {machine['python']}"],
        ["packages", ", ".join(f"{name} {number}" for name, number in machine["packages"].items())],
        ["commit", str((machine.get("git") or {}).get("commit", "not a git checkout"))],
        ["wall-clock", f"{findings.wall_minutes:.1f} minutes in which something ran"],
    ]
    size = f"--params {findings.target['params']} --tokens {findings.target['tokens']}"
    again = (
        f"hpo report {outcome.study.name} --storage {outcome.folder}/study.db\n"
        f"scaling fit {outcome.folder}/tuning.csv --law lr-batch\n"
        f"scaling predict {outcome.folder}/law.json {size}"
    )
    return [
        Table(["part", "runs", "failed", "core-minutes", "FLOP (6ND)"], rows),
        Table(["where", ""], about),
        "The same from the command line:",
        Code(again),
    ]
