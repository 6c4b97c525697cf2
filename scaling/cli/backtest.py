"""`scaling backtest`: how well would a law have predicted its own largest runs?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaling.cli.options import (
    AsJson,
    Columns,
    LawName,
    Level,
    RunsFile,
    Seed,
    Settings,
    Target,
    Where,
    check_folders,
    load_where,
    parse_settings,
    progress_bar,
)
from scaling.errors import InputError
from scaling.terminal import echo_json, table

if TYPE_CHECKING:
    from scaling.backtest import Backtest

__all__ = ["backtest"]


def backtest(
    runs: RunsFile,
    law: LawName = "chinchilla",
    columns: Columns = None,
    where: Where = None,
    axis: Annotated[
        str | None, typer.Option(help="Column along which the largest runs are held out; flops by default.")
    ] = None,
    folds: Annotated[int, typer.Option(help="Most cutoffs to use.")] = 5,
    horizon: Annotated[
        float, typer.Option(help="Factor beyond each cutoff up to which runs are predicted.")
    ] = 10.0,
    level: Level = 0.9,
    target: Target = None,
    loss: Annotated[str, typer.Option(help="huber, squared, soft-l1 or absolute.")] = "huber",
    delta: Annotated[float, typer.Option(help="Scale of the loss, in log units for most laws.")] = 1e-3,
    bootstrap: Annotated[int, typer.Option(help="Replicates of the plain bootstrap beside it.")] = 200,
    seed: Seed = 0,
    setting: Settings = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="CSV of every held-out run to write.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """How well would this law have predicted its own largest runs?"""
    check_folders(output)
    if law == "lr-batch":
        raise InputError(
            "lr-batch has no backtest", key="--law", remedy="a law of losses; see `scaling laws`"
        )
    from scaling import backtest as room
    from scaling.laws import get_law

    chosen = get_law(law, **parse_settings(setting))
    kept = load_where(runs, columns, where)
    with progress_bar("backtest", quiet=as_json) as progress:
        found = room.backtest(
            kept,
            chosen,
            axis=axis,
            folds=folds,
            horizon=horizon,
            level=level,
            loss=loss,
            delta=delta,
            bootstrap=bootstrap,
            seed=seed,
            target=target,
            progress=progress,
        )
    if output is not None:
        found.table.to_csv(output, index=False)
    if as_json:
        echo_json(found.to_dict())
    else:
        _show(found, output)


def _show(found: Backtest, output: Path | None) -> None:
    def share(value: Any) -> str:
        return f"{100 * float(value):.1f}"

    rows = []
    for row in found.folds.to_dict(orient="records"):
        ours = [share(row[name]) for name in ("error", "coverage", "width", "interval_score")]
        theirs = [share(row[f"bootstrap_{name}"]) for name in ("coverage", "interval_score")]
        rows.append([f"{float(row['cutoff']):.3g}", row["fitted"], row["predicted"], *ours, *theirs])
    heads = ["error", "cover", "width", "score", "b. cover", "b. score"]
    table(
        f"{found.law}: largest runs of {found.source}, held out along {found.axis} (in %; b. = plain bootstrap)",
        ["up to", "fit", "held", *heads],
        rows,
    )
    print(
        f"{100 * found.level:g} % intervals covered {share(found.coverage)} % of {len(found.table)} predictions "
        f"(plain bootstrap {share(found.bootstrap_coverage)} %); mean absolute error "
        f"{100 * found.mean_absolute_error:.2f} %; interval score {share(found.interval_score)} % "
        f"({share(found.bootstrap_interval_score)} %), smaller is better."
    )
    print(
        f"{100 * found.level:g} % of these would have been covered by intervals {found.width_needed:.2f} times as wide."
    )
    if output is not None:
        print(f"wrote {output}")
