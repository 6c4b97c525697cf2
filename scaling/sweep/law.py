"""A fitted learning-rate and batch-size law: what it predicts, how sure it is, where it is flat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scaling import lawfile
from scaling.checks import Check
from scaling.errors import InputError
from scaling.sweep.basin import Basin, best_given, contour, excess, extent
from scaling.sweep.features import FEW_TOKENS, SHORT_TRAINING, factor, features
from scaling.sweep.level import Level
from scaling.sweep.shared import Shared
from scaling.sweep.walls import Walls

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PLATEAU", "FittedSweep", "HyperLaw"]

Array = NDArray[np.float64]

#: The plateau is where the loss is within this fraction of its optimum.
PLATEAU = 1e-3


@dataclass(frozen=True)
class HyperLaw:
    """The power law of one hyperparameter, in octaves.

    Attributes:
        name: Hyperparameter.
        features: ``constant``, inputs, perhaps bends (:mod:`scaling.sweep.features`).
        beta: log2 of the optimum per feature. Shape ``(f,)``.
        covariance: Of ``beta``. Shape ``(f, f)``.
        scatter: Octaves by which the optimum of one cell, as a sweep would measure it, scatters around the law.
        freedom: Degrees of freedom of the interval.
        low: Smallest value in the runs.
        high: Largest value in the runs.
        unit: Unit of the value.
    """

    name: str
    features: tuple[str, ...]
    beta: Array
    covariance: Array
    scatter: float
    freedom: float
    low: float
    high: float
    unit: str


@dataclass(frozen=True)
class FittedSweep:
    """A fitted law for hyperparameters.

    Attributes:
        method: ``pooled`` or ``step-law``.
        hypers: One law a hyperparameter.
        inputs: Variables the law is written in.
        x_mid: log2 of the inputs at the middle of the cells. Shape ``(F,)``.
        ratio_mid: log2(tokens/params) where the bend sets in, less that at ``x_mid``.
        basin: Shared basin; ``None`` for ``step-law``.
        level: Loss at the optimum over sizes; ``None`` where it could not be fitted.
        cells: For each cell its scales, runs, best loss and best configuration, and the optimum the model found.
        noise: Standard deviation of log loss between repeats at the bottom.
        objective: Minus twice the log posterior (``pooled``), summed over runs.
        converged: Whether the optimiser's last step was below tolerance.
        checks: What makes the law less trustworthy.
        runs: Source, hash and number of the runs.
        options: As given to :func:`scaling.sweep.fitted.fit_sweep`.
        line: Input that was merged away to how it moves with the one that was kept:
            ``{name: (log2 at the middle, slope, kept)}``.
        walls: Correction of the basin far from its bottom (joint mode); ``None`` without it.
        shared: What cells of one model size have in common, added to the law near measured sizes; ``None`` without.
    """

    method: str
    hypers: tuple[HyperLaw, ...]
    inputs: tuple[str, ...]
    x_mid: Array
    ratio_mid: float
    basin: Basin | None
    level: Level | None
    cells: list[dict[str, float]]
    noise: float
    objective: float
    converged: bool
    checks: list[Check] = field(default_factory=list)
    runs: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    line: dict[str, tuple[float, float, str]] = field(default_factory=dict)
    walls: Walls | None = None
    shared: Shared | None = None

    @property
    def params(self) -> dict[str, float]:
        """Value where every other factor of the formula is 1, and exponents, by ``hyperparameter.feature``."""
        named = {}
        for law in self.hypers:
            for feature, value in zip(law.features, law.beta, strict=True):
                at_middle = feature == "constant"
                named[f"{law.name}.{'middle' if at_middle else feature}"] = float(
                    2.0**value if at_middle else value
                )
        return named

    @property
    def formula(self) -> str:
        """The law in one line."""
        parts = []
        for law in self.hypers:
            text = f"{law.name} = {2.0 ** law.beta[0]:.4g}"
            for feature, value in zip(law.features[1:], law.beta[1:], strict=True):
                text += f" ({self._factor(feature)})^{value:.3f}"
            parts.append(text)
        return ", ".join(parts)

    def _factor(self, feature: str) -> str:
        middles = dict(zip(self.inputs, 2.0**self.x_mid, strict=True))
        return factor(feature, middles.get("tokens" if feature == SHORT_TRAINING else feature, 1.0))

    def summary_rows(self) -> list[tuple[str, str, str, str]]:
        """Name, value, standard error and meaning of each parameter, for tables."""
        rows = []
        for law in self.hypers:
            errors = np.sqrt(np.diag(law.covariance))
            for feature, value, error in zip(law.features, law.beta, errors, strict=True):
                if feature == "constant":
                    value, error = 2.0**value, 2.0**value * np.log(2.0) * error
                bent = feature in (FEW_TOKENS, SHORT_TRAINING)
                meaning = f"exponent of {self._factor(feature)}" if bent else "exponent"
                rows.append(
                    (
                        f"{law.name}.{feature}",
                        f"{value:.5g}",
                        f"{error:.2g}",
                        "where every other factor is 1" if feature == "constant" else meaning,
                    )
                )
        return rows

    def position(self, inputs: Mapping[str, float]) -> Array:
        """A size in octaves from the middle of the cells. Shape ``(F,)``.

        Raises:
            InputError: An input is missing or not above zero.
        """
        missing = [name for name in self.inputs if name not in inputs]
        if missing:
            raise InputError(
                f"this law also needs {', '.join(missing)}", key=missing[0],
                remedy="give " + ", ".join(f"--{name}" if name in ("params", "tokens") else f"--set {name}=..."
                                           for name in missing),
            )  # fmt: skip
        from scaling.published import check_inputs

        checked = check_inputs({name: inputs[name] for name in self.inputs})
        return np.asarray([np.log2(checked[name]) for name in self.inputs]) - self.x_mid

    def centre(self, inputs: Mapping[str, float]) -> tuple[Array, Array]:
        """log2 of the optimum (law and common offset of its model size) and the law's deviation. Shapes ``(P,)``."""
        x = self.position(inputs)
        rows = [features(law.features, self.inputs, x, self.ratio_mid) for law in self.hypers]
        middle = np.array([row @ law.beta for row, law in zip(rows, self.hypers, strict=True)])
        if self.shared is not None:
            middle = middle + self.shared.shift(self.inputs, x)
        spread = np.array(
            [
                np.sqrt(np.maximum(row @ law.covariance @ row, 0.0))
                for row, law in zip(rows, self.hypers, strict=True)
            ]
        )
        return middle, spread

    def answer(self, inputs: Mapping[str, float], level: float = 0.9) -> dict[str, Any]:
        """What the law says at one size, as ``scaling predict --json`` answers it.

        Args:
            inputs: The law's inputs. A hyperparameter among them is held there: the others are then the best for it.
            level: Coverage of the intervals. They cover the optimum that a sweep at that size would measure.

        Returns:
            ``inputs``, ``predictions``, ``level``, ``plateau`` (where one hyperparameter is free: its range at what is
            held) and ``warnings``.
        """
        return self.answers([inputs], level)[0]

    def answers(self, rows: Sequence[Mapping[str, float]], level: float = 0.9) -> list[dict[str, Any]]:
        """:meth:`answer` for each of many sizes: at once, as the loss law's interval costs most of the time."""
        from scaling.published import check_inputs

        given = [check_inputs(row) for row in rows]
        losses: list[Array | None] = [None] * len(given)
        scales = [self._scales(one) for one in given]
        known = [at for at, one in enumerate(scales) if one is not None]
        if self.level is not None and known:
            table = {name: np.array([scales[at][name] for at in known]) for name in ("params", "tokens")}  # type: ignore[index]
            # Absurdly far out an end may leave what floats hold; it is then zero or infinite, and says so.
            with np.errstate(over="ignore", divide="ignore"):
                for at, loss in zip(known, self.level.log_losses(table, level), strict=True):
                    losses[at] = loss
        return [self._answer(one, level, loss) for one, loss in zip(given, losses, strict=True)]

    def _answer(self, given: dict[str, float], level: float, log_loss: Array | None) -> dict[str, Any]:
        from scaling.sweep.held import free_column, optimum, slice_plateau
        from scaling.sweep.warn import answer_warnings

        x = self.position(given)
        middle, low, high, cost = optimum(self, given, x, level)
        predictions: dict[str, dict[str, Any]] = {}
        for column, law in enumerate(self.hypers):
            if law.name not in given:
                ends = [float(np.exp2(edge[column])) for edge in (middle, low, high)]
                predictions[law.name] = {"value": ends[0], "low": ends[1], "high": ends[2], "unit": law.unit}
        if log_loss is not None:
            with np.errstate(over="ignore"):
                value, low_loss, high_loss = (float(end) for end in np.exp(log_loss + np.array(cost)))
            predictions["loss"] = {"value": value, "low": low_loss, "high": high_loss, "unit": "nats/token"}
        warnings = answer_warnings(self, given, predictions, cost)
        held = [law.name for law in self.hypers if law.name in given]
        plateau = {}
        if self.basin is not None and not held:
            plateau = self.plateau(given)
        elif self.basin is not None and len(held) == len(self.hypers) - 1:
            plateau = slice_plateau(self, given, x, float(middle[free_column(self, given)]), PLATEAU)
        return {
            "inputs": given,
            "predictions": predictions,
            "level": level,
            "plateau": plateau,
            "warnings": warnings,
        }

    def _scales(self, given: Mapping[str, float]) -> dict[str, float] | None:
        """``params`` and ``tokens`` at a size; one that was merged away follows from the other."""
        known = {name: float(given[name]) for name in ("params", "tokens") if name in given}
        for name, (middle, slope, kept) in self.line.items():
            if name not in known and kept in known:
                offset = np.log2(known[kept]) - self.x_mid[self.inputs.index(kept)]
                known[name] = float(2.0 ** (middle + slope * offset))
        return known if {"params", "tokens"} <= known.keys() else None

    def predict(self, points: pd.DataFrame | Mapping[str, Any], level: float = 0.9) -> pd.DataFrame:
        """Answer every row of a table of inputs.

        Returns:
            The points with ``<output>``, ``<output>_low``, ``<output>_high`` for each prediction. A hyperparameter
            among the columns is held at its value, and free where that is blank.
        """
        import pandas as pd

        table = points.copy() if isinstance(points, pd.DataFrame) else pd.DataFrame(dict(points))
        known = [*self.inputs, "params", "tokens", *(law.name for law in self.hypers)]
        columns = [name for name in dict.fromkeys(known) if name in table]
        rows = self.answers(
            [
                {name: value for name, value in zip(columns, row, strict=True) if not np.isnan(value)}
                for row in table[columns].to_numpy(float)
            ],
            level,
        )
        for output in dict.fromkeys(name for row in rows for name in row["predictions"]):
            for suffix, part in (("", "value"), ("_low", "low"), ("_high", "high")):
                empty: dict[str, Any] = {part: None}
                table[output + suffix] = [row["predictions"].get(output, empty)[part] for row in rows]
        return table

    def plateau(self, inputs: Mapping[str, float], tolerance: float = PLATEAU) -> dict[str, Any]:
        """Ranges of each hyperparameter within ``tolerance`` of the optimal loss, the others following.

        Raises:
            InputError: The method has no basin (``step-law``), or the tolerance is not above zero.
        """
        basin = self._need_basin()
        _check_tolerance(tolerance)
        x = self.position(inputs)
        middle, _ = self.centre(inputs)
        below, above = extent(basin, x, float(np.log1p(tolerance)))
        ranges: dict[str, Any] = {"tolerance": tolerance}
        for column, law in enumerate(self.hypers):
            low, high = 2.0 ** (middle[column] + below[column]), 2.0 ** (middle[column] + above[column])
            ranges[law.name] = {"low": float(low), "high": float(high), "unit": law.unit}
        return ranges

    def contour(self, inputs: Mapping[str, float], tolerance: float = PLATEAU, points: int = 73) -> Array:
        """Closed curve around the plateau in the first two hyperparameters. Shape ``(points, 2)``, their units."""
        basin = self._need_basin()
        if len(self.hypers) != 2:
            raise InputError("a contour needs two hyperparameters", key="contour", remedy="use plateau()")
        _check_tolerance(tolerance)
        middle, _ = self.centre(inputs)
        return np.asarray(
            2.0 ** (middle + contour(basin, self.position(inputs), float(np.log1p(tolerance)), points))
        )

    def surface(self, inputs: Mapping[str, float], values: Mapping[str, Any]) -> Array:
        """Excess loss (fraction of the optimal loss) at given hyperparameters of one size.

        Args:
            inputs: The size.
            values: Hyperparameter to values; arrays broadcast together. Those left out are the best for the others.

        Raises:
            InputError: The method has no basin, a name is no hyperparameter of the law, or a value is not above zero.
        """
        basin = self._need_basin()
        for name, given in values.items():
            if name not in {law.name for law in self.hypers}:
                raise InputError(
                    "is no hyperparameter of this law",
                    key=name,
                    remedy=f"one of {', '.join(law.name for law in self.hypers)}",
                )
            if not (np.asarray(given, float) > 0).all():
                raise InputError("must be above zero everywhere", key=name, remedy="give positive numbers")
        middle, _ = self.centre(inputs)
        held = np.array([law.name in values for law in self.hypers], dtype=bool)
        wanted = np.stack(
            np.broadcast_arrays(
                *(np.log2(np.asarray(values.get(law.name, 1.0), float)) for law in self.hypers)
            ),
            axis=-1,
        )
        d = best_given(basin, held, wanted - middle)
        x = np.broadcast_to(self.position(inputs), (*d.shape[:-1], len(self.inputs)))
        return np.asarray(np.expm1(excess(basin, d, x)))

    def _need_basin(self) -> Basin:
        if self.basin is None:
            raise InputError(
                f"method {self.method!r} fits the optimum only, no basin around it", key="method",
                remedy="fit with method 'pooled'",
            )  # fmt: skip
        return self.basin

    def to_dict(self) -> dict[str, Any]:
        """Everything that a law file keeps."""
        from scaling.sweep.stored import to_dict

        return to_dict(self)

    def save(self, path: str | Path) -> None:
        """Write the law file."""
        lawfile.write(path, "lr-batch", self.to_dict())

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any], source: str = "law file") -> FittedSweep:
        """Back from a law file.

        Raises:
            InputError: Something is missing or is not what it should be.
        """
        from scaling.sweep.stored import from_dict

        return from_dict(stored, source)


def _check_tolerance(tolerance: float) -> None:
    if not 0 < tolerance < np.inf:
        raise InputError(
            f"is {tolerance!r}",
            key="tolerance",
            remedy="give a fraction of the loss above zero, such as 0.001",
        )
