"""Samplers by name: Optuna's own, and :class:`BayesianSampler`. All are ordinary Optuna samplers.

>>> import optuna, hpo.samplers
>>> study = optuna.create_study(sampler=hpo.samplers.BayesianSampler(seed=0))  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scaling.errors import InputError

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from hpo.samplers.bayesian import BayesianSampler

__all__ = ["NAMES", "BayesianSampler", "make_sampler"]

#: What a study file may call a sampler.
NAMES = ("bayesian", "random", "sobol", "tpe", "cmaes", "dehb")


def __getattr__(name: str) -> Any:
    if name == "BayesianSampler":  # Optuna takes 0.3 s to import: wait until somebody wants it.
        from hpo.samplers.bayesian import BayesianSampler

        return BayesianSampler
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def make_sampler(name: str, seed: int | None = None, **options: Any) -> BaseSampler:
    """The sampler of that name.

    Args:
        name: One of :data:`NAMES`.
        seed: Seed of everything the sampler draws; ``None`` draws one from the system.
        options: Further keyword arguments of the sampler's class.

    Raises:
        InputError: No sampler has that name, or it does not take one of the options.
    """
    if name not in NAMES:
        raise InputError(
            f"there is no sampler {name!r}", key="sampler.name", remedy=f"choose one of {', '.join(NAMES)}"
        )
    try:
        return _make(name, seed, options)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"the sampler {name!r} does not take these options: {error}",
            key="sampler",
            remedy="see the options of its class; name and seed are always allowed",
        ) from error


def _make(name: str, seed: int | None, options: dict[str, Any]) -> BaseSampler:
    import optuna

    if name == "bayesian":
        from hpo.samplers.bayesian import BayesianSampler

        return BayesianSampler(seed=seed, **options)
    if name == "dehb":
        from hpo.samplers.dehb import DEHBSampler

        return DEHBSampler(seed=seed, **options)
    if name == "sobol":
        return optuna.samplers.QMCSampler(
            qmc_type="sobol", seed=seed, **{"scramble": True, "warn_independent_sampling": False, **options}
        )
    if name == "tpe":
        return optuna.samplers.TPESampler(seed=seed, **options)
    if name == "cmaes":
        return optuna.samplers.CmaEsSampler(seed=seed, **{"warn_independent_sampling": False, **options})
    return optuna.samplers.RandomSampler(seed=seed, **options)
