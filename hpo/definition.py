"""What must not change in a study once it has runs, and what may: kept with the record, compared on resume."""

from __future__ import annotations

from typing import Any

from hpo.config.model import StudyConfig
from scaling.errors import InputError

__all__ = ["FROZEN", "SEALED", "check_unchanged", "definition_of", "section_name"]

#: Keys that give the runs their meaning. Budget, engine, sampler and scheduler may change between sessions.
FROZEN = ("objective", "metric", "direction", "space", "fixed", "seeds")
#: End of the name of the section that holds the runs on testing seeds.
SEALED = "::testing"


def section_name(study: str, label: str, *, sealed: bool = False, part: str = "") -> str:
    """``NAME``, ``NAME/SCALE``, ``NAME/SCALE::testing``, ``NAME/SCALE::baseline``."""
    name = f"{study}/{label}" if label else study
    return name + (SEALED if sealed else f"::{part}" if part else "")


def definition_of(config: StudyConfig, *, sealed: bool) -> dict[str, Any]:
    """The study as plain data.

    Args:
        config: The study.
        sealed: Whether it is to be kept with the sealed runs. Elsewhere, where samplers and schedulers could read
            it, the testing seeds are left out.
    """
    exclude: dict[str, Any] = {"objective": True, "command": True}
    if not sealed:
        exclude["seeds"] = {"testing"}
    stored: dict[str, Any] = config.model_dump(mode="json", exclude=exclude, exclude_none=True)
    stored["command" if config.command is not None else "objective"] = config.what
    return stored


def check_unchanged(old: dict[str, Any], new: dict[str, Any], *, study: str, source: str, where: str) -> None:
    """Raise :class:`InputError` naming each frozen key that differs between two definitions."""
    differences: list[str] = []
    for key in FROZEN:
        names = ("objective", "command") if key == "objective" else (key,)
        for name in names:
            differences += _differences(name, old.get(name), new.get(name))
    if differences:
        raise InputError(
            f"{where} holds a study {study!r} that is another: {'; '.join(differences)}",
            source=source,
            key=differences[0].partition(" ")[0],
            remedy="give the study another name, or set this back to what it was",
        )


def _differences(path: str, old: Any, new: Any) -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            line
            for key in sorted({*old, *new}, key=str)
            for line in _differences(f"{path}.{key}", old.get(key), new.get(key))
        ]
    if old == new:
        return []
    if old is None:
        return [f"{path} is new ({new!r})"]
    if new is None:
        return [f"{path} is gone (it was {old!r})"]
    return [f"{path} was {old!r} and is {new!r}"]
