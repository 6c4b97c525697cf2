"""Early stopping by name: Ray Tune's own schedulers, and a way to use the simpler of them within one process."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hpo.populations import explore, repeatable, to_model, unblocked
from hpo.trial import Pruned
from scaling.errors import InputError

if TYPE_CHECKING:
    from hpo.config.model import SchedulerConfig
    from hpo.execution.base import Job, Task
    from hpo.ledger import RunRecord
    from hpo.space import Space

__all__ = [
    "NAMES",
    "PAUSING",
    "POPULATION",
    "STEP",
    "InlineStopper",
    "check_scheduler",
    "first_runs_only",
    "make_scheduler",
]

#: What a study file may call a scheduler.
NAMES = ("none", "asha", "hyperband", "median", "pbt", "pb2")
#: Result key of the step that an objective reported.
STEP = "step"
#: Those that pause runs and take them up again, which takes Ray's controller.
PAUSING = ("hyperband", "pbt", "pb2")
#: Of these, those that change hyperparameters on the way.
POPULATION = ("pbt", "pb2")
#: Those that draw at random.
_DRAWING = ("asha", *POPULATION)
#: Those that only ever let a run go on or end it; the others pause and change runs, which takes Ray's controller.
_STOPPING = ("asha", "median")


def check_scheduler(config: SchedulerConfig, engine: str, *, source: str | None = None) -> None:
    """Raise :class:`InputError` for an unknown scheduler, or one that the engine cannot drive."""
    if config.name not in NAMES:
        raise InputError(
            f"there is no scheduler {config.name!r}",
            source=source,
            key="scheduler.name",
            remedy=f"choose one of {', '.join(NAMES)}",
        )
    if engine == "inline" and config.name not in ("none", *_STOPPING):
        raise InputError(
            f"{config.name!r} pauses and resumes runs, which this process cannot",
            source=source,
            key="scheduler.name",
            remedy=f"use engine: ray, or one of none, {', '.join(_STOPPING)}",
        )


def make_scheduler(config: SchedulerConfig, metric: str, direction: str, space: Space | None = None) -> Any:
    """The Ray Tune scheduler; its options are those of Ray's class, time is the reported ``step``.

    Population schedulers mutate within ``space``, by their own rules or by those that their options give. Those that
    draw at random (these, and ``asha`` with several ``brackets``) also take a ``seed``, 0 if not said.
    """
    from ray.tune import TuneError, schedulers

    classes: dict[str, Callable[..., Any]] = {
        "none": schedulers.FIFOScheduler,
        "asha": schedulers.ASHAScheduler,
        "median": schedulers.MedianStoppingRule,
        "pbt": schedulers.PopulationBasedTraining,
    }
    if config.name == "none":
        return classes["none"]()
    if config.name == "hyperband":
        from hpo.hyperband import Hyperband

        classes["hyperband"] = Hyperband
    if config.name == "pb2":
        from ray.tune.schedulers.pb2 import PB2

        classes["pb2"] = PB2
    given = dict(config.options)
    seed = given.pop("seed", 0) if config.name in _DRAWING else 0
    if config.name in POPULATION:
        given.pop("finalists", None)
    if config.name in POPULATION and space is not None:
        given = {**_mutations(config.name, space), **_in_the_space(config.name, space, given)}
    options = {
        "time_attr": STEP,
        "metric": metric,
        "mode": "min" if direction == "minimize" else "max",
        **given,
    }
    try:
        rule = classes[config.name](**options)
        if config.name in _DRAWING:
            repeatable(rule, int(seed))
        if config.name in POPULATION:
            unblocked(rule)
        return rule
    except InputError:
        raise
    except (TypeError, AssertionError, ValueError, TuneError) as error:
        raise InputError(
            f"the scheduler {config.name!r} does not take these options: {error}",
            key="scheduler",
            remedy="its options are those of Ray Tune's class, such as max_t and grace_period in reported steps",
        ) from None
    except (ImportError, RuntimeError) as error:  # PB2 of older Ray asks for GPy
        raise InputError(
            f"the scheduler {config.name!r} cannot be used here: {error}",
            key="scheduler.name",
            remedy="install what it asks for, or a newer Ray, or use pbt",
        ) from None


def first_runs_only(rule: Any, judged: Callable[[Any], bool]) -> None:
    """Keep further seeds from a stopping rule: neither stopped by it, nor what it compares others with.

    Args:
        rule: Ray's.
        judged: Whether one of its trials is to be seen.
    """

    def seen(handle: Callable[..., Any], otherwise: Any = None) -> Callable[..., Any]:
        return lambda controller, trial, *more: (
            handle(controller, trial, *more) if judged(trial) else otherwise
        )

    rule.on_trial_result = seen(rule.on_trial_result, "CONTINUE")
    for name in ("on_trial_add", "on_trial_complete", "on_trial_remove", "on_trial_error"):
        setattr(rule, name, seen(getattr(rule, name)))


def _mutations(name: str, space: Space) -> dict[str, Any]:
    """What a population scheduler may change, and within which bounds."""
    from ray import tune

    from hpo.space import Categorical, IntRange

    if name == "pb2":
        numbers = {key: p for key, p in space.root.items() if not isinstance(p, Categorical)}
        return {"hyperparam_bounds": _modelled(space, {key: [p.low, p.high] for key, p in numbers.items()})}
    domains: dict[str, Any] = {}
    for key, parameter in space.root.items():
        if isinstance(parameter, Categorical):
            domains[key] = list(parameter.choices)
        elif isinstance(parameter, IntRange):
            draw = tune.lograndint if parameter.log else tune.randint
            domains[key] = draw(parameter.low, parameter.high + 1)
        else:
            domains[key] = (tune.loguniform if parameter.log else tune.uniform)(parameter.low, parameter.high)
    return {"hyperparam_mutations": domains}


def _in_the_space(name: str, space: Space, given: dict[str, Any]) -> dict[str, Any]:
    """A population scheduler's options as given, with an exploration that ends within the space."""
    modelled = name == "pb2"
    if modelled and "hyperparam_bounds" in given:
        given = {**given, "hyperparam_bounds": _modelled(space, given["hyperparam_bounds"])}
    own = given.get("custom_explore_fn")
    return {**given, "custom_explore_fn": explore(space, own, modelled=modelled)}


