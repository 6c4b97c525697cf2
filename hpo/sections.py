"""The sections of a study: made, found again, or refused because they belong to something else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hpo.config.model import StudyConfig
from hpo.definition import check_unchanged, definition_of, section_name
from hpo.driver import refuse_second
from hpo.store import SECTION, Section
from scaling.errors import InputError

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

__all__ = ["check_sections", "open_section"]


def check_sections(config: StudyConfig, storage: BaseStorage, *, source: str, where: str) -> None:
    """Refuse a study whose name holds runs of another one, before anything is written.

    What has no runs yet is put aside instead: a first attempt with a mistake in it is no reason to rename a study.

    Raises:
        InputError: Saying what differs.
    """
    entries = {entry.study_name: entry for entry in storage.get_all_studies()}
    stale: list[str] = []
    for label, fixed in zip(config.labels, config.variants, strict=True):
        for sealed in (False, True):
            name = section_name(config.name, label, sealed=sealed)
            if name not in entries:
                continue
            about = entries[name].user_attrs.get(SECTION, {})
            _check_ours(config, storage, about, name, source=source, where=where)
            if about:
                refuse_second(Section(storage, name))
            new = json.loads(json.dumps({**definition_of(config, sealed=sealed), "fixed": fixed}))
            old = {**about.get("definition", {}), "fixed": about.get("fixed")}
            try:
                check_unchanged(old, new, study=config.name, source=source, where=where)
            except InputError:
                if _has_runs(storage, config.name):
                    raise
                stale.append(name)
    if stale:
        for name, entry in entries.items():
            if entry.user_attrs.get(SECTION, {}).get("study") == config.name:
                refuse_second(Section(storage, name))
                storage.delete_study(storage.get_study_id_from_name(name))


def _check_ours(
    config: StudyConfig, storage: BaseStorage, about: dict[str, Any], name: str, *, source: str, where: str
) -> None:
    if about.get("phase") in ("tuning", "testing"):
        return
    empty = not storage.get_all_trials(storage.get_study_id_from_name(name), deepcopy=False)
    if about or not empty:
        what = "runs of given configurations" if about else "an Optuna study that was not made here"
        raise InputError(
            f"{where} holds {what} under the name {config.name!r}",
            source=source,
            key="name",
            remedy="give the study another name, or another storage",
        )


def _has_runs(storage: BaseStorage, study: str) -> bool:
    for entry in storage.get_all_studies():
        if entry.user_attrs.get(SECTION, {}).get("study") == study and len(
            Section(storage, entry.study_name).ledger()
        ):
            return True
    return False


def open_section(
    config: StudyConfig, storage: BaseStorage, label: str, fixed: dict[str, Any], phase: str
) -> Section:
    """The section of one scale and phase, made if it is not there; its definition is the study's as it is now."""
    sealed = phase == "testing"
    name = section_name(
        config.name, label, sealed=sealed, part="" if phase in ("tuning", "testing") else phase
    )
    attributes = {
        "study": config.name,
        "phase": phase,
        "label": label,
        "fixed": fixed,
        "metric": config.metric,
        "direction": config.direction,
        "definition": definition_of(config, sealed=sealed),
    }
    section = Section.create(storage, name, config.direction, attributes)
    if section.attributes != json.loads(json.dumps(attributes)):
        section.set_attribute(SECTION, attributes)  # a larger budget, another sampler: what may change
        section.attributes = attributes
    return section
