"""`scaling allocate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scaling.cli.options import AsJson, Level, check_level, quantity
from scaling.terminal import echo_json, table

if TYPE_CHECKING:
    from scaling.allocation import Allocation, Estimate

__all__ = ["allocate"]


def allocate(
    law: Annotated[
        str, typer.Argument(metavar="LAW", help="Law file, or chinchilla-2022 or chinchilla-epoch.")
    ],
    flops: Annotated[float, typer.Option(parser=quantity, metavar="C", help="Compute budget, 6ND.")],
    unique_tokens: Annotated[
        float | None,
        typer.Option(parser=quantity, metavar="U", help="Unique tokens there are; more are repeats."),
    ] = None,
    batch_size: Annotated[
        float | None, typer.Option(parser=quantity, metavar="B", help="Tokens a step, to count iterations.")
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option("--recipe", metavar="LAW", help="Ask this law for learning rate and batch size there."),
    ] = None,
    level: Level = 0.9,
    as_json: AsJson = False,
) -> None:
    """Compute-optimal parameters and tokens for a budget, in one epoch or with repeats.

    Example: `scaling allocate law.json --flops 1e23 --unique-tokens 100B --recipe step-law`
    """
    from scaling.allocation import allocate as solve
    from scaling.published.ask import open_law

    check_level(level)
    found = solve(
        open_law(law),
        flops,
        unique_tokens=unique_tokens,
        level=level,
        batch_size=batch_size,
        recipe=open_law(recipe) if recipe else None,
    )
    if as_json:
        echo_json(found.to_dict())
        return
    _show(found)


def _row(name: str, estimate: Estimate) -> tuple[str, str, str, str]:
    interval = "" if estimate.low is None else f"{estimate.low:.4g} to {estimate.high:.4g}"
    return name, f"{estimate.value:.4g}", interval, estimate.unit


def _show(found: Allocation) -> None:
    rows = [
        _row("params", found.params),
        _row("tokens", found.tokens),
        _row("tokens/params", found.tokens_per_param),
        _row("loss", found.loss),
    ]
    for name, value, unit in (("lr", found.lr, ""), ("batch size", found.batch_size, "tokens")):
        if value is not None:
            rows.append((name, f"{value:.4g}", "", unit))
    if found.iterations is not None:
        rows.append(("iterations", f"{found.iterations:,.0f}", "", "steps"))
    epochs = "one epoch" if found.repeats is None else f"{found.repeats.epochs:.3g} epochs"
    table(
        f"{found.law}: {found.flops:.3g} FLOP, {epochs}",
        ("", "value", f"{found.level:.0%} interval", "unit"),
        rows,
    )
    if found.repeats is not None:
        print(_told(found))
    for warning in found.warnings:
        print(f"warning: {warning}")


def _told(found: Allocation) -> str:
    """What the repeats cost, in words."""
    cost = found.repeats
    assert cost is not None
    loss = cost.loss
    return (
        f"Data is short: {found.tokens.value:.3g} tokens are {cost.epochs:.3g} passes over what there is, worth "
        f"{cost.effective_tokens:.3g} fresh tokens. That costs {loss - cost.loss_if_fresh:.4f} in loss against "
        f"fresh data ({cost.loss_if_fresh:.4f}), which would reach {loss:.4f} with {cost.compute_if_fresh:.0%} of the "
        f"compute. One epoch of a larger model ({cost.params_one_epoch:.3g} parameters) would end at "
        f"{cost.loss_one_epoch:.4f}."
    )
