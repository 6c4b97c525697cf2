"""Hyperband for runs that come one after the other: Ray Tune's, whose brackets fill as members arrive, mended for that.

Ray's ``HyperBandScheduler`` takes a bracket as full once so many of its runs are *live*. With fewer workers than its
first bracket has places that never happens, and no run is ever stopped. ``HyperBandForBOHB``, from which this one is
made, pauses runs until their bracket is full, and begins with the bracket that stops the most.
"""

from __future__ import annotations

import math
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import HyperBandForBOHB
from ray.tune.schedulers.hyperband import _Bracket

from scaling.errors import InputError

__all__ = ["Hyperband"]


class Hyperband(HyperBandForBOHB):
    """Hyperband (Li et al. 2018, JMLR 18, algorithm 1) among the first runs of configurations.

    Further seeds of a configuration have no place in a bracket: :func:`hpo.schedulers.first_runs_only`. A bracket that
    the budget does not fill is judged with the runs it has. The survivors of its last rung are trained to the end.

    Args:
        grace_period: Reported steps before which no run is stopped: the resource that Hyperband counts in.
        **options: Those of Ray's class; ``max_t`` and ``reduction_factor`` above all.

    Raises:
        InputError: ``grace_period`` does not lie within (0, max_t].
    """

    def __init__(self, *, grace_period: float = 1, **options: Any) -> None:
        super().__init__(**{"stop_last_trials": False, **options})
        if not 0 < grace_period <= self._max_t_attr:
            raise InputError(
                f"{grace_period} is no step between 0 and max_t, {self._max_t_attr}",
                key="scheduler.grace_period",
                remedy="give the steps before which no run is to be stopped",
            )
        # Rungs lie at max_t, max_t / eta, max_t / eta^2 ... down to the grace period.
        self._s_max_1 = int(math.log(self._max_t_attr / grace_period) / math.log(self._eta) + 1e-9) + 1

    def _create_bracket(self, s: int) -> _Bracket:
        return _Filling(
            time_attr=self._time_attr,
            max_trials=self._get_n0(s),
            init_t_attr=self._get_r0(s),
            max_t_attr=self._max_t_attr,
            eta=self._eta,
            s=s,
            stop_last_trials=self._stop_last_trials,
        )

    def choose_trial_to_run(self, tune_controller: Any, allow_recurse: bool = True) -> Trial | None:
        """Further seeds of what has passed come first: they complete a configuration."""
        for trial in tune_controller.get_live_trials():
            if trial.status == Trial.PENDING and trial not in self._trial_info:
                return trial
        return super().choose_trial_to_run(tune_controller, allow_recurse)


class _Filling(_Bracket):
    """A bracket that is full when it has had so many runs, whatever has become of them."""

    _n: int
    _halved = False

    def filled(self) -> bool:
        return self._halved or len(self._all_trials) >= self._n0

    def successive_halving(self, metric: str, metric_op: float) -> tuple[list[Trial], list[Trial]]:
        if not self._halved:
            self._n = min(self._n, len(self._all_trials))
            self._halved = True
        good, bad = super().successive_halving(metric, metric_op)
        return list(good), list(bad)
