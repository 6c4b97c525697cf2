"""How to spend a compute budget: model size and tokens with the lowest predicted loss, C = 6ND.

Where unique data is short, tokens are repeated, and what that costs is said. In one epoch the question is that of
Komatsuzaki, "One Epoch Is All You Need" (arXiv 1906.06669): which model size and how many iterations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling.errors import InputError
from scaling.laws import Law, get_law

__all__ = ["Allocation", "Estimate", "Repeats", "allocate"]

Array = NDArray[np.float64]
#: Training costs 6 FLOP a parameter and token (Kaplan et al., arXiv 2001.08361).
FLOPS_PER_PARAM_TOKEN = 6.0
#: Model sizes searched.
SIZES = (1e3, 1e16)
#: Decay constants of repeats (tokens, parameters) as Muennighoff et al., arXiv 2305.16264, appendix A, publish them.
PUBLISHED_DECAY = {"rd": 15.387756, "rn": 5.309743}


@dataclass(frozen=True)
class Estimate:
    """A number with its interval; ``low`` and ``high`` are ``None`` where the law has no runs behind it."""

    value: float
    low: float | None
    high: float | None
    unit: str


@dataclass(frozen=True)
class Repeats:
    """What repeating data costs.

    Attributes:
        epochs: Times that each unique token is seen.
        effective_tokens: Fresh tokens that would have been worth as much.
        loss: Loss of the allocation, by the law alone.
        loss_if_fresh: Loss at the best allocation with as many fresh tokens as wanted.
        loss_one_epoch: Loss of the model that spends the budget on one epoch of the unique tokens.
        params_one_epoch: Its size.
        compute_if_fresh: Share of the compute that reaches the same loss on fresh data.
    """

    epochs: float
    effective_tokens: float
    loss: float
    loss_if_fresh: float
    loss_one_epoch: float
    params_one_epoch: float
    compute_if_fresh: float


@dataclass(frozen=True)
class Allocation:
    """The best use of a budget.

    Attributes:
        law: Name of the law.
        flops: The budget.
        level: Coverage that the intervals claim.
        params: Model size, N.
        tokens: Training tokens, D, repeats counted.
        tokens_per_param: D/N.
        loss: Predicted loss there.
        batch_size: Tokens a step, where given or predicted.
        lr: Peak learning rate, where another law predicts it.
        iterations: Steps of training, D over the batch size.
        repeats: What repeating costs; ``None`` in one epoch.
        warnings: What to read before trusting this.
    """

    law: str
    flops: float
    level: float
    params: Estimate
    tokens: Estimate
    tokens_per_param: Estimate
    loss: Estimate
    batch_size: float | None = None
    lr: float | None = None
    iterations: float | None = None
    repeats: Repeats | None = None
    warnings: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """As ``scaling allocate --json`` prints it."""
        stored = asdict(self)
        names = ("params", "tokens", "tokens_per_param", "loss")
        answer = {
            "law": self.law,
            "inputs": {"flops": self.flops},
            "predictions": {name: stored[name] for name in names},
            "level": self.level,
            "repeats": stored["repeats"],
            "warnings": self.warnings,
        }
        for name, unit in (("batch_size", "tokens"), ("lr", ""), ("iterations", "steps")):
            if stored[name] is not None:
                answer["predictions"][name] = {"value": stored[name], "low": None, "high": None, "unit": unit}
        return answer


@dataclass(frozen=True)
class _Surface:
    """Loss over parameters and tokens, of the fit (row 0) and of its bootstrap draws."""

    law: Law
    rows: Array
    unique: float | None

    def loss(self, params: Array, tokens: Array, rows: Array | None = None) -> Array:
        """Shape ``(R, m)`` for sizes and tokens of shape ``(m,)`` or ``(R, m)``."""
        inputs: dict[str, Array] = {"params": params, "tokens": tokens}
        if "unique_tokens" in self.law.inputs:
            inputs["unique_tokens"] = tokens if self.unique is None else np.minimum(tokens, self.unique)
        model = self.law.natural_model
        bound = model.bind({name: inputs[name] for name in self.law.inputs})
        return np.asarray(model.value(self.rows if rows is None else rows, bound), dtype=np.float64)

    def best(self, flops: float, rows: Array | None = None) -> tuple[Array, NDArray[np.bool_]]:
        """Best model size of each row, shape ``(R,)``, and whether it lies inside the sizes searched."""
        theta = self.rows if rows is None else rows
        low = np.full(len(theta), np.log(SIZES[0]))
        high = np.full(len(theta), np.log(min(SIZES[1], flops / (FLOPS_PER_PARAM_TOKEN * SIZES[0]))))
        inside = np.ones(len(theta), dtype=bool)
        for turn in range(6):
            grid = low[:, None] + (high - low)[:, None] * np.linspace(0.0, 1.0, 81)
            sizes = np.exp(grid)
            loss = self.loss(sizes, flops / (FLOPS_PER_PARAM_TOKEN * sizes), theta)
            place = np.argmin(np.where(np.isfinite(loss), loss, np.inf), axis=1)
            if turn == 0:
                inside = (place > 0) & (place < grid.shape[1] - 1)
            index = np.arange(len(theta))
            low = grid[index, np.maximum(place - 1, 0)]
            high = grid[index, np.minimum(place + 1, grid.shape[1] - 1)]
        return np.exp(0.5 * (low + high)), inside


def allocate(
    law: Any,
    flops: float,
    *,
    unique_tokens: float | None = None,
    level: float = 0.9,
    batch_size: float | None = None,
    recipe: Any = None,
) -> Allocation:
    """Model size and tokens with the lowest predicted loss for a compute budget.

    Args:
        law: A fitted law of parameters and tokens, or a published law of them.
        flops: The budget, C = 6ND.
        unique_tokens: Tokens that there are; more of them are repeats. Without it, data is never short.
        level: Coverage of the intervals.
        batch_size: Tokens a step, to say how many iterations that is.
        recipe: A learning-rate and batch-size law to ask at the optimum.

    Raises:
        InputError: The law does not predict a loss from parameters and tokens, or says nothing of repeats.
    """
    for name, number in (
        ("--flops", flops),
        ("--unique-tokens", unique_tokens),
        ("--batch-size", batch_size),
    ):
        if number is not None and not (np.isfinite(number) and number > 0):
            raise InputError(f"is {number:g}", key=name, remedy="give a finite number above zero")
    if flops < FLOPS_PER_PARAM_TOKEN * SIZES[0] ** 2 * 10:
        raise InputError(f"{flops:g} FLOP train no model", key="--flops", remedy="such as 1e20")
    surface = _surface(law, None)
    warnings: list[str] = []
    sizes, inside = surface.best(flops)
    short = unique_tokens is not None and bool(flops / (FLOPS_PER_PARAM_TOKEN * sizes[0]) > unique_tokens)
    repeats = None
    if short:
        assert unique_tokens is not None
        fresh = surface
        surface = _surface(law, unique_tokens, warnings)
        sizes, inside = surface.best(flops)
        repeats = _repeats(surface, fresh, flops, float(sizes[0]), unique_tokens)
    if not inside[0]:
        warnings.append(
            "the law has no optimum inside the sizes searched: these runs do not say how loss trades parameters for "
            "tokens"
        )
    tokens = flops / (FLOPS_PER_PARAM_TOKEN * sizes)
    loss = _loss(law, surface, float(sizes[0]), float(tokens[0]), unique_tokens, level, warnings)
    if len(sizes) > 1 and not inside[1:].all():
        warnings.append(
            f"{(~inside[1:]).mean():.0%} of the bootstrap replicates have no optimum inside the sizes searched: the "
            "interval of the model size is wider than shown"
        )
    lr, batch = _recipe(recipe, float(sizes[0]), float(tokens[0]), batch_size, warnings)
    return Allocation(
        law=str(getattr(surface.law, "name", "law")),
        flops=float(flops),
        level=level,
        params=_estimate(sizes, level, "parameters"),
        tokens=_estimate(tokens, level, "tokens"),
        tokens_per_param=_estimate(tokens / sizes, level, "tokens per parameter"),
        loss=loss,
        batch_size=batch,
        lr=lr,
        iterations=float(tokens[0]) / batch if batch else None,
        repeats=repeats,
        warnings=warnings,
    )


def _estimate(rows: Array, level: float, unit: str) -> Estimate:
    """Point of the fit and quantiles of the draws."""
    if len(rows) < 20:
        return Estimate(float(rows[0]), None, None, unit)
    low, high = np.quantile(rows[1:], [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(rows[0]), float(low), float(high), unit)


def _surface(law: Any, unique: float | None, warnings: list[str] | None = None) -> _Surface:
    form, rows = _form(law)
    needed = {"params", "tokens"}
    if not needed <= set(form.inputs) or not set(form.inputs) <= needed | {"unique_tokens"}:
        raise InputError(
            f"{form.name} takes {', '.join(form.inputs)}; an allocation needs the loss over parameters and tokens",
            key="LAW",
            remedy="fit chinchilla, over-training, kaplan or repeated-data",
        )
    if unique is None or "unique_tokens" in form.inputs:
        return _Surface(form, rows, unique)
    twin = {"chinchilla": "repeated-data", "chinchilla-tied": "repeated-data-tied"}.get(form.name)
    if twin is None:
        raise InputError(
            f"{form.name} says nothing of repeated data",
            key="LAW",
            remedy="fit repeated-data to runs with unique_tokens",
        )
    if warnings is not None:
        warnings.append(
            f"{form.name} was fitted to runs without repeats: what repeats are worth is taken from Muennighoff et al. "
            f"(arXiv 2305.16264: tokens fade over {PUBLISHED_DECAY['rd']:.1f} repeats, parameters over "
            f"{PUBLISHED_DECAY['rn']:.1f}), not from your runs"
        )
    decay = np.tile([PUBLISHED_DECAY["rd"], PUBLISHED_DECAY["rn"]], (len(rows), 1))
    return _Surface(get_law(twin), np.concatenate([rows, decay], axis=1), unique)


def _form(law: Any) -> tuple[Law, Array]:
    """The law and its parameters: row 0 the fit, then the draws."""
    if hasattr(law, "theta") and hasattr(law, "draws"):
        draws = law.draws[np.isfinite(law.draws).all(axis=1)]
        return law.law, np.concatenate([law.theta[None], draws])
    for formula in getattr(law, "formulas", ()):
        terms = getattr(formula.form, "terms", ())
        if formula.output == "loss" and len(terms) == 2 and getattr(formula.form, "outer", 0.0) == 1.0:
            weights = {
                name: (term.coefficient, -power) for term in terms for name, power in term.exponents.items()
            }
            if set(weights) == {"params", "tokens"}:
                (A, a), (B, b) = weights["params"], weights["tokens"]
                return get_law("chinchilla"), np.array([[formula.form.constant, A, B, a, b]])
    raise InputError(
        f"{getattr(law, 'name', 'this law')} predicts no loss over parameters and tokens",
        key="LAW",
        remedy="give a law file from `scaling fit --law chinchilla`, or chinchilla-epoch",
    )


def _loss(
    law: Any,
    surface: _Surface,
    params: float,
    tokens: float,
    unique: float | None,
    level: float,
    warnings: list[str],
) -> Estimate:
    """Loss at the optimum: the fit's own interval where it has one."""
    value = float(surface.loss(np.array([params]), np.array([tokens]))[0, 0])
    unit = surface.law.unit
    if not hasattr(law, "answer") or not hasattr(law, "draws"):
        return Estimate(value, None, None, unit)
    if surface.law is not law.law:
        return _estimate(surface.loss(np.array([params]), np.array([tokens]))[:, 0], level, unit)
    point = {"params": params, "tokens": tokens}
    if "unique_tokens" in law.law.inputs:
        point["unique_tokens"] = min(tokens, unique) if unique else tokens
    answer = law.answer(point, level=level)
    warnings.extend(answer["warnings"])
    found = answer["predictions"][law.output]
    return Estimate(found["value"], found["low"], found["high"], found["unit"])


