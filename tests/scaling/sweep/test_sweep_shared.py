"""Cells of one model size leave the law together; predictions at that size take it over, others do not."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import scaling
from scaling.runs import load_runs
from scaling.sweep.pooled import fit_pooled
from scaling.sweep.shared import fit_shared
from scaling.sweep.table import build_sweep

TOKENS = (2e9, 8e9)
SIZES = tuple((params, tokens) for params in (6e7, 1e8, 1.6e8, 2.5e8, 4e8) for tokens in TOKENS)
ODD = 1.6e8


@pytest.fixture(scope="module")
def odd_size(make_sweep):
    """Straight law but for one model size, whose cells all want 0.6 octaves more learning rate."""
    table = make_sweep(SIZES, runs=40, noise=0.0005)
    moved = np.where(table["params"] == ODD, 0.6, 0.0)
    return table.assign(lr=table["lr"] * 2.0**moved)


@pytest.fixture(scope="module")
def odd_law(odd_size):
    return scaling.fit(odd_size, law="lr-batch", bootstrap=0, level=False, joint=False)


def _shift(law, params, tokens=3e10):
    at = {"params": params, "tokens": tokens}
    return law.centre(at)[0] - replace(law, shared=None).centre(at)[0]


def test_more_tokens_at_the_odd_size_are_predicted_with_its_offset(odd_law):
    truth = -8.5 - 0.6 * np.log2(ODD / 2e8) + 0.3 * np.log2(3e10 / 5e9) + 0.6
    at = {"params": ODD, "tokens": 3e10}
    with_it = abs(odd_law.centre(at)[0][0] - truth)
    without = abs(replace(odd_law, shared=None).centre(at)[0][0] - truth)
    assert with_it < 0.2 < 0.35 < without


def test_it_fades_away_from_measured_sizes(odd_law):
    assert _shift(odd_law, ODD)[0] > 0.25
    assert _shift(odd_law, 3e9) == pytest.approx(0.0, abs=1e-9)


def test_a_straight_law_gets_next_to_nothing(make_sweep):
    law = scaling.fit(make_sweep(SIZES, runs=40), law="lr-batch", bootstrap=0, level=False, joint=False)
    assert max(np.abs(_shift(law, params)).max() for params, _ in SIZES) < 0.1


def test_it_is_kept_in_a_law_file(odd_law, tmp_path):
    odd_law.save(tmp_path / "law.json")
    again = scaling.load(tmp_path / "law.json")
    at = {"params": ODD, "tokens": 3e10}
    assert again.centre(at)[0] == pytest.approx(odd_law.centre(at)[0])


def test_a_file_without_it_is_still_read(odd_law):
    stored = odd_law.to_dict()
    del stored["shared"]
    assert type(odd_law).from_dict(stored).shared is None


def test_sizes_that_only_tokens_tell_apart_have_none(make_sweep):
    table = make_sweep(tuple((1e8, tokens) for tokens in (1e9, 2e9, 4e9, 8e9)))
    assert fit_shared(fit_pooled(build_sweep(load_runs(pd.DataFrame(table))))) is None
