"""Seeds: those that tuning may see and those kept for testing, and how one seed begets many."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["Seeds", "derive"]

Seed = Annotated[int, Field(ge=0, lt=2**32)]


class Seeds(BaseModel):
    """The seeds of a study.

    Attributes:
        tuning: Seeds that configurations are chosen on; every configuration meets them in this order (paired seeds).
        testing: Seeds of the final comparison, sealed until then. No seed may stand in both lists.
        allocation: ``fixed`` trains each configuration on every tuning seed; ``racing`` gives more seeds to those
            still in the race.
        options: Settings of the allocation, such as the level of the race's test.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tuning: tuple[Seed, ...] = (0,)
    testing: tuple[Seed, ...] = ()
    allocation: Literal["fixed", "racing"] = "fixed"
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _disjoint(self) -> Seeds:
        if not self.tuning:
            raise ValueError("tuning: is empty; give at least one seed, such as [0, 1, 2]")
        for name, seeds in (("tuning", self.tuning), ("testing", self.testing)):
            twice = sorted({seed for seed in seeds if seeds.count(seed) > 1})
            if twice:
                raise ValueError(f"{name}: holds {twice} twice; name each seed once")
        both = sorted(set(self.tuning) & set(self.testing))
        if both:
            raise ValueError(
                f"{both} are tuning and testing seeds at once; what was chosen on a seed cannot be tested on it: "
                "take them out of one list"
            )
        return self


def derive(seed: int, *parts: object) -> int:
    """A seed in [0, 2**32) that depends on ``seed`` and on ``parts``, the same on every machine and in every process.

    A sampler that is seeded anew for each proposal, from the study's seed and the proposal's number, draws the same in
    an interrupted study as in one that ran through; and it never draws its first proposals again.
    """
    text = "/".join(str(part) for part in (seed, *parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")
