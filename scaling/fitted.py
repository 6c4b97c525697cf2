"""A law fitted to runs: its parameters, how sure they are, what it predicts, and the file that keeps it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from scaling import lawfile
from scaling.chained import chained, through
from scaling.checks import Check, check_prediction, run_checks
from scaling.errors import InputError
from scaling.fitting import solve
from scaling.fitting.data import required, training_data
from scaling.fitting.storage import from_payload, to_payload, told_if_damaged
from scaling.fitting.uncertainty import resample, sandwich
from scaling.laws import Law, Params, get_law
from scaling.runs import Runs, load_runs
from scaling.uncertainty.predictive import predictive

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FittedLaw", "RunsInfo", "fit_law"]

Array = NDArray[np.float64]
#: Columns that checks and reports look at, kept in law files when the runs have them.
KEPT = (
    "params",
    "tokens",
    "flops",
    "unique_tokens",
    "lr",
    "batch_size",
    "steps",
    "warmup_steps",
    "embedding_params",
    "epochs",
    "seed",
    "group",
    "loss",
)
#: Bootstrap replicates where nothing else is asked for.
BOOTSTRAP = 1000


@dataclass(frozen=True)
class RunsInfo:
    """Which runs a law was fitted to."""

    source: str
    sha256: str
    n: int
    set_aside: int = 0
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FitOptions:
    """How a law was fitted, so that it can be fitted again."""

    loss: str = "huber"
    delta: float = 1e-3
    bootstrap: int = BOOTSTRAP
    seed: int = 0
    target: str = "loss"


@dataclass
class FittedLaw:
    """A law fitted to runs.

    Attributes:
        law: The law.
        theta: Natural parameters, shape ``(p,)``.
        objective: Summed objective at ``theta``.
        draws: Bootstrap replicates of ``theta``, shape ``(R, p)``; none where ``bootstrap=0``.
        covariance: Of the parameters, shape ``(p, p)``: of the draws, or of the sandwich formula without any.
        inputs: Columns that the law reads, each of shape ``(n,)``.
        target: What was measured, shape ``(n,)``.
        runs: Where the data came from.
        options: Loss, delta, bootstrap, seed, target.
        frame: The columns of the runs that checks and reports look at.
        converged: Whether the gradient of the summed objective vanished.
        starts: Starts followed to the end.
        reached: How many of them ended at this optimum.
        checks: What makes this fit less trustworthy.
        upstream: For a law of the loss: the fitted law that predicts the loss from other inputs.
    """

    law: Law
    theta: Array
    objective: float
    draws: Array
    covariance: Array
    inputs: dict[str, Array]
    target: Array
    runs: RunsInfo
    options: FitOptions
    frame: pd.DataFrame
    converged: bool = True
    starts: int = 1
    reached: int = 1
    checks: list[Check] = field(default_factory=list)
    upstream: FittedLaw | None = None

    @property
    def params(self) -> Params:
        """The fitted parameters by name; aliases such as ``alpha`` are understood."""
        return self.law.params(self.theta)

    @property
    def standard_errors(self) -> Params:
        """Standard errors of the parameters by name."""
        return self.law.params(np.sqrt(np.maximum(np.diag(self.covariance), 0.0)))

    @property
    def output(self) -> str:
        """Name of what is predicted."""
        return self.law.output

    @property
    def fitted_values(self) -> Array:
        """The law at the runs, shape ``(n,)``."""
        return self.law.predict(self.theta, self.inputs)

    @property
    def residuals(self) -> Array:
        """Measured minus fitted on the law's residual scale (logs, mostly), shape ``(n,)``."""
        fitted = self.fitted_values
        if self.law.residuals == "log":
            result: Array = np.log(self.target) - np.log(fitted)
            return result
        return self.target - fitted

    def value(self, points: Mapping[str, Any]) -> Array:
        """The law's point prediction, shape ``(m,)``; through the law of the loss where the points give its inputs."""
        if self.upstream is not None and through(self, points):
            points = {self.upstream.output: self.upstream.value(points)}
        return self.law.predict(self.theta, points)

    def interval(self, points: Mapping[str, Any], level: float = 0.9) -> tuple[Array, Array]:
        """Interval that covers a new run at the stated level, each of shape ``(m,)``."""
        return self.expect(points, level)[1:]

    def expect(self, points: Mapping[str, Any], level: float = 0.9) -> tuple[Array, Array, Array]:
        """What a new run at each point is expected to give: median, low and high, each of shape ``(m,)``.

        The median is the law moved by what its own residuals nearby say; :meth:`value` is the law itself.
        """
        if not 0.0 < level < 1.0:
            raise InputError(f"level {level} is not between 0 and 1", key="level", remedy="such as 0.9")
        if self.upstream is not None and through(self, points):
            return chained(self, self.upstream.law.columns(points), level)
        found = predictive(self, self.law.columns(points), level)
        return found.value, found.low, found.high

    def bootstrap_interval(self, points: Mapping[str, Any], level: float = 0.9) -> tuple[Array, Array]:
        """Bootstrap draws with resampled residuals: right where the law is, too narrow in extrapolation."""
        rng = np.random.default_rng(self.options.seed)
        rows = self.draws if len(self.draws) else self.theta[None]
        values = self.law.predict(rows, points)
        degrees = max(len(self.target) - len(self.theta), 1)
        noise = self.residuals * np.sqrt(len(self.target) / degrees)
        # Whole copies of the draws, so that a few of them still give smooth quantiles.
        values = np.repeat(values, -(-1000 // len(values)), axis=0)
        drawn = rng.choice(noise, size=values.shape)
        with np.errstate(all="ignore"):
            values = values * np.exp(drawn) if self.law.residuals == "log" else values + drawn
        low, high = np.nanquantile(values, [(1 - level) / 2, (1 + level) / 2], axis=0)
        return low, high

    def predict(self, points: pd.DataFrame | Mapping[str, Any], level: float = 0.9) -> pd.DataFrame:
        """Predict many points.

        Args:
            points: A table or mapping with the law's inputs.
            level: Coverage that the intervals claim.

        Returns:
            The points with ``<output>``, ``<output>_low`` and ``<output>_high`` added.
        """
        import pandas as pd

        table = points.copy() if isinstance(points, pd.DataFrame) else pd.DataFrame(_broadcast(points))
        columns = {str(name): table[name].to_numpy() for name in table.columns}
        self._check_points(columns)
        value, low, high = self.expect(columns, level)
        table[self.output], table[f"{self.output}_low"], table[f"{self.output}_high"] = value, low, high
        return table

    def answer(self, inputs: Mapping[str, float], level: float = 0.9) -> dict[str, Any]:
        """What the law says of one point, as ``scaling predict --json`` answers it."""
        columns = {name: np.atleast_1d(np.asarray(value, dtype=np.float64)) for name, value in inputs.items()}
        self._check_points(columns)
        value, low, high = self.expect(columns, level)
        prediction = {
            "value": float(value[0]),
            "low": float(low[0]),
            "high": float(high[0]),
            "unit": self.law.unit,
            "law": float(self.value(columns)[0]),
        }
        return {
            "inputs": {name: float(value) for name, value in inputs.items()},
            "predictions": {self.output: prediction},
            "level": level,
            "warnings": [check.message for check in self._warnings(columns)],
        }

    def _check_points(self, columns: Mapping[str, Any]) -> None:
        law = self.upstream.law if self.upstream is not None and through(self, columns) else self.law
        for name, values in law.columns(columns).items():
            if not (np.isfinite(values) & (values > 0)).all():
                raise InputError(
                    f"{name} must be finite and above zero", key=name, remedy="give a positive number"
                )

    def _warnings(self, columns: Mapping[str, Array]) -> list[Check]:
        told = [check for check in self.checks if check.severity != "info"]
        return [*told, *check_prediction(self, columns)]

    def summary_rows(self) -> list[tuple[str, str, str, str]]:
        """Name, value, standard error and meaning of each parameter, for tables."""
        errors = self.standard_errors
        return [
            (
                p.name,
                f"{self.params[p.name]:.6g}",
                f"{errors[p.name]:.3g}",
                p.meaning + (f" ({p.unit})" if p.unit else ""),
            )
            for p in self.law.parameters
        ]

    def to_dict(self) -> dict[str, Any]:
        """Everything that a law file keeps."""
        return {
            **to_payload(self),
            "options": dataclasses.asdict(self.options),
            "runs": dataclasses.asdict(self.runs),
            "upstream": None if self.upstream is None else self.upstream.to_dict(),
        }

    def save(self, path: str | Path) -> None:
        """Write the law file."""
        lawfile.write(path, "loss", self.to_dict())

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any], source: str = "law file") -> FittedLaw:
        """Back from a law file.

        Raises:
            InputError: Something is missing or is not what it should be.
        """
        with told_if_damaged(source):
            before = stored.get("upstream")
            return cls(
                **from_payload(stored),
                options=FitOptions(**stored["options"]),
                runs=RunsInfo(**stored["runs"]),
                upstream=None if before is None else cls.from_dict(before, source),
            )
        raise AssertionError("told_if_damaged raises")


