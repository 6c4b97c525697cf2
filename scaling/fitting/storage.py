"""Fitted laws as law files keep them: every digit of the parameters, the draws packed."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scaling.checks import Check
from scaling.errors import InputError
from scaling.laws.registry import law_from_dict, law_to_dict

if TYPE_CHECKING:
    from scaling.fitted import FittedLaw

__all__ = ["from_payload", "pack", "to_payload", "told_if_damaged", "unpack"]

Array = NDArray[np.float64]


def to_payload(fitted: FittedLaw) -> dict[str, Any]:
    """What a law file keeps of a fit: law, parameters, uncertainty, checks, and the data to compute it all again."""
    return {
        "law": law_to_dict(fitted.law),
        "params": dict(fitted.params),
        "standard_errors": dict(fitted.standard_errors),
        "objective": fitted.objective,
        "converged": fitted.converged,
        "starts": fitted.starts,
        "reached": fitted.reached,
        "checks": [check.to_dict() for check in fitted.checks],
        "covariance": fitted.covariance.tolist(),
        "data": {
            "inputs": {name: column.tolist() for name, column in fitted.inputs.items()},
            "target": fitted.target.tolist(),
            "frame": {str(name): fitted.frame[name].tolist() for name in fitted.frame.columns},
        },
        "draws": pack(fitted.draws),
    }


def from_payload(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of a fitted law that :func:`to_payload` kept."""
    import pandas as pd

    law = law_from_dict(stored["law"])
    data = stored["data"]
    return {
        "law": law,
        "theta": law.theta(stored["params"]),
        "objective": float(stored["objective"]),
        "draws": unpack(stored["draws"]).reshape(-1, len(law.names)),
        "covariance": np.array(stored["covariance"], dtype=np.float64),
        "inputs": {name: np.array(column, dtype=np.float64) for name, column in data["inputs"].items()},
        "target": np.array(data["target"], dtype=np.float64),
        "frame": pd.DataFrame(data["frame"]),
        "converged": bool(stored["converged"]),
        "starts": int(stored["starts"]),
        "reached": int(stored["reached"]),
        "checks": [Check.from_dict(check) for check in stored["checks"]],
    }


@contextmanager
def told_if_damaged(source: str) -> Iterator[None]:
    """What goes wrong while a law file is read becomes an :class:`InputError` that names it."""
    try:
        yield
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, zlib.error) as error:
        raise InputError(
            f"is damaged or incomplete ({type(error).__name__}: {error})",
            source=source,
            remedy="fit the law again with `scaling fit`",
        ) from None


def pack(draws: Array) -> dict[str, Any]:
    """An array as shape and compressed bytes, for JSON: a tenth of the space of its numbers."""
    packed = base64.b64encode(zlib.compress(np.ascontiguousarray(draws, dtype="<f8").tobytes(), 6))
    return {"shape": list(draws.shape), "float64_zlib_base64": packed.decode()}


def unpack(stored: Mapping[str, Any]) -> Array:
    """The array that :func:`pack` was given."""
    raw = zlib.decompress(base64.b64decode(stored["float64_zlib_base64"]))
    return np.frombuffer(raw, dtype="<f8").reshape(stored["shape"]).astype(np.float64)
