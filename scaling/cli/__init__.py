"""The command ``scaling``: one file a command; each imports what it needs when it is called."""

from __future__ import annotations

import typer

from scaling.cli.allocate import allocate
from scaling.cli.backtest import backtest
from scaling.cli.fit import fit
from scaling.cli.laws import laws
from scaling.cli.pass_at_k import pass_at_k
from scaling.cli.plan import plan
from scaling.cli.predict import predict
from scaling.terminal import VersionOption, run_app

__all__ = ["app", "main"]

app = typer.Typer(
    name="scaling",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


@app.callback()
def root(version: VersionOption = False) -> None:
    """Fit scaling laws to training runs, predict with intervals that hold, plan the next runs."""


for command in (fit, predict, allocate, plan, backtest, pass_at_k, laws):
    app.command()(command)


def main() -> None:
    """Entry point of the command ``scaling``."""
    run_app(app)
