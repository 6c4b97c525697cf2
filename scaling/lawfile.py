"""Law files: a fitted law as JSON that traces back to its runs.

Every file holds ``foretune_law`` (the format's version), ``kind`` (which family of laws reads it) and what that
family writes. This module knows only the envelope; :data:`READERS` says who reads which kind.
"""

from __future__ import annotations

import json
import os
from importlib import import_module
from pathlib import Path
from typing import Any

from scaling.errors import InputError
from scaling.terminal import clean

__all__ = ["LAW_FORMAT", "READERS", "load", "read", "write"]

LAW_FORMAT = 1
#: kind -> "module:class" with a classmethod ``from_dict(payload, source)``. Imported only when such a file is read.
READERS: dict[str, str] = {
    "loss": "scaling.fitted:FittedLaw",
    "lr-batch": "scaling.sweep.fitted:FittedSweep",
}


def write(path: str | Path, kind: str, payload: dict[str, Any]) -> None:
    """Write a law file in one step: a reader sees the old file or the new one, never a half."""
    path = Path(path)
    if not path.parent.is_dir():
        raise InputError("the folder does not exist", source=str(path), remedy=f"mkdir -p {path.parent}")
    text = json.dumps(
        clean({"foretune_law": LAW_FORMAT, "kind": kind, **payload}),
        indent=1,
        allow_nan=False,
        ensure_ascii=False,
    )
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(text + "\n", encoding="utf-8")
    scratch.replace(path)


def read(path: str | Path) -> dict[str, Any]:
    """The content of a law file, its envelope checked.

    Raises:
        InputError: No such file, no JSON, no law file, or one of another format version.
    """
    path = Path(path)
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"cannot be read ({error.strerror})",
            source=str(path),
            remedy="give a file written by `scaling fit -o`, or a published law's name from `scaling laws`",
        ) from None
    except ValueError as error:
        raise InputError(
            f"is not JSON ({error})", source=str(path), remedy="write it anew with `scaling fit -o`"
        ) from None
    version = stored.get("foretune_law") if isinstance(stored, dict) else None
    if version is None:
        raise InputError(
            "is not a law file",
            source=str(path),
            key="foretune_law",
            remedy="write one with `scaling fit -o`",
        )
    if version != LAW_FORMAT:
        raise InputError(
            f"law file of format {version!r}; this version reads {LAW_FORMAT}",
            source=str(path),
            key="foretune_law",
            remedy="fit it again with this version, or install the version that wrote it",
        )
    if stored.get("kind") not in READERS:
        raise InputError(
            f"unknown kind of law {stored.get('kind')!r}",
            source=str(path),
            key="kind",
            remedy=f"one of {', '.join(READERS)}",
        )
    return dict(stored)


def load(path: str | Path) -> Any:
    """The fitted law in a law file."""
    stored = read(path)
    module, name = READERS[stored["kind"]].split(":")
    return getattr(import_module(module), name).from_dict(stored, source=str(path))
