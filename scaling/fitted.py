"""A law fitted to runs: its parameters, how sure they are, what it predicts, and the file that keeps it."""

from __future__ import annotations

import base64
import dataclasses
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scaling import lawfile
from scaling.checks import Check
from scaling.errors import InputError
from scaling.fitting import solve
from scaling.fitting.uncertainty import resample, sandwich
from scaling.laws import Law, Params, get_law
from scaling.laws.registry import law_from_dict, law_to_dict
from scaling.runs import Runs, load_runs

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
        """The law's point prediction, shape ``(m,)``."""
        return self.law.predict(self.theta, points)

    def interval(self, points: Mapping[str, Any], level: float = 0.9) -> tuple[Array, Array]:
        """Interval that covers a new run at the stated level, each of shape ``(m,)``."""
        if not 0.0 < level < 1.0:
            raise InputError(f"level {level} is not between 0 and 1", key="level", remedy="such as 0.9")
        columns = self.law.columns(points)
        try:
            from scaling.uncertainty import predictive_interval
        except ImportError:
            return self.bootstrap_interval(columns, level)
        low, high = predictive_interval(self, columns, level)
        return np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)

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
        _check_points(self.law, columns)
        low, high = self.interval(columns, level)
        table[self.output] = self.value(columns)
        table[f"{self.output}_low"], table[f"{self.output}_high"] = low, high
        return table

    def answer(self, inputs: Mapping[str, float], level: float = 0.9) -> dict[str, Any]:
        """What the law says of one point, as ``scaling predict --json`` answers it."""
        columns = {name: np.atleast_1d(np.asarray(value, dtype=np.float64)) for name, value in inputs.items()}
        _check_points(self.law, columns)
        low, high = self.interval(columns, level)
        prediction = {
            "value": float(self.value(columns)[0]),
            "low": float(low[0]),
            "high": float(high[0]),
            "unit": self.law.unit,
        }
        return {
            "inputs": {name: float(value) for name, value in inputs.items()},
            "predictions": {self.output: prediction},
            "level": level,
            "warnings": [check.message for check in self._warnings(columns)],
        }

    def _warnings(self, columns: Mapping[str, Array]) -> list[Check]:
        told = [check for check in self.checks if check.severity != "info"]
        try:
            from scaling.checks import check_prediction
        except ImportError:
            return told
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
        options = dataclasses.asdict(self.options)
        return {
            "law": law_to_dict(self.law),
            "params": dict(self.params),
            "standard_errors": dict(self.standard_errors),
            "objective": self.objective,
            "converged": self.converged,
            "starts": self.starts,
            "reached": self.reached,
            "options": options,
            "runs": dataclasses.asdict(self.runs),
            "checks": [check.to_dict() for check in self.checks],
            "covariance": self.covariance.tolist(),
            "data": {
                "inputs": {name: column.tolist() for name, column in self.inputs.items()},
                "target": self.target.tolist(),
                "frame": {str(name): self.frame[name].tolist() for name in self.frame.columns},
            },
            "draws": _pack(self.draws),
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
        import pandas as pd

        try:
            law = law_from_dict(stored["law"])
            options = FitOptions(**stored["options"])
            if law.output != stored["law"].get("output", law.output):
                law = dataclasses.replace(law, output=stored["law"]["output"], unit=stored["law"]["unit"])
            data = stored["data"]
            return cls(
                law=law,
                theta=law.theta(stored["params"]),
                objective=float(stored["objective"]),
                draws=_unpack(stored["draws"]).reshape(-1, len(law.names)),
                covariance=np.array(stored["covariance"], dtype=np.float64),
                inputs={name: np.array(column, dtype=np.float64) for name, column in data["inputs"].items()},
                target=np.array(data["target"], dtype=np.float64),
                runs=RunsInfo(**stored["runs"]),
                options=options,
                frame=pd.DataFrame(data["frame"]),
                converged=bool(stored["converged"]),
                starts=int(stored["starts"]),
                reached=int(stored["reached"]),
                checks=[Check.from_dict(check) for check in stored["checks"]],
            )
        except (KeyError, TypeError, ValueError, zlib.error) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"is damaged or incomplete ({type(error).__name__}: {error})",
                source=source,
                remedy="fit the law again with `scaling fit`",
            ) from None


