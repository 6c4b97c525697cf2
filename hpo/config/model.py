"""What a study file may say."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hpo.budget import Budget
from hpo.seeds import Seeds
from hpo.space import Space

__all__ = ["Baseline", "Resources", "SamplerConfig", "SchedulerConfig", "StudyConfig"]

Scalar = bool | int | float | str | None


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class SamplerConfig(BaseModel):
    """Which sampler, its seed, and its own options (any further key)."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str = "bayesian"
    seed: int = 0

    @property
    def options(self) -> dict[str, Any]:
        """Everything but name and seed."""
        return dict(self.model_extra or {})


class SchedulerConfig(BaseModel):
    """Which early stopping, and its own options (any further key)."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str = "none"

    @property
    def options(self) -> dict[str, Any]:
        """Everything but the name."""
        return dict(self.model_extra or {})


class Resources(_Strict):
    """What one training run occupies; fractions share a device."""

    cpu: Annotated[float, Field(ge=0)] = 1.0
    gpu: Annotated[float, Field(ge=0)] = 0.0


class TunedBaseline(_Strict):
    """A baseline that is tuned with the study's own budget, seeds and hardware.

    Attributes:
        sampler: Who tunes it; random search unless said otherwise.
        space: Its space; the study's unless said otherwise.
        fixed: Values of its own over the study's, such as another optimizer.
    """

    sampler: SamplerConfig = SamplerConfig(name="random")
    space: Space | None = None
    fixed: dict[str, Scalar] = Field(default_factory=dict)


class Baseline(_Strict):
    """What the incumbent is compared with: a configuration as given, or one tuned as fairly as the study."""

    config: dict[str, Scalar] | None = None
    tune: TunedBaseline | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if value == "tune":
            return {"tune": {}}
        if isinstance(value, dict) and set(value) not in ({"tune"}, {"config"}, {"config", "tune"}):
            return {"config": value}
        if isinstance(value, dict) and value.get("tune") is True:
            return {"tune": {}}
        return value


class StudyConfig(_Strict):
    """A study, checked.

    Attributes:
        name: Its name in the storage. No ``:``, which separates the parts of a study.
        objective: ``module:function``, or the function itself.
        command: In place of an objective: a shell command with ``{parameter}``, ``{seed}`` in it.
        metric: Which of the returned numbers is tuned.
        direction: Whether less or more of it is better.
        space: The parameters.
        fixed: Values handed to every run.
        scales: The same study at each of these values.
        seeds: Tuning and testing seeds.
        sampler, scheduler: Who proposes, and who stops early.
        budget: How much is tuned (at each scale).
        resources: Of one training run.
        engine: ``ray``, or ``inline`` for this process.
        baseline: Tested on the same seeds as the incumbent.
        time_limit: Seconds after which one run counts as failed.
        energy: Whether codecarbon measures each run.
    """

    name: str = Field(min_length=1)
    objective: str | Callable[..., Any] | None = None
    command: str | None = None
    metric: str = Field(min_length=1)
    direction: Literal["minimize", "maximize"] = "minimize"
    space: Space
    fixed: dict[str, Any] = Field(default_factory=dict)
    scales: tuple[dict[str, Scalar], ...] = ()
    seeds: Seeds = Seeds()
    sampler: SamplerConfig = SamplerConfig()
    scheduler: SchedulerConfig = SchedulerConfig()
    budget: Budget
    resources: Resources = Resources()
    engine: Literal["ray", "inline"] = "ray"
    baseline: Baseline | None = None
    time_limit: Annotated[float, Field(gt=0)] | None = None
    energy: bool = False

    @model_validator(mode="after")
    def _whole(self) -> StudyConfig:
        if "::" in self.name or "/" in self.name:
            raise ValueError(
                "name: must hold neither '/' nor '::', which separate the parts of a study in its storage"
            )
        if (self.objective is None) == (self.command is None):
            raise ValueError(
                "objective: give either `objective: module:function` or `command: ...`"
                + (", not both" if self.objective is not None else "")
            )
        self._check_scales()
        self._check_names()
        if self.command is not None:
            self._check_command(self.command)
        if not self.space.root:
            raise ValueError("space: is empty; give at least one parameter")
        return self

    def _check_scales(self) -> None:
        for index, scale in enumerate(self.scales):
            if set(scale) != set(self.scales[0]) or not scale:
                raise ValueError(
                    f"scales.{index}: must name the same keys as the first scale, {sorted(self.scales[0])}"
                )
            if scale in self.scales[:index]:
                raise ValueError(f"scales.{index}: is there twice")

    def _check_names(self) -> None:
        known = set(self.fixed) | {name for scale in self.scales for name in scale}
        for name in self.space.root:
            if name in known:
                raise ValueError(
                    f"space.{name}: is fixed as well; take it out of `space`, or out of `fixed` and `scales`"
                )
        if self.baseline is not None and self.baseline.config is not None:
            for name in self.baseline.config:
                if name not in self.space.root and name not in known:
                    raise ValueError(
                        f"baseline.{name}: is neither in `space` nor in `fixed`; there are "
                        f"{', '.join(sorted({*self.space.root, *known}))}"
                    )

    def _check_command(self, command: str) -> None:
        known = {
            *self.space.root,
            *self.fixed,
            *(name for scale in self.scales for name in scale),
            "seed",
            "number",
        }
        for name in re.findall(r"(?<!\{)\{([^{}]*)\}(?!\})", command):
            if name not in known:
                raise ValueError(f"command: {{{name}}} is not known; there are {', '.join(sorted(known))}")
        if "{seed}" not in command and "FORETUNE_SEED" not in command:
            raise ValueError(
                "command: holds no {seed}, so that every seed would train the same; pass it to the script, "
                "or write $FORETUNE_SEED in the command where the script reads it from the environment"
            )

    @property
    def variants(self) -> tuple[dict[str, Any], ...]:
        """What is fixed at each scale; one entry where there are no scales."""
        return tuple({**self.fixed, **scale} for scale in self.scales) or (dict(self.fixed),)

    @property
    def labels(self) -> tuple[str, ...]:
        """A short name of each scale, such as ``params=6000,tokens=120000``; empty where there are no scales."""
        return tuple(",".join(f"{key}={value}" for key, value in scale.items()) for scale in self.scales) or (
            "",
        )

    @property
    def what(self) -> str:
        """The objective in words, for the record."""
        if self.command is not None:
            return self.command
        if isinstance(self.objective, str):
            return self.objective
        module = getattr(self.objective, "__module__", "?")
        return f"{module}:{getattr(self.objective, '__qualname__', type(self.objective).__name__)}"
