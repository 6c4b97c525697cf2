"""Hyperparameter studies of your own training code, tuning seeds kept apart from testing seeds.

>>> import hpo
>>> study = hpo.run("study.yaml")  # doctest: +SKIP
>>> study.incumbent.config, study.incumbent.estimate  # doctest: +SKIP

Heavy imports (Ray, Optuna, BoTorch) wait until they are used.
"""

from __future__ import annotations
