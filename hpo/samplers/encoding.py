"""Search spaces as points of the unit cube: the features a surrogate sees, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

__all__ = ["Encoding"]

Array = npt.NDArray[np.float64]

# Two different choices are then at distance 1.
_ROOT_HALF = math.sqrt(0.5)


class Encoding:
    """Maps configurations to features in [0, 1] and back.

    A number is one feature, on the scale of its distribution (log or linear). A categorical parameter of c choices is
    c features, of which one is 1/sqrt(2), so that two different choices lie at distance 1. A parameter that some
    configurations lack adds a feature that says whether it is there (at distance 1, too), and stands at the middle of
    its range where it is not.

    Attributes:
        space: The parameters, by name.
        names: Their order.
        groups: ``m``; the parameter (as index in ``names``) of each feature.
    """

    def __init__(self, space: Mapping[str, BaseDistribution], conditional: Sequence[str] = ()) -> None:
        self.space = dict(space)
        self.names = list(space)
        self.conditional = [name for name in self.names if name in set(conditional)]
        groups: list[int] = []
        self._columns: dict[str, slice] = {}
        for index, (name, distribution) in enumerate(space.items()):
            width = len(distribution.choices) if isinstance(distribution, CategoricalDistribution) else 1
            self._columns[name] = slice(len(groups), len(groups) + width)
            groups += [index] * width
        self._flags = {name: len(groups) + k for k, name in enumerate(self.conditional)}
        groups += [self.names.index(name) for name in self.conditional]
        self.groups = np.array(groups, dtype=np.intp)

    def encode(self, configurations: Sequence[Mapping[str, Any]]) -> Array:
        """Features of configurations.

        Returns:
            ``n x m``, within [0, 1].
        """
        features = np.zeros((len(configurations), len(self.groups)))
        for name, distribution in self.space.items():
            columns = self._columns[name]
            present = np.array([name in configuration for configuration in configurations], dtype=bool)
            values = [configuration[name] for configuration in configurations if name in configuration]
            if isinstance(distribution, CategoricalDistribution):
                choices = {choice: index for index, choice in enumerate(distribution.choices)}
                features[present, columns.start + np.array([choices[v] for v in values], dtype=int)] = (
                    _ROOT_HALF
                )
            else:
                features[:, columns.start] = 0.5
                features[present, columns.start] = _to_unit(distribution, np.array(values, dtype=float))
            if name in self._flags:
                features[:, self._flags[name]] = present
        return features

    def decode(self, unit: Array) -> dict[str, Any]:
        """The configuration at a point of the cube with one coordinate a *parameter*.

        Args:
            unit: ``d``, each within [0, 1]; categorical choices divide their side evenly.
        """
        return {
            name: _from_unit(distribution, float(u))
            for (name, distribution), u in zip(self.space.items(), unit, strict=True)
        }

    def place(self, units: Array) -> Array:
        """Features of the configurations at points of the cube, where no parameter is conditional.

        Args:
            units: ``n x d``, one coordinate a parameter (see :meth:`decode`); numbers with steps are rounded to them.

        Returns:
            ``n x m``
        """
        features = np.zeros((len(units), len(self.groups)))
        for (name, distribution), unit in zip(self.space.items(), units.T, strict=True):
            start = self._columns[name].start
            if isinstance(distribution, CategoricalDistribution):
                count = len(distribution.choices)
                choice = np.minimum((unit * count).astype(int), count - 1)
                features[np.arange(len(units)), start + choice] = _ROOT_HALF
            else:
                features[:, start] = _to_unit(distribution, _positions(distribution, unit))
        for name, column in self._flags.items():
            features[:, column] = name in self.space
        return features

    def unit(self, configuration: Mapping[str, Any]) -> Array:
        """The point that :meth:`decode` takes back to this configuration (absent parameters at the middle).

        Returns:
            ``d``
        """
        return np.array(
            [
                _unit_of(distribution, configuration[name]) if name in configuration else 0.5
                for name, distribution in self.space.items()
            ]
        )

    def draw(self, size: int, like: Sequence[Mapping[str, Any]]) -> Array:
        """Features of configurations spread over the space, the same ones each time.

        Args:
            size: How many.
            like: Parameters that one of these lacks are absent from a draw as often.

        Returns:
            ``size x m``
        """
        rng = np.random.default_rng(0)
        features = np.zeros((size, len(self.groups)))
        patterns = rng.integers(max(len(like), 1), size=size)
        for name, distribution in self.space.items():
            columns, unit = self._columns[name], rng.random(size)
            present = np.array([name in configuration for configuration in like] or [True])[patterns]
            if isinstance(distribution, CategoricalDistribution):
                choice = (unit * len(distribution.choices)).astype(int)
                features[present, columns.start + choice[present]] = _ROOT_HALF
            else:
                features[:, columns.start] = np.where(present, unit, 0.5)
            if name in self._flags:
                features[:, self._flags[name]] = present
        return features

    @property
    def continuous(self) -> npt.NDArray[np.bool_]:
        """``m``; whether a feature may be moved smoothly (a number with more than 64 values)."""
        smooth = [_values(distribution) > 64 for distribution in self.space.values()]
        mask = np.array([smooth[group] for group in self.groups])
        mask[list(self._flags.values())] = False
        return mask

    def resolution(self) -> Array:
        """``d``; the distance between two neighbouring values on the unit scale, 0 for real numbers."""
        counts = [_values(distribution) for distribution in self.space.values()]
        return np.array([0.0 if math.isinf(count) else 1 / max(count - 1, 1) for count in counts])

    def move(self, configuration: Mapping[str, Any], features: Array) -> dict[str, Any]:
        """A configuration whose continuous parameters are taken from features ``m``."""
        moved = dict(configuration)
        mask = self.continuous
        for name in configuration:
            column = self._columns[name].start
            if mask[column]:
                moved[name] = _from_unit(self.space[name], float(features[column]))
        return moved


def _values(distribution: BaseDistribution) -> float:
    """How many values a distribution has."""
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    if isinstance(distribution, IntDistribution):
        return 1 + (distribution.high - distribution.low) // distribution.step
    assert isinstance(distribution, FloatDistribution)
    if distribution.single():
        return 1
    if distribution.step is None:
        return math.inf
    return 1 + round((distribution.high - distribution.low) / distribution.step)


def _unit_of(distribution: BaseDistribution, value: Any) -> float:
    if isinstance(distribution, CategoricalDistribution):
        return (distribution.to_internal_repr(value) + 0.5) / len(distribution.choices)
    return float(_to_unit(distribution, np.array([float(value)]))[0])


def _to_unit(distribution: BaseDistribution, values: Array) -> Array:
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = _ends(distribution)
    if high <= low:
        return np.full(len(values), 0.5)
    positions = np.log(values) if distribution.log else values
    return np.clip((positions - low) / (high - low), 0.0, 1.0)


def _from_unit(distribution: BaseDistribution, unit: float) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[min(int(unit * len(distribution.choices)), len(distribution.choices) - 1)]
    value = float(_positions(distribution, np.array([unit]))[0])
    return round(value) if isinstance(distribution, IntDistribution) else value


def _positions(distribution: BaseDistribution, unit: Array) -> Array:
    """Values at places of the unit scale, rounded to the steps of the distribution."""
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = _ends(distribution)
    values = low + unit * (high - low)
    if distribution.log:
        values = np.exp(values)
    if distribution.step is not None:
        steps = np.round((values - distribution.low) / distribution.step)
        values = distribution.low + distribution.step * steps
    return np.clip(values, distribution.low, distribution.high)


def _ends(distribution: FloatDistribution | IntDistribution) -> tuple[float, float]:
    """Both ends on the scale that the sampler sees. Integers reach half a step further, so that each is as wide."""
    if distribution.single():
        return 0.0, 0.0
    half = 0.5 * distribution.step if isinstance(distribution, IntDistribution) else 0.0
    low, high = distribution.low - half, distribution.high + half
    return (math.log(low), math.log(high)) if distribution.log else (low, high)