def _repeats(surface: _Surface, fresh: _Surface, flops: float, params: float, unique: float) -> Repeats:
    """What repeats cost, by the fitted parameters alone."""
    row, plain = surface.rows[:1], fresh.rows[:1]
    tokens = flops / (FLOPS_PER_PARAM_TOKEN * params)
    loss = float(surface.loss(np.array([params]), np.array([tokens]), row)[0, 0])

    def at_best(budget: float) -> float:
        size = fresh.best(budget, plain)[0]
        return float(fresh.loss(size, budget / (FLOPS_PER_PARAM_TOKEN * size), plain)[0, 0])

    low, high = np.log(flops) - 12.0, np.log(flops)
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if at_best(float(np.exp(middle))) > loss else (low, middle)
    alone = flops / (FLOPS_PER_PARAM_TOKEN * unique)
    named = surface.law.params(row[0])
    passes = tokens / unique
    decay = named["rd"]
    return Repeats(
        epochs=passes,
        effective_tokens=unique * (1.0 + decay * (1.0 - float(np.exp(-(passes - 1.0) / decay)))),
        loss=loss,
        loss_if_fresh=at_best(flops),
        loss_one_epoch=float(surface.loss(np.array([alone]), np.array([unique]), row)[0, 0]),
        params_one_epoch=alone,
        compute_if_fresh=float(np.exp(0.5 * (low + high)) / flops),
    )


def _recipe(
    recipe: Any, params: float, tokens: float, batch_size: float | None, warnings: list[str]
) -> tuple[float | None, float | None]:
    """Learning rate and batch size at the optimum, from another law."""
    if recipe is None:
        return None, batch_size
    inputs: Mapping[str, float] = {"params": params, "tokens": tokens}
    if batch_size is not None:
        inputs = {**inputs, "batch_size": batch_size}
    answer = recipe.answer(inputs, level=0.9)
    warnings.extend(answer["warnings"])
    predictions = answer["predictions"]
    lr = predictions.get("lr", {}).get("value")
    batch = batch_size if batch_size is not None else predictions.get("batch_size", {}).get("value")
    return lr, batch
