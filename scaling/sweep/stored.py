"""What a law file keeps of a fitted learning-rate and batch-size law, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling.checks import Check
from scaling.errors import InputError
from scaling.sweep.basin import Basin
from scaling.sweep.law import FittedSweep, HyperLaw
from scaling.sweep.level import Level
from scaling.sweep.shared import Shared
from scaling.sweep.walls import Walls

__all__ = ["from_dict", "to_dict"]

Array = NDArray[np.float64]


def to_dict(law: FittedSweep) -> dict[str, Any]:
    """Everything that a law file keeps."""
    stored = {name: getattr(law, name) for name in law.__dataclass_fields__}
    stored["hypers"] = [asdict(hyper) for hyper in law.hypers]
    stored["basin"] = None if law.basin is None else asdict(law.basin)
    stored["walls"] = None if law.walls is None else law.walls.to_dict()
    stored["shared"] = None if law.shared is None else law.shared.to_dict()
    stored["level"] = None if law.level is None else asdict(law.level)
    stored["checks"] = [check.to_dict() for check in law.checks]
    stored["params"] = law.params
    return stored


def from_dict(stored: Mapping[str, Any], source: str = "law file") -> FittedSweep:
    """Back from a law file.

    Raises:
        InputError: Something is missing or is not what it should be.
    """
    try:
        return _read(stored)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"is damaged or incomplete ({type(error).__name__}: {error})",
            source=source,
            remedy="fit the law again with `scaling fit --law lr-batch`",
        ) from None


def _read(stored: Mapping[str, Any]) -> FittedSweep:
    basin, level = stored["basin"], stored["level"]
    walls, shared = stored.get("walls"), stored.get("shared")  # files of earlier versions lack these
    return FittedSweep(
        method=str(stored["method"]),
        hypers=tuple(_hyper(one) for one in stored["hypers"]),
        inputs=tuple(stored["inputs"]),
        x_mid=_array(stored["x_mid"]),
        ratio_mid=float(stored["ratio_mid"]),
        basin=None if basin is None else Basin(**{name: _array(value) for name, value in basin.items()}),
        level=None if level is None else Level(**level),
        cells=[dict(cell) for cell in stored["cells"]],
        noise=_number(stored["noise"]),
        objective=_number(stored["objective"]),
        converged=bool(stored["converged"]),
        checks=[Check.from_dict(check) for check in stored["checks"]],
        runs=dict(stored["runs"]),
        options=dict(stored["options"]),
        walls=None if walls is None else Walls.from_dict(walls),
        shared=None if shared is None else Shared.from_dict(shared),
        line={name: (float(a), float(b), str(c)) for name, (a, b, c) in stored["line"].items()},
    )


def _hyper(stored: Mapping[str, Any]) -> HyperLaw:
    known = dict(stored)
    known["features"] = tuple(known["features"])
    known |= {name: _array(known[name]) for name in ("beta", "covariance")}
    return HyperLaw(**known)


def _array(value: Any) -> Array:
    return np.array(value, dtype=np.float64)


def _number(value: Any) -> float:
    # JSON has no NaN; what a method does not know is null.
    return float("nan") if value is None else float(value)
