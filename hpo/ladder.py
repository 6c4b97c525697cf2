"""The whole ladder as one study: cheap sizes first, then fewer and larger ones, then the target.

``sampler: {name: scale-up, target: {params: N, tokens: D}}`` hands the choice of size *and* hyperparameters to
:mod:`scaling.planning`: the runs that shrink the expected loss at the target most for their FLOPs. The study's
``scales`` are the sizes that may be trained; a target that is among them is trained last, at the law's prediction.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hpo.allocation.base import Allocation, Done, Move, Propose, Wait
from hpo.execution.base import Job, Source
from hpo.ledger import Ledger, RunRecord
from hpo.samplers.given import GivenSampler
from hpo.tuning import Tuning
from scaling.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from hpo.config.model import StudyConfig
    from hpo.store import Section
    from hpo.tuning import Listener

__all__ = ["LADDER", "Ladder", "check_ladder", "initial_rows", "is_target", "predicted_config", "target_of"]

#: The name of the sampler in study files.
LADDER = "scale-up"
#: Runs spread over a few cheap sizes before the first law is fitted, and the share of the budget they may cost.
_FIRST_RUNS, _FIRST_SHARE = 16, 0.2
#: Values per parameter that a plan may choose from.
_GRID = 12
#: Runs planned at a time: each batch is planned with all that is known by then.
_BATCH = 8


class _OnRequest(Allocation):
    """One new configuration for each request, on the first tuning seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.wanted: deque[dict[str, Any]] = deque()

    def next(self, ledger: Ledger) -> Move:
        """A new configuration if one is wanted."""
        if self.wanted:
            return Propose(self.seed)
        return Wait() if ledger.running() else Done()

    def settled(self, ledger: Ledger, configuration: int) -> bool:
        """As soon as its run has ended."""
        return not ledger.running(configuration)