def _pack(draws: Array) -> dict[str, Any]:
    packed = base64.b64encode(zlib.compress(np.ascontiguousarray(draws, dtype="<f8").tobytes(), 6))
    return {"shape": list(draws.shape), "float64_zlib_base64": packed.decode()}


def _unpack(stored: Mapping[str, Any]) -> Array:
    raw = zlib.decompress(base64.b64decode(stored["float64_zlib_base64"]))
    return np.frombuffer(raw, dtype="<f8").reshape(stored["shape"]).astype(np.float64)


def _broadcast(points: Mapping[str, Any]) -> dict[str, Any]:
    columns = {name: np.atleast_1d(np.asarray(value)) for name, value in points.items()}
    size = max((len(column) for column in columns.values()), default=0)
    return {name: np.broadcast_to(column, (size,)) for name, column in columns.items()}


def _check_points(law: Law, columns: Mapping[str, Any]) -> None:
    for name, values in law.columns(columns).items():
        if not (np.isfinite(values) & (values > 0)).all():
            raise InputError(
                f"{name} must be finite and above zero", key=name, remedy="give a positive number"
            )


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
        checks: Whether to run the checks.
        progress: Called with replicates done and all replicates.
        law_options: Of the law, such as ``axis="tokens", breaks=2`` or ``fixed={"a": 0.34}``.

    Raises:
        InputError: A column is missing or not positive, there are fewer runs than parameters, or an input has one
            distinct value.
    """
    chosen = get_law(law, **law_options)
    if target is not None and target != chosen.output:
        unit = chosen.unit if target.startswith("loss") else ""
        chosen = dataclasses.replace(chosen, output=target, unit=unit)
    table = load_runs(runs, columns=columns, require=_required(chosen))
    inputs, measured = _data(table, chosen)
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
    )
    if checks:
        fitted.checks = _run_checks(fitted)
    return fitted


def _run_checks(fitted: FittedLaw) -> list[Check]:
    try:
        from scaling.checks import run_checks
    except ImportError:
        return []
    return list(run_checks(fitted))


def _required(law: Law) -> Sequence[str]:
    names = [name for name in law.inputs if name != "flops"]
    return [*names, law.output]


def _data(table: Runs, law: Law) -> tuple[dict[str, Array], Array]:
    """Inputs and target, checked against what the law needs."""
    if "flops" in law.inputs and "flops" not in table:
        table.require("params", "tokens")
    inputs = {name: table.values(name) for name in law.inputs}
    measured = table.values(law.output)
    for name, column in [*inputs.items(), (law.output, measured)]:
        wrong = ~np.isfinite(column)
        if name != law.output or law.residuals == "log":
            wrong |= column <= 0
        if wrong.any():
            row = int(np.argmax(wrong))
            raise InputError(
                f"row {row + 1} has {column[row]}, where a finite number above zero is needed ({int(wrong.sum())} such rows)",
                source=table.source,
                key=name,
                remedy="mark failed or diverged runs in a column `status`, or leave them out",
            )
    if len(measured) < len(law.names):
        raise InputError(
            f"{len(measured)} runs cannot determine the {len(law.names)} parameters of {law.name}",
            source=table.source,
            remedy="make more runs, fix parameters, or fit a law with fewer",
        )
    for name, column in inputs.items():
        if len(np.unique(column)) < 2:
            raise InputError(
                f"has one distinct value ({column[0]:g}), so nothing can be said of how the {law.output} changes with it",
                source=table.source,
                key=name,
                remedy="give runs of at least two sizes, or choose a law without it",
            )
    return inputs, measured
