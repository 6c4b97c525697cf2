"""A study as it stands in its storage: incumbents, runs, openings of the testing seeds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo.definition import section_name
from hpo.ledger import Ledger, RunRecord
from hpo.replay import chosen_schedule
from hpo.schedulers import POPULATION
from hpo.space import Space
from hpo.storage import name_of, open_storage
from hpo.store import Section, sections_of, study_names
from scaling.errors import ForetuneError, InputError

if TYPE_CHECKING:
    import pandas as pd
    from optuna.storages import BaseStorage

    from hpo.incumbent import Incumbent

__all__ = ["PHASES", "Scale", "Study", "load_study"]

#: What runs may have been made for.
PHASES = ("tuning", "schedules", "baseline", "testing", "given")


@dataclass(frozen=True)
class Scale:
    """The study at one scale.

    Attributes:
        label: ``params=6000,tokens=120000``; empty for a study without scales.
        fixed: Values that every run is handed.
        space: Of its configurations.
        tuning: Section of the tuning runs.
        testing: Section of the sealed runs, if the study has testing seeds.
        baseline: Section of the tuned baseline, if there is one.
        schedules: Section of a population's finalists, trained on all tuning seeds.
    """

    label: str
    fixed: dict[str, Any]
    space: Space
    tuning: Section
    testing: Section | None = None
    baseline: Section | None = None
    schedules: Section | None = None

    @property
    def ledger(self) -> Ledger:
        """Tuning runs so far."""
        return self.tuning.ledger()

    @property
    def candidates(self) -> Ledger:
        """The runs that the incumbent is chosen by: all, or those of a population's finalists."""
        return self.ledger if self.schedules is None else self.schedules.ledger()

    @property
    def direction(self) -> str:
        """``minimize`` or ``maximize``."""
        return str(self.tuning.attributes["direction"])

    @property
    def incumbent(self) -> Incumbent:
        """Chosen on the tuning seeds alone.

        Raises:
            ForetuneError: No configuration has completed.
        """
        scheduler = self.tuning.attributes.get("definition", {}).get("scheduler", {})
        if scheduler.get("name") in POPULATION:
            return chosen_schedule(self.candidates, self.direction, self.fixed)
        from hpo.incumbent import choose

        return choose(self.ledger, self.direction, space=self.space.distributions())


class Study:
    """A study in a storage.

    Attributes:
        name: Its name.
        definition: What its file said, as plain data.
        scales: The study at each scale; one where there are none.
    """

    def __init__(self, storage: BaseStorage, name: str, where: str = "storage") -> None:
        self.storage = storage
        self.name = name
        self.where = where
        sections = {section.name: section for section in sections_of(storage, name)}
        self.scales: list[Scale] = []
        for section in sections.values():
            if section.attributes.get("phase") == "tuning":
                label = str(section.attributes["label"])
                self.scales.append(
                    Scale(
                        label,
                        dict(section.attributes["fixed"]),
                        Space.model_validate(section.attributes["definition"]["space"]),
                        section,
                        sections.get(section_name(name, label, sealed=True)),
                        sections.get(section_name(name, label, part="baseline")),
                        sections.get(section_name(name, label, part="schedules")),
                    )
                )
        self.given = [section for section in sections.values() if section.attributes.get("phase") == "given"]
        if not sections:
            known = ", ".join(map(repr, study_names(storage))) or "none"
            raise InputError(
                f"there is no study {name!r}", source=where, key="name", remedy=f"there are: {known}"
            )
        sealed = [scale.testing for scale in self.scales if scale.testing is not None]
        kept = [*sealed, *(scale.tuning for scale in self.scales), *self.given]
        self.definition: dict[str, Any] = dict(kept[0].attributes.get("definition", {}))

    @property
    def metric(self) -> str:
        """The number that is tuned."""
        return str(next(iter(self._sections())).attributes["metric"])

    @property
    def direction(self) -> str:
        """``minimize`` or ``maximize``."""
        return str(next(iter(self._sections())).attributes["direction"])

    @property
    def incumbents(self) -> dict[str, Incumbent]:
        """The incumbent of each scale by its label."""
        return {scale.label: scale.incumbent for scale in self.scales}

    @property
    def incumbent(self) -> Incumbent:
        """The incumbent; of the last scale in the study file, where there are several."""
        if not self.scales:
            raise ForetuneError(f"study {self.name!r} ran given configurations and has no incumbent")
        return self.scales[-1].incumbent

    @property
    def runs(self) -> pd.DataFrame:
        """The runs table: one row a finished run, as ``scaling`` reads it; see :mod:`hpo.table`."""
        from hpo.table import runs_table

        return runs_table(self._sections())

    @property
    def provenance(self) -> list[dict[str, Any]]:
        """Code, versions and machine of each session that ran the study."""
        return list(next(iter(self._sections())).attribute("provenance") or [])

    @property
    def openings(self) -> list[dict[str, Any]]:
        """Each time the testing seeds were opened: when, by whom, for what."""
        found: list[dict[str, Any]] = []
        for scale in self.scales:
            if scale.testing is not None:
                found += [
                    {"scale": scale.label, **entry} for entry in scale.testing.attribute("openings") or []
                ]
        return found

    def records(self, phase: str = "tuning") -> list[RunRecord]:
        """Finished runs of ``tuning``, ``schedules``, ``testing``, ``baseline`` or ``given``."""
        return [
            run
            for section in self._sections()
            if section.attributes["phase"] == phase
            for run in section.ledger()
        ]

    def test(self, configs: dict[str, dict[str, Any]] | None = None, **options: Any) -> Study:
        """Open the testing seeds: run the incumbent and the baseline on them; see :func:`hpo.testing.test`."""
        from hpo.testing import test

        return test(self, configs, **options)

    def _sections(self) -> list[Section]:
        parts = [
            part
            for scale in self.scales
            for part in (scale.tuning, scale.schedules, scale.baseline, scale.testing)
        ]
        return [part for part in [*parts, *self.given] if part is not None]


def load_study(name: str, storage: str | Path | BaseStorage | None = None) -> Study:
    """A study from its storage.

    Raises:
        InputError: The database is not there, or holds no study of that name.
    """
    return Study(open_storage(storage, must_exist=True), name, where=name_of(storage))
