"""`hpo dashboard`."""

from __future__ import annotations

from typing import Annotated

import typer

from hpo.cli.options import Storage

__all__ = ["dashboard"]


def dashboard(
    storage: Storage = None,
    port: Annotated[int, typer.Option(help="On this machine.")] = 8080,
) -> None:
    """Look at the record in optuna-dashboard, which is a package of its own."""
    from importlib.util import find_spec

    from scaling.errors import ForetuneError

    if find_spec("optuna_dashboard") is None:
        raise ForetuneError("optuna-dashboard is not installed; pip install optuna-dashboard")
    from importlib import import_module

    from hpo.storage import open_storage

    import_module("optuna_dashboard").run_server(
        open_storage(storage, must_exist=True), host="127.0.0.1", port=port
    )
