"""Laws from the literature, as data: what they say, what they were measured on, and where they stand."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from scaling.errors import InputError
from scaling.published.catalogue import CATALOGUE
from scaling.published.law import INPUTS, Formula, PublishedLaw, check_inputs

__all__ = ["INPUTS", "LAWS", "Formula", "PublishedLaw", "check_inputs", "find"]

#: Name on the command line to law.
LAWS: Mapping[str, PublishedLaw] = MappingProxyType({law.name: law for law in CATALOGUE})


def find(name: str) -> PublishedLaw:
    """The law of that name.

    Raises:
        InputError: There is none; the message suggests the nearest.
    """
    if name in LAWS:
        return LAWS[name]
    from difflib import get_close_matches

    near = get_close_matches(name.lower().replace("_", "-").replace(" ", "-"), LAWS, n=1, cutoff=0.5)
    guess = f"did you mean {near[0]!r}? " if near else ""
    raise InputError(
        f"no published law {name!r}, and no file of that name",
        key="LAW",
        remedy=f"{guess}`scaling laws` lists them all: {', '.join(LAWS)}",
    )