def _broadcast(points: Mapping[str, Any]) -> dict[str, Any]:
    columns = {name: np.atleast_1d(np.asarray(value)) for name, value in points.items()}
    size = max((len(column) for column in columns.values()), default=0)
    return {name: np.broadcast_to(column, (size,)) for name, column in columns.items()}


def fit_law(
    runs: Any,
    law: str | Law | Callable[..., Any] = "chinchilla",
    *,
    loss: str = "huber",
    delta: float = 1e-3,
    bootstrap: int = BOOTSTRAP,
    seed: int = 0,
    columns: Mapping[str, str] | str | None = None,
    target: str | None = None,
    residuals: Literal["log", "linear"] | None = None,
    upstream: str | Law | FittedLaw | None = None,
    checks: bool = True,
    progress: Callable[[int, int], None] | None = None,
    **law_options: Any,
) -> FittedLaw:
    """Fit a law to a runs table.

    Args:
        runs: A CSV or Parquet file, a DataFrame, a mapping of columns, or :class:`scaling.runs.Runs`.
        law: A name from ``scaling laws``, a formula string, a Python function, or a :class:`scaling.laws.Law`.
        loss: ``huber``, ``squared``, ``soft-l1`` or ``absolute``, summed over the runs.
        delta: Scale of the loss on the law's residual scale (logs, mostly).
        bootstrap: Replicates that resample the runs (whole ``group``s where there is such a column).
        seed: Seed of everything random.
        columns: Our column names to theirs.
        target: Column to predict; the law's own output by default.
        residuals: Scale of the residuals; by default the law's own.
        upstream: For a law of the loss, such as ``downstream``: a fitted law of the loss, or one to fit to these
            runs, so that errors can be predicted from parameters and tokens.
        checks: Whether to run the checks.
        progress: Called with replicates done and all replicates.
        law_options: Of the law, such as ``axis="tokens", breaks=2`` or ``fixed={"a": 0.34}``.

    Raises:
        InputError: A column is missing or not positive, there are fewer runs than parameters, or an input has one
            distinct value.
    """
    chosen = get_law(law, **law_options)
    chosen = _variant(chosen, target, residuals)
    table = load_runs(runs, columns=columns, require=required(chosen))
    fitting = {"loss": loss, "delta": delta, "bootstrap": bootstrap, "seed": seed}
    inputs, measured = training_data(table, chosen)
    solution = solve(chosen, inputs, measured, loss=loss, delta=delta, seed=seed)
    if not np.isfinite(solution.objective[0]):
        raise InputError(
            f"{chosen.name} is not finite anywhere near these runs", source=table.source, key="law"
        )
    draws = np.empty((0, len(chosen.names)))
    if bootstrap:
        groups = table.frame["group"].to_numpy() if "group" in table else None
        weights = resample(len(measured), bootstrap, len(chosen.names), seed=seed, groups=groups)
        draws = solve(
            chosen,
            inputs,
            measured,
            weights=weights,
            loss=loss,
            delta=delta,
            starts=solution.theta,
            progress=progress,
        ).theta
    if len(draws) > 1:
        covariance = np.atleast_2d(np.cov(draws, rowvar=False))
    else:
        covariance = sandwich(chosen, solution.theta[0], inputs, measured, loss, delta)
    kept = [name for name in dict.fromkeys([*KEPT, *inputs, chosen.output]) if name in table]
    fitted = FittedLaw(
        law=chosen,
        theta=solution.theta[0],
        objective=float(solution.objective[0]),
        draws=draws,
        covariance=covariance,
        inputs=inputs,
        target=measured,
        runs=RunsInfo(table.source, table.sha256, len(table), table.set_aside, table.columns),
        options=FitOptions(loss, delta, bootstrap, seed, chosen.output),
        frame=table.frame[kept],
        converged=bool(solution.converged[0]),
        starts=solution.starts,
        reached=solution.reached,
        upstream=_upstream(upstream, table, chosen, fitting),
    )
    if checks:
        fitted.checks = run_checks(fitted)
    return fitted


def _variant(law: Law, target: str | None, residuals: Literal["log", "linear"] | None) -> Law:
    """The law for another target or scale of residuals."""
    if residuals not in (None, "log", "linear"):
        raise InputError(f"unknown scale {residuals!r}", key="residuals", remedy="log or linear")
    if target is not None and target != law.output:
        law = dataclasses.replace(law, output=target, unit=law.unit if target.startswith("loss") else "")
    return law if residuals is None else dataclasses.replace(law, residuals=residuals)


def _upstream(
    upstream: str | Law | FittedLaw | None, table: Runs, law: Law, fitting: dict[str, Any]
) -> FittedLaw | None:
    """The law of the loss that a law of the loss stands on."""
    if upstream is None:
        return None
    if law.inputs != ("loss",):
        raise InputError(
            f"{law.name} is no law of the loss alone",
            key="upstream",
            remedy="leave it out, or fit downstream",
        )
    return upstream if isinstance(upstream, FittedLaw) else fit_law(table, upstream, **fitting)
