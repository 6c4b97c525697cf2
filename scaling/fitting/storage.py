"""Bootstrap draws in a law file: every digit, in a tenth of the space of JSON numbers."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["pack", "unpack"]

Array = NDArray[np.float64]


def pack(draws: Array) -> dict[str, Any]:
    """An array as shape and compressed bytes, for JSON."""
    packed = base64.b64encode(zlib.compress(np.ascontiguousarray(draws, dtype="<f8").tobytes(), 6))
    return {"shape": list(draws.shape), "float64_zlib_base64": packed.decode()}


def unpack(stored: Mapping[str, Any]) -> Array:
    """The array that :func:`pack` was given."""
    raw = zlib.decompress(base64.b64decode(stored["float64_zlib_base64"]))
    return np.frombuffer(raw, dtype="<f8").reshape(stored["shape"]).astype(np.float64)
