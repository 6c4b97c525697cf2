"""The command ``hpo``: one file a command; each imports what it needs when it is called."""

from __future__ import annotations

import typer

from hpo.cli.compare import compare
from hpo.cli.dashboard import dashboard
from hpo.cli.export import export
from hpo.cli.listing import list_studies
from hpo.cli.report import report
from hpo.cli.run import run
from hpo.cli.status import status
from hpo.cli.test import test
from scaling.terminal import VersionOption, run_app

__all__ = ["app", "main"]

app = typer.Typer(
    name="hpo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


@app.callback()
def root(version: VersionOption = False) -> None:
    """Run hyperparameter studies of your own training code; tune on some seeds, test on others."""


app.command(context_settings={"ignore_unknown_options": False})(run)
app.command("list")(list_studies)
for command in (status, test, report, compare, export, dashboard):
    app.command()(command)


def main() -> None:
    """Entry point of the command ``hpo``."""
    run_app(app)
