"""The space of a study: its parameters, and how one configuration is drawn from them through an Optuna trial."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, RootModel, Tag, model_validator

if TYPE_CHECKING:
    import optuna

__all__ = ["Categorical", "FloatRange", "IntRange", "Parameter", "Space"]

Scalar = bool | int | float | str | None


class _Parameter(BaseModel):
    """What every parameter may say."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)

    #: The parameter is only there where each of these others has this value (or one of a list of values).
    when: dict[str, Scalar | list[Scalar]] | None = None

    def active(self, config: Mapping[str, Any]) -> bool:
        """Whether the parameter is there, given those drawn before it."""
        for other, wanted in (self.when or {}).items():
            values = wanted if isinstance(wanted, list) else [wanted]
            if other not in config or config[other] not in values:
                return False
        return True


class _Range(_Parameter):
    log: bool = False

    def _check(self, low: float, high: float, step: float | None) -> None:
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ValueError(f"low is {low:g} and high is {high:g}; both must be finite")
        if low >= high:
            what = "is not below" if low == high else "is above"
            raise ValueError(
                f"low: {low:g} {what} high, {high:g}; swap them, or put a single value under `fixed`"
            )
        if self.log and low <= 0:
            raise ValueError(
                f"low: {low:g} has no logarithm; give a low above zero, or leave out `log: true`"
            )
        if step is not None and self.log:
            raise ValueError("step: cannot go with `log: true`; leave one of them out")
        if step is not None and (step <= 0 or step > high - low):
            raise ValueError(f"step: {step:g} must be above zero and at most high - low, {high - low:g}")


class FloatRange(_Range):
    """A real number between ``low`` and ``high``."""

    type: Literal["float"]
    low: float
    high: float
    step: float | None = None

    @model_validator(mode="after")
    def _valid(self) -> FloatRange:
        self._check(self.low, self.high, self.step)
        return self

    def distribution(self) -> optuna.distributions.BaseDistribution:
        """As Optuna's distribution."""
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)


class IntRange(_Range):
    """A whole number between ``low`` and ``high``, both included."""

    type: Literal["int"]
    low: int
    high: int
    step: int | None = None

    @model_validator(mode="after")
    def _valid(self) -> IntRange:
        self._check(self.low, self.high, self.step)
        return self

    def distribution(self) -> optuna.distributions.BaseDistribution:
        """As Optuna's distribution."""
        from optuna.distributions import IntDistribution

        return IntDistribution(self.low, self.high, log=self.log, step=self.step or 1)


class Categorical(_Parameter):
    """One of ``choices``, which have no order."""

    type: Literal["categorical"]
    choices: list[Scalar] = Field(min_length=1)

    @model_validator(mode="after")
    def _valid(self) -> Categorical:
        for index, choice in enumerate(self.choices):
            if choice in self.choices[:index]:
                raise ValueError(f"choices: {choice!r} stands there twice; name each once")
        return self

    def distribution(self) -> optuna.distributions.BaseDistribution:
        """As Optuna's distribution."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.choices)


def _kind(value: Any) -> str | None:
    return value.get("type") if isinstance(value, Mapping) else getattr(value, "type", None)


Parameter = Annotated[
    Annotated[FloatRange, Tag("float")]
    | Annotated[IntRange, Tag("int")]
    | Annotated[Categorical, Tag("categorical")],
    Discriminator(_kind),
]


class Space(RootModel[dict[str, Parameter]]):
    """The parameters of a study by name, those that others depend on first."""

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="after")
    def _conditions(self) -> Space:
        for name, parameter in self.root.items():
            for other, wanted in (parameter.when or {}).items():
                if other not in self.root or other == name:
                    raise ValueError(
                        f"{name}.when: there is no other parameter {other!r}; name one of "
                        f"{', '.join(repr(known) for known in self.root if known != name) or 'none'}"
                    )
                self._reachable(name, other, wanted)
        self.order()
        return self

    def _reachable(self, name: str, other: str, wanted: Any) -> None:
        values = wanted if isinstance(wanted, list) else [wanted]
        condition = self.root[other]
        for value in values:
            if isinstance(condition, Categorical) and value not in condition.choices:
                raise ValueError(
                    f"{name}.when.{other}: {value!r} is none of its choices, {condition.choices}"
                )

    def order(self) -> list[str]:
        """Names so that each comes after those that its ``when`` asks about."""
        placed: list[str] = []
        waiting = list(self.root)
        while waiting:
            ready = [name for name in waiting if set(self.root[name].when or {}) <= set(placed)]
            if not ready:
                raise ValueError(f"{waiting[0]}.when: {', '.join(waiting)} depend on each other in a circle")
            placed.extend(ready)
            waiting = [name for name in waiting if name not in ready]
        return placed

    @property
    def conditional(self) -> bool:
        """Whether some parameter depends on another."""
        return any(parameter.when for parameter in self.root.values())

    def active(self, config: Mapping[str, Any]) -> list[str]:
        """Of a full assignment, the parameters that are there."""
        there: dict[str, Any] = {}
        for name in self.order():
            if self.root[name].active(there):
                there[name] = config[name]
        return list(there)

    def distributions(self) -> dict[str, optuna.distributions.BaseDistribution]:
        """Optuna's distributions by name, conditions left out."""
        return {name: self.root[name].distribution() for name in self.order()}

    def suggest(self, trial: optuna.trial.Trial) -> dict[str, Any]:
        """Draw one configuration through ``trial``, so that any Optuna sampler decides it."""
        config: dict[str, Any] = {}
        for name in self.order():
            parameter = self.root[name]
            if not parameter.active(config):
                continue
            if isinstance(parameter, FloatRange):
                config[name] = trial.suggest_float(
                    name, parameter.low, parameter.high, log=parameter.log, step=parameter.step
                )
            elif isinstance(parameter, IntRange):
                config[name] = trial.suggest_int(
                    name, parameter.low, parameter.high, log=parameter.log, step=parameter.step or 1
                )
            else:
                config[name] = trial.suggest_categorical(name, parameter.choices)
        return config
