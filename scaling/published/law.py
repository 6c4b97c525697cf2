"""What a published law is: formulas with units, the range and recipe they were measured in, the citation.

Answers in plain Python: neither numpy nor pandas nor scipy is imported, so a question costs milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scaling.errors import InputError

__all__ = ["INPUTS", "Formula", "LinearLog", "Power", "PublishedLaw", "SumOfPowers", "check_inputs"]

#: Inputs that a law may ask for, with their meaning and unit.
INPUTS: dict[str, str] = {
    "params": "N, non-embedding parameters",
    "tokens": "D, training tokens",
    "flops": "C, training compute in FLOP (6ND where not given)",
    "loss": "cross-entropy in nats a token",
    "batch_size": "batch size in tokens",
    "lr": "peak learning rate",
}


@dataclass(frozen=True)
class Power:
    """``coefficient * product(input ** exponent)``."""

    coefficient: float
    exponents: Mapping[str, float]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs."""
        return tuple(self.exponents)

    def value(self, inputs: Mapping[str, float]) -> float:
        """The formula's value; inputs in the units of :data:`INPUTS`."""
        # In logs, so that large inputs with large exponents cannot overflow half-way.
        return self.coefficient * math.exp(
            sum(power * math.log(inputs[name]) for name, power in self.exponents.items())
        )


@dataclass(frozen=True)
class LinearLog:
    """``intercept + slope * ln(input)``."""

    intercept: float
    slope: float
    input: str

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs."""
        return (self.input,)

    def value(self, inputs: Mapping[str, float]) -> float:
        """The formula's value; it can be negative outside the range it was fitted in."""
        return self.intercept + self.slope * math.log(inputs[self.input])


@dataclass(frozen=True)
class SumOfPowers:
    """``(constant + sum(terms)) ** outer``, such as Chinchilla's loss with ``outer = 1``."""

    constant: float
    terms: tuple[Power, ...]
    outer: float = 1.0

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs."""
        return tuple(dict.fromkeys(name for term in self.terms for name in term.inputs))

    def value(self, inputs: Mapping[str, float]) -> float:
        """The formula's value."""
        return float((self.constant + sum(term.value(inputs) for term in self.terms)) ** self.outer)


@dataclass(frozen=True)
class Formula:
    """One prediction of a law.

    Attributes:
        output: ``lr``, ``batch_size``, ``loss``, ``critical_batch_size``, ``weight_decay``, ``timescale``.
        unit: Unit of the value.
        text: The formula as the paper prints it.
        form: The same to compute with, in our units (parameters, tokens).
        optional: Answered only when its inputs are given; otherwise it is left out without complaint.
    """

    output: str
    unit: str
    text: str
    form: Power | LinearLog | SumOfPowers
    optional: bool = False