class Ladder(Source):
    """Runs the ladder below the target.

    Args:
        config: The study; its sampler is ``scale-up``, its budget in FLOP.
        sections: Where each scale's runs are recorded, in the order of ``config.scales``.
        listener: Told of each finished run after it has been committed.
        resumed: Told of the runs that were there already, by section name.
    """

    def __init__(
        self,
        config: StudyConfig,
        sections: Sequence[Section],
        listener: Listener | None = None,
        resumed: Callable[[str, Ledger], None] | None = None,
    ) -> None:
        self.config = config
        self.target = target_of(config)
        below = [index for index, scale in enumerate(config.scales) if not is_target(config, scale)]
        self._requests: list[_OnRequest] = []
        self._rungs: list[Tuning] = []
        self._sizes: list[dict[str, Any]] = []
        for index in below:
            request = _OnRequest(config.seeds.tuning[0])
            rung = Tuning(
                sections[index],
                config.space,
                config.variants[index],
                request,
                config.seeds.tuning,
                lambda _, request=request: GivenSampler(request.wanted.popleft()),  # type: ignore[misc]
                listener,
            )
            self._requests.append(request)
            self._rungs.append(rung)
            self._sizes.append(dict(config.variants[index]))
            if resumed is not None:
                resumed(sections[index].name, rung.ledger)
        self._by_section = {rung.section.name: rung for rung in self._rungs}
        self._queue: deque[tuple[int, dict[str, Any]]] = deque()
        self._budget = float(config.budget.flops or 0.0) - self._owed_to_target()
        self.message = ""

    def ask(self) -> Job | Wait | Done:
        """The next run of the plan; a new plan when the last one has been handed out."""
        for rung in self._rungs:  # runs of a driver that died first
            move = rung.ask()
            if isinstance(move, Job):
                return move
        if not self._queue:
            waiting = any(rung.ledger.running() for rung in self._rungs)
            self._queue.extend(self._plan(waiting=waiting))
            if not self._queue:
                return Wait() if waiting else Done()
        index, values = self._queue.popleft()
        self._requests[index].wanted.append(values)
        move = self._rungs[index].ask()
        assert isinstance(move, Job)
        return move

    def tell(self, job: Job, record: RunRecord) -> None:
        """Commit a finished run."""
        self._by_section[job.section].tell(job, record)

    def runs(self) -> pd.DataFrame:
        """The runs table of the ladder.

        Sizes as asked for, so that runs of one size stay together; learning rate and batch size as the training says it
        used them (a batch of whole sequences, say), where it does.
        """
        import pandas as pd

        hypers = list(self.config.space.root)
        rows = [
            {
                **size,
                **rung.ledger.params[record.atom.configuration],
                **{name: record.metrics[name] for name in hypers if _positive(record.metrics.get(name))},
                "loss": record.value,
                "seed": record.atom.seed,
                "status": record.status,
            }
            for size, rung in zip(self._sizes, self._rungs, strict=True)
            for record in rung.ledger
        ]
        return pd.DataFrame(rows, columns=None if rows else ["params", "tokens", "loss", "status"])

    def spent(self) -> float:
        """FLOP (6ND) of all runs made or under way."""
        return sum(
            _flops(size) * (len(rung.ledger) + len(rung.ledger.running()))
            for size, rung in zip(self._sizes, self._rungs, strict=True)
        )

    def _owed_to_target(self) -> float:
        trained = any(is_target(self.config, scale) for scale in self.config.scales)
        return _flops(self.target) * len(self.config.seeds.tuning) if trained else 0.0

    def _plan(self, *, waiting: bool) -> list[tuple[int, dict[str, Any]]]:
        """The next batch: far apart at first, then by the law's posterior."""
        candidates, rung_of = self._candidates()
        done = {row for size, rung in self._ladder() for row in _rows(size, rung, list(candidates.columns))}
        open_ = np.array(
            [row not in done for row in candidates.itertuples(index=False, name=None)], dtype=bool
        )
        first = initial_rows(candidates, _FIRST_SHARE * self._budget, self.config.sampler.seed)
        rows = [row for row in first if open_[row]]
        if not rows:
            if waiting and len(done) <= len(first):
                return []  # no law can be fitted before the first runs are in
            left = self._budget - self.spent()
            cost = np.array([_flops(size) for size in self._sizes])[rung_of]
            rows = self._next(candidates, np.flatnonzero(open_ & (cost <= left)), left)
        hypers = list(self.config.space.root)
        return [
            (int(rung_of[row]), {name: float(candidates[name].iloc[row]) for name in hypers}) for row in rows
        ]

    def _ladder(self) -> list[tuple[dict[str, Any], Tuning]]:
        return list(zip(self._sizes, self._rungs, strict=True))

    def _next(self, candidates: pd.DataFrame, rows: np.ndarray[Any, Any], left: float) -> list[int]:
        """Of these rows of the candidates the ones to run next; none when more runs would no longer help."""
        from scaling import planning

        if not len(rows):
            return []
        plan = planning.plan(
            self.runs(),
            target_params=self.target["params"],
            target_tokens=self.target["tokens"],
            budget_flops=left,
            batch=_BATCH,
            candidates=candidates.iloc[rows].reset_index(drop=True),
        )
        self.message = plan.message
        return [int(rows[row]) for row in plan.rows] if plan.helps else []

    def _candidates(self) -> tuple[pd.DataFrame, np.ndarray[Any, np.dtype[np.int64]]]:
        """Every rung with a grid of hyperparameters over the space."""
        import pandas as pd

        grids = {
            name: _grid(distribution) for name, distribution in self.config.space.distributions().items()
        }
        mesh = np.stack(np.meshgrid(*grids.values(), indexing="ij"), axis=-1).reshape(-1, len(grids))
        count = len(self._sizes)
        table = {
            key: np.repeat([float(size[key]) for size in self._sizes], len(mesh))
            for key in ("params", "tokens")
        }
        table |= {name: np.tile(mesh[:, column], count) for column, name in enumerate(grids)}
        return pd.DataFrame(table), np.repeat(np.arange(count), len(mesh))


