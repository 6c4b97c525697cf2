"""Seeds are disjoint, and derived ones do not repeat."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hpo.seeds import Seeds, derive


@given(st.lists(st.integers(0, 50), min_size=1, unique=True), st.lists(st.integers(0, 50), unique=True))
def test_no_seed_may_stand_in_both_lists(tuning: list[int], testing: list[int]) -> None:
    if set(tuning) & set(testing):
        with pytest.raises(ValidationError, match="tuning and testing seeds at once"):
            Seeds(tuning=tuple(tuning), testing=tuple(testing))
    else:
        assert Seeds(tuning=tuple(tuning), testing=tuple(testing)).tuning == tuple(tuning)


def test_derived_seeds_are_the_same_everywhere_and_differ_by_part() -> None:
    assert derive(0, 1) == derive(0, 1) == 3278692055
    assert len({derive(seed, number) for seed in range(30) for number in range(100)}) == 3000
    assert all(0 <= derive(0, number) < 2**32 for number in range(100))
