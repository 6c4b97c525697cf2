"""`scaling plan`: the next runs to make for a target."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaling.cli.options import (
    AsJson,
    Columns,
    RunsFile,
    Settings,
    Where,
    check_folders,
    load_where,
    parse_numbers,
    parse_settings,
    quantity,
)
from scaling.errors import InputError

if TYPE_CHECKING:
    from scaling.planning import Plan

__all__ = ["plan"]


def plan(
    runs: RunsFile,
    target_params: Annotated[
        float, typer.Option(parser=quantity, metavar="NUMBER", help="Parameters of the target.")
    ],
    target_tokens: Annotated[
        float, typer.Option(parser=quantity, metavar="NUMBER", help="Tokens of the target.")
    ],
    budget_flops: Annotated[
        float,
        typer.Option(parser=quantity, metavar="NUMBER", help="What the runs may cost together, 6ND each."),
    ],
    batch: Annotated[int, typer.Option(help="How many runs at most; they can be made in parallel.")] = 32,
    candidates: Annotated[
        Path | None, typer.Option(help="Runs that could be made; a grid of sizes and settings unless given.")
    ] = None,
    columns: Columns = None,
    where: Where = None,
    setting: Settings = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=NUMBER", help="The target's other inputs, such as active_params=1B. Repeatable."
        ),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Table of runs to write.")] = None,
    as_json: AsJson = False,
) -> None:
    """Choose the next runs: those that shrink the expected loss at a target most for what they cost."""
    from scaling.planning import plan as plan_runs
    from scaling.runs import load_runs
    from scaling.terminal import echo_json

    check_folders(output)
    settings = parse_settings(setting)
    for name in settings:
        if name != "centre":
            raise InputError(
                f"a plan has no option {name!r}", key="--set", remedy="give centre, or leave it out"
            )
    pool = None
    if candidates is not None:
        pool = load_runs(candidates, columns=columns, require=("params", "tokens", "lr")).frame
    made = plan_runs(
        load_where(runs, columns, where),
        target_params=target_params,
        target_tokens=target_tokens,
        budget_flops=budget_flops,
        batch=batch,
        candidates=pool,
        centre=settings.get("centre"),
        target_inputs=parse_numbers(target, "--target"),
    )
    if output is not None:
        made.save(output)
    if as_json:
        echo_json(made.to_dict())
        return
    _show(made)
    if output is not None:
        print(f"runs written to {output}")


def _show(made: Plan) -> None:
    from scaling.terminal import table

    names = [name for name in made.runs.columns if name not in ("gain", "flops")]
    sizes = made.runs.groupby(["params", "tokens"], sort=False)
    table(
        f"{len(made.runs)} run{'s' * (len(made.runs) != 1)}, {made.flops:.3g} FLOP",
        ("params", "tokens", "runs", "FLOP", *(f"{name} from .. to" for name in names[2:]), "lowers excess by"),
        [
            (
                f"{size[0]:.3g}", f"{size[1]:.3g}", len(group), f"{group['flops'].sum():.2g}",
                *(f"{group[name].min():.3g} .. {group[name].max():.3g}" for name in names[2:]),
                f"{group['gain'].sum():.4%}",
            )
            for size, group in sizes
        ],
    )  # fmt: skip
    print(made.message)
    for warning in made.warnings:
        print(f"note: {warning}")