def initial_rows(candidates: pd.DataFrame, budget_flops: float, seed: int) -> list[int]:
    """Rows of the candidates that are run before any law can be fitted."""
    from scaling.planning import initial_design

    rows = initial_design(candidates, _FIRST_RUNS, budget_flops=budget_flops, cells=4, seed=seed)
    return [int(row) for row in rows]


def _rows(size: Mapping[str, Any], rung: Tuning, names: Sequence[str]) -> list[tuple[float, ...]]:
    """What a rung has run or is running, as rows of the candidates."""
    return [
        tuple(float({**size, **params}[name]) for name in names) for params in rung.ledger.params.values()
    ]


def predicted_config(config: StudyConfig, runs: pd.DataFrame) -> dict[str, Any]:
    """What the law of the ladder's runs says of the target: a configuration within the space."""
    import scaling

    law = scaling.fit(runs, law="lr-batch", bootstrap=0)
    answer = law.answer(target_of(config))
    return {name: answer["predictions"][name]["value"] for name in config.space.root}


def target_of(config: StudyConfig) -> dict[str, float]:
    """``params`` and ``tokens`` of the target."""
    given = config.sampler.options["target"]
    return {"params": float(given["params"]), "tokens": float(given["tokens"])}


def is_target(config: StudyConfig, scale: Mapping[str, Any]) -> bool:
    """Whether a scale is the size that the ladder leads up to."""
    return all(float(scale.get(key, 0)) == value for key, value in target_of(config).items())


def check_ladder(config: StudyConfig, source: str) -> None:
    """Refuse a study that cannot be a ladder, before anything is written."""

    def refuse(key: str, message: str, remedy: str) -> None:
        raise InputError(message, source=source, key=key, remedy=remedy)

    example = "sampler: {name: scale-up, target: {params: 2.0e+8, tokens: 4.0e+9}}"
    target = config.sampler.options.get("target")
    if not isinstance(target, Mapping) or not all(_positive(target.get(key)) for key in ("params", "tokens")):
        refuse("sampler.target", "scale-up needs the size to scale up to", example)
    unknown = set(config.sampler.options) - {"target"}
    if unknown:
        refuse(f"sampler.{min(unknown)}", "is not an option of scale-up", example)
    sizes = [scale for scale in config.variants if all(_positive(scale.get(k)) for k in ("params", "tokens"))]
    if len(sizes) < len(config.variants) or len(config.scales) < 2:
        refuse(
            "scales", "scale-up chooses among sizes", "give two or more scales with params and tokens each"
        )
    if config.budget.flops is None:
        refuse(
            "budget", f"is in {config.budget.kind}; scale-up spends FLOPs", "give budget: {flops: 1.0e+15}"
        )
    names = set(config.space.root)
    if not names or not names <= {"lr", "batch_size"} or "lr" not in names:
        refuse("space", "scale-up plans lr, with or without batch_size", "fix the other parameters")
    if config.direction != "minimize":
        refuse("direction", "scale-up fits laws of a loss", "give direction: minimize")
    at = [index for index, scale in enumerate(config.variants) if is_target(config, scale)]
    if at and at != [len(config.scales) - 1]:
        refuse(
            "scales", "the target is not the last scale", "list it last, or leave it out to plan without it"
        )
    least = min(_flops(scale) for scale in config.variants)
    owed = _flops(target_of(config)) * len(config.seeds.tuning) if at else 0.0
    if config.budget.flops is not None and config.budget.flops - owed < 2 * least:
        refuse(
            "budget.flops",
            f"{config.budget.flops:.3g} FLOP do not pay for two runs of the smallest size"
            + (f" and the target's {len(config.seeds.tuning)}" if at else ""),
            f"give at least {owed + _FIRST_RUNS * least / _FIRST_SHARE:.2g}",
        )


def _flops(size: Mapping[str, Any]) -> float:
    return 6.0 * float(size["params"]) * float(size["tokens"])


def _positive(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0


def _grid(distribution: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    low, high = float(distribution.low), float(distribution.high)
    points = np.geomspace(low, high, _GRID) if distribution.log else np.linspace(low, high, _GRID)
    return np.unique(np.round(points)) if isinstance(distribution.low, int) else points
