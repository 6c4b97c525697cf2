"""Public measurements to fit laws to: where they lie on this machine, and where their authors published them."""

from __future__ import annotations

import os
from pathlib import Path

from scaling.errors import InputError

__all__ = ["data_path"]


def data_path(name: str) -> Path:
    """Path of a published data file on this machine.

    Looks in the folder that the environment variable ``FORETUNE_DATA`` names, else in ``../shared/data`` beside the
    checkout.

    Raises:
        InputError: The file is in neither place.
    """
    folders = [Path(__file__).resolve().parents[2] / "shared" / "data"]
    if "FORETUNE_DATA" in os.environ:
        folders.insert(0, Path(os.environ["FORETUNE_DATA"]))
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise InputError(
        "no such data file", source=str(folders[0] / name), remedy="set FORETUNE_DATA to the folder that holds it"
    )
