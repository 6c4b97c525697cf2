"""Every study file that is shipped can be read, and what it names is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpo.config import load_config
from hpo.objective import load_objective

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_study_files_can_be_run(path: Path) -> None:
    config = load_config(path)
    load_objective(config.objective, config.command, source=str(path))
    assert config.seeds.testing and not set(config.seeds.testing) & set(config.seeds.tuning)


def test_settings_of_the_language_models_studies_are_known() -> None:
    from studies.language_model import Settings

    for path in CONFIGS:
        config = load_config(path)
        if config.objective == "studies.language_model:train":
            for fixed in config.variants:
                values = {name: getattr(part, "low", None) for name, part in config.space.root.items()}
                Settings.of({**values, **fixed})