def _modelled(space: Space, bounds: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """Bounds as PB2's model is shown them."""
    low = to_model(space, {key: pair[0] for key, pair in bounds.items()})
    high = to_model(space, {key: pair[1] for key, pair in bounds.items()})
    return {key: [low[key], high[key]] for key in bounds}


class _Run:
    """As much of a Ray Tune trial as stopping rules look at."""

    def __init__(self, name: str) -> None:
        self.trial_id = name
        self.status = "RUNNING"

    def is_finished(self) -> bool:
        return self.status == "TERMINATED"

    def __repr__(self) -> str:
        return self.trial_id


class InlineStopper:
    """Drives a Ray Tune stopping rule without Ray: one run at a time, each report put before the rule."""

    def __init__(self, config: SchedulerConfig, task: Task) -> None:
        self._rule = make_scheduler(config, task.metric, task.direction)
        self._metric = task.metric
        last = config.options.get("max_t")
        self._last_step = float(last) if last is not None else None
        self._run: _Run | None = None
        self._last: dict[str, Any] = {}

    def begin(self, job: Job) -> Callable[[int, dict[str, float]], None]:
        """Enter a run; what is returned takes its reports and raises :class:`Pruned` where the rule ends it."""
        self._run = None
        if not job.judged:
            return lambda step, metrics: None
        run = _Run(f"{job.section}-{job.atom.configuration}-{job.atom.seed}")
        self._run, self._last = run, {}
        self._rule.on_trial_add(self, run)
        began = time.monotonic()

        def report(step: int, metrics: dict[str, float]) -> None:
            if self._metric not in metrics or (self._last_step is not None and step >= self._last_step):
                return  # at its last step a run is finished, not stopped
            self._last = {
                **metrics,
                STEP: step,
                "training_iteration": step,
                "time_total_s": time.monotonic() - began,
            }
            if self._rule.on_trial_result(self, run, self._last) == "STOP":
                raise Pruned(f"stopped at step {step}")

        return report

    def end(self, job: Job, record: RunRecord) -> None:
        """Take the run out."""
        if self._run is None:
            return
        self._run.status = "TERMINATED"
        if self._last:
            self._rule.on_trial_complete(self, self._run, self._last)
        else:
            self._rule.on_trial_remove(self, self._run)

    def get_live_trials(self) -> set[_Run]:
        """Runs under way, as Ray's rules ask their controller."""
        return {self._run} if self._run is not None and not self._run.is_finished() else set()
