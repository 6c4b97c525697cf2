"""Hyperparameter studies of your own training code, tuning seeds kept apart from testing seeds.

>>> import hpo
>>> study = hpo.run("study.yaml")  # doctest: +SKIP
>>> study.incumbent.config, study.incumbent.estimate  # doctest: +SKIP

Heavy imports (Ray, Optuna, BoTorch) wait until they are used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hpo.trial import Diverged, Pruned, Trial

if TYPE_CHECKING:
    from hpo import samplers
    from hpo.evaluation import evaluate
    from hpo.protocol import run
    from hpo.study import Study, load_study

__all__ = ["Diverged", "Pruned", "Study", "Trial", "evaluate", "load_study", "run", "samplers"]

_LAZY = {"run": "hpo.protocol", "evaluate": "hpo.evaluation", "Study": "hpo.study", "load_study": "hpo.study"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    if name == "samplers":
        return import_module("hpo.samplers")
    raise AttributeError(f"module 'hpo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY, "samplers"])
