"""Finding the study that a command is about."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scaling.errors import InputError

if TYPE_CHECKING:
    from hpo.study import Study

__all__ = ["find_study"]


def find_study(name: str | None, storage: str | None) -> Study:
    """The study called ``name`` (or whose file it is), or the only one there is."""
    from hpo.storage import DEFAULT_STORAGE, open_storage
    from hpo.store import study_names
    from hpo.study import Study

    where = storage or DEFAULT_STORAGE
    opened = open_storage(storage, must_exist=True)
    if name is None:
        names = study_names(opened)
        if len(names) != 1:
            raise InputError(
                f"holds {len(names)} studies",
                source=where,
                key="STUDY",
                remedy=f"name one of {', '.join(names)}" if names else "run one first: hpo run STUDY.yaml",
            )
        name = names[0]
    elif name.endswith((".yaml", ".yml")) and Path(name).is_file():
        from hpo.config import load_config

        name = load_config(name).name
    return Study(opened, name, where=where)
