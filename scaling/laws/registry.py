"""Every law by its name, and how a name, a formula or a function becomes a law."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Mapping
from typing import Any

from scaling.errors import InputError
from scaling.laws.base import Law
from scaling.laws.broken import broken_power_law
from scaling.laws.chinchilla import CHINCHILLA, CHINCHILLA_TIED
from scaling.laws.custom import from_formula, from_function
from scaling.laws.kaplan import KAPLAN
from scaling.laws.overtraining import DOWNSTREAM, OVERTRAINING
from scaling.laws.power import power_law, power_law_no_floor, shifted_power_law
from scaling.laws.repeated import REPEATED, REPEATED_TIED

__all__ = ["LAWS", "VARIANTS", "get_law", "law_from_dict", "law_to_dict"]

#: Laws that come in variants, as functions of their options.
VARIANTS: dict[str, Callable[..., Law]] = {
    "power-law": power_law,
    "power-law-no-floor": power_law_no_floor,
    "shifted-power-law": shifted_power_law,
    "broken-power-law": broken_power_law,
}
#: Every law by its name, variants as they are without options.
LAWS: dict[str, Law] = {
    law.name: law
    for law in (
        CHINCHILLA,
        CHINCHILLA_TIED,
        OVERTRAINING,
        KAPLAN,
        REPEATED,
        REPEATED_TIED,
        *(make() for make in VARIANTS.values()),
        DOWNSTREAM,
    )
}


def get_law(law: str | Law | Callable[..., Any], **options: Any) -> Law:
    """A law from its name, a formula string, a Python function, or itself.

    Args:
        law: ``"chinchilla"``, ``"E + A*params**-a"``, a function ``f(E, A, a, params)``, or a :class:`Law`.
        options: Of the variant, such as ``axis="tokens", breaks=2``; for formulas and functions ``inputs`` and
            ``output``. ``fixed={"a": 0.34}`` sets parameters.

    Raises:
        InputError: No law of that name (with the nearest one), or a formula that cannot be read.
    """
    fixed = options.pop("fixed", None)
    found = _find(law, options)
    return found.fixed(**fixed) if fixed else found


def _find(law: str | Law | Callable[..., Any], options: dict[str, Any]) -> Law:
    if isinstance(law, Law):
        return law
    if not isinstance(law, str):
        if not callable(law):
            raise InputError(
                f"cannot make a law of {law!r}", key="law", remedy="give a name, a formula or a function"
            )
        return from_function(law, **options)
    if law in LAWS:
        if not options:
            return LAWS[law]
        try:
            if law not in VARIANTS:
                raise TypeError(f"no option {', '.join(options)}")
            return VARIANTS[law](**options)
        except TypeError as error:
            remedy = "axis=..., breaks=..., floor=0" if law in VARIANTS else "leave them out"
            raise InputError(
                f"{law} does not take these options ({error})", key="law", remedy=remedy
            ) from None
    if any(sign in law for sign in "=+-*/^( ") and not law.replace("-", "").isalnum():
        return from_formula(law, **options)
    near = difflib.get_close_matches(law.lower(), LAWS, 1, 0.4)
    raise InputError(
        f"unknown law {law!r}" + (f"; did you mean {near[0]!r}?" if near else ""),
        key="law",
        remedy=f"one of {', '.join(sorted(LAWS))}, lr-batch, or a formula such as 'E + A*params**-a'",
    )


def law_to_dict(law: Law) -> dict[str, Any]:
    """What a law file keeps of a law, so that it can be rebuilt."""
    if law.function is not None:
        raise InputError(
            f"the function {law.name} cannot be kept in a law file: it has no formula",
            key="law",
            remedy="write it with operators and numpy functions only, or as a formula string",
        )
    return {
        "name": law.name,
        "formula": law.formula,
        "options": dict(law.options),
        "citation": law.citation,
        "output": law.output,
        "unit": law.unit,
        "residuals": law.residuals,
    }


def law_from_dict(stored: Mapping[str, Any]) -> Law:
    """The law that :func:`law_to_dict` kept."""
    options = dict(stored["options"])
    if stored["name"] in LAWS:
        law = get_law(str(stored["name"]), **options)
    else:
        fixed = options.pop("fixed", None)
        text = options.pop("formula")
        law = from_formula(text, name=str(stored["name"]), citation=str(stored["citation"]), **options)
        law = law.fixed(**fixed) if fixed else law
    kept = {name: stored[name] for name in ("output", "unit", "residuals")}
    return dataclasses.replace(law, **kept)