@dataclass(frozen=True)
class PublishedLaw:
    """A law from the literature, as data.

    Attributes:
        name: As given on the command line.
        title: What it is called.
        citation: Authors, title, year.
        url: Where to read it.
        recipe: How its runs were trained; a law holds for its recipe.
        formulas: Its predictions; a later one may use the values of earlier ones as inputs.
        ranges: Input to the smallest and largest value that it was fitted on.
        notes: Said with every answer.
        fixed_batch_size: Tokens; the batch at which the paper tuned the learning rate, where it was one.
    """

    name: str
    title: str
    citation: str
    url: str
    recipe: str
    formulas: tuple[Formula, ...]
    ranges: Mapping[str, tuple[float, float]]
    notes: tuple[str, ...] = ()
    # The batch that the law's learning rate belongs to, where the paper fixed one.
    fixed_batch_size: float | None = None

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of its predictions."""
        return tuple(formula.output for formula in self.formulas)

    def to_dict(self) -> dict[str, Any]:
        """As ``scaling laws --json`` lists it."""
        return {
            "name": self.name,
            "kind": "published",
            "title": self.title,
            "citation": self.citation,
            "url": self.url,
            "recipe": self.recipe,
            "formulas": {formula.output: formula.text for formula in self.formulas},
            "units": {formula.output: formula.unit for formula in self.formulas},
            "inputs": list(self.required()),
            "ranges": {name: list(bounds) for name, bounds in self.ranges.items()},
            "notes": list(self.notes),
        }

    def required(self) -> tuple[str, ...]:
        """Inputs without which the law cannot answer; ``flops`` can come from ``params`` and ``tokens``."""
        needed: dict[str, None] = {}
        made: set[str] = set()
        for formula in self.formulas:
            if not formula.optional:
                needed.update(dict.fromkeys(name for name in formula.form.inputs if name not in made))
            made.add(formula.output)
        return tuple(needed)

    def answer(self, inputs: Mapping[str, float], level: float = 0.9) -> dict[str, Any]:
        """What the law says at one point.

        Args:
            inputs: By the names of :data:`INPUTS`; what the law does not use is ignored.
            level: Repeated in the answer. A published law has no runs behind it here, so ``low`` and ``high``
                are ``None``.

        Raises:
            InputError: An input is missing, unknown, not finite or not above zero.
        """
        given = check_inputs(inputs)
        known = dict(given)
        if "flops" not in known and {"params", "tokens"} <= set(known):
            known["flops"] = 6.0 * known["params"] * known["tokens"]
        self._require(known)
        predictions: dict[str, dict[str, Any]] = {}
        warnings = [self._no_interval()]
        for formula in self.formulas:
            if any(name not in known for name in formula.form.inputs):
                continue
            value = formula.form.value(known)
            if not (math.isfinite(value) and value > 0):
                warnings.append(
                    f"{formula.output} = {formula.text} gives {value:.3g} here, which cannot be: the formula "
                    "has left the range where it makes sense"
                )
                continue
            predictions[formula.output] = {"value": value, "low": None, "high": None, "unit": formula.unit}
            known.setdefault(formula.output, value)
        warnings += self._range_warnings(known) + self._batch_warnings(given) + list(self.notes)
        return {
            "inputs": given,
            "predictions": predictions,
            "level": level,
            "plateau": {},
            "warnings": warnings,
        }

    def _require(self, known: Mapping[str, float]) -> None:
        missing = [name for name in self.required() if name not in known]
        if not missing:
            return
        options = ", ".join(f"--{name.replace('_', '-')}" for name in missing)
        if missing == ["flops"]:
            options = "--flops, or --params and --tokens"
        raise InputError(
            f"{self.name} also needs {', '.join(f'{name} ({INPUTS[name]})' for name in missing)}",
            key=missing[0],
            remedy=f"give {options}",
        )

    def _no_interval(self) -> str:
        return (
            f"published formula without its runs: no interval can be given, and it may not transfer from its "
            f"recipe ({self.recipe})"
        )

    def _range_warnings(self, known: Mapping[str, float]) -> list[str]:
        said = []
        for name, (low, high) in self.ranges.items():
            value = known.get(name)
            if value is None or low <= value <= high:
                continue
            if value < low:
                where = f"{low / value:.3g} times below the smallest it was fitted on ({low:.3g})"
            else:
                where = f"{value / high:.3g} times above the largest it was fitted on ({high:.3g})"
            said.append(f"extrapolation: {name} {value:.3g} is {where}")
        return said

    def _batch_warnings(self, given: Mapping[str, float]) -> list[str]:
        if "batch_size" not in given or "lr" not in self.outputs:
            return []
        at = f"{self.fixed_batch_size:.3g} tokens" if self.fixed_batch_size else "its own batch size"
        return [f"the learning rate is the one at {at}; this law does not say what it would be at another"]


def check_inputs(inputs: Mapping[str, float | None]) -> dict[str, float]:
    """``inputs`` as floats above zero.

    Raises:
        InputError: A value is not a finite number above zero.
    """
    checked: dict[str, float] = {}
    for name, value in inputs.items():
        if value is None:
            continue
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not (math.isfinite(number) and number > 0):
            raise InputError(
                f"is {value!r}, not a finite number above zero", key=name, remedy="give a positive number"
            )
        checked[name] = number
    return checked
