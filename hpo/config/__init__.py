"""Study files: what they may say, and how they are read."""

from __future__ import annotations

from hpo.config.load import load_config
from hpo.config.model import StudyConfig

__all__ = ["StudyConfig", "load_config"]
