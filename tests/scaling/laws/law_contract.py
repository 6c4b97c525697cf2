"""The contract kit: what every law must do, built in or a user's own. A new law joins by one more :class:`Case`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling.laws import Law, get_law

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """A law and parameters that it must find again.

    Attributes:
        name: What the tests call it.
        make: Gives the law.
        theta: True natural parameters.
        exact: Relative error allowed in the parameters found from data without noise.
    """

    name: str
    make: Callable[[], Law]
    theta: tuple[float, ...]
    exact: float = 1e-6


def inputs(law: Law, runs: int = 60, seed: int = 0) -> dict[str, Array]:
    """A design wide enough to identify any of the laws: N, D, U, C and losses over decades."""
    rng = np.random.default_rng(seed)
    params = 10 ** rng.uniform(7, 10, runs)
    tokens = params * 10 ** rng.uniform(0.3, 2.5, runs)
    columns = {
        "params": params,
        "tokens": tokens,
        "unique_tokens": tokens / 10 ** rng.uniform(-0.5, 1.5, runs),
        "flops": 6 * params * tokens,
        "loss": rng.uniform(2, 4, runs),
        "width": 10 ** rng.uniform(1, 3, runs),
    }
    return {name: columns[name] for name in law.inputs}


def own_function(E: Any, A: Any, a: Any, params: Any) -> Any:
    """A user's law that can be traced: operators and numpy functions only."""
    return E + A * np.exp(-a * np.log(params))


def opaque_function(E: Any, A: Any, a: Any, params: Any) -> Any:
    """A user's law that cannot be traced: it asks for the shape of its arrays."""
    return E + A * np.asarray(params, dtype=np.float64) ** -a + np.zeros(np.shape(params))


CASES = (
    Case("chinchilla", lambda: get_law("chinchilla"), (1.8, 480.0, 2100.0, 0.35, 0.37)),
    Case("chinchilla-tied", lambda: get_law("chinchilla-tied"), (1.8, 480.0, 2100.0, 0.35)),
    Case("kaplan", lambda: get_law("kaplan"), (8.8e13, 0.076, 5.4e13, 0.095)),
    Case("over-training", lambda: get_law("over-training"), (1.8, 150.0, 190.0, 0.12)),
    Case("downstream", lambda: get_law("downstream"), (0.8, 2.0, 0.9)),
    Case("repeated-data", lambda: get_law("repeated-data"), (1.8, 480.0, 2100.0, 0.35, 0.37, 15.4, 5.3)),
    Case(
        "repeated-data-tied", lambda: get_law("repeated-data-tied"), (1.87, 521.0, 1488.0, 0.353, 15.4, 5.3)
    ),
    Case("power-law", lambda: get_law("power-law"), (1.7, 400.0, 0.33)),
    Case("power-law over flops", lambda: get_law("power-law", axis="flops"), (1.7, 2e3, 0.16)),
    Case("power-law-no-floor", lambda: get_law("power-law-no-floor", axis="tokens"), (20.0, 0.08)),
    Case(
        "shifted-power-law",
        lambda: get_law("shifted-power-law", axis="tokens"),
        (1.7, 8000.0, 0.4, 1e10),
    ),
    Case("broken, 1 break", lambda: get_law("broken-power-law"), (0.1, 30.0, 0.1, 0.3, 1e9, 0.3)),
    Case(
        "broken, 2 breaks",
        lambda: get_law("broken-power-law", axis="params", breaks=2, floor=0),
        (30.0, 0.05, 0.3, 2e8, 0.2, -0.2, 2e9, 0.2),
        1e-5,
    ),
    Case("formula", lambda: get_law("L = E + A/N^a + B/D^b"), (1.8, 480.0, 0.35, 2100.0, 0.37)),
    Case(
        "formula, own column",
        lambda: get_law("y = c + k*exp(-width/r)", inputs=["width"]),
        (0.5, 2.0, 125.0),
    ),
    Case("formula, rising", lambda: get_law("acc = top - k*log(tokens)/tokens**0.1"), (0.9, 0.05)),
    Case("function", lambda: get_law(own_function), (1.7, 400.0, 0.33)),
    Case("function, opaque", lambda: get_law(opaque_function), (1.7, 400.0, 0.33), 1e-4),
    Case(
        "chinchilla, exponents fixed",
        lambda: get_law("chinchilla", fixed={"alpha": 0.35, "b": 0.37}),
        (1.8, 480.0, 2100.0),
    ),
)
