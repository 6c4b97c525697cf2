"""Power against an independent computation and against simulation."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestIndPower, TTestPower

from hpo.statistics.power import detectable_difference, effect_size, seeds_needed, seeds_needed_for_rank


@pytest.mark.parametrize("effect", [0.3, 0.5, 0.8, 1.5, 3.0])
def test_seeds_needed_agrees_with_statsmodels(effect):
    apart = TTestIndPower().solve_power(effect, power=0.8, alpha=0.05)
    paired = TTestPower().solve_power(effect, power=0.8, alpha=0.05)
    assert seeds_needed(effect, paired=False) == max(2, math.ceil(apart))
    assert seeds_needed(effect, paired=True) == max(2, math.ceil(paired))


def test_a_difference_reaches_the_power_asked_for_in_simulation():
    seeds = seeds_needed(1.0, paired=False)
    rng = np.random.default_rng(0)
    first, second = rng.normal(1, 1, (4000, seeds)), rng.normal(0, 1, (4000, seeds))
    found = np.mean(stats.ttest_ind(first, second, axis=1).pvalue < 0.05)
    assert found == pytest.approx(0.8, abs=0.04)


def test_ranks_reach_the_power_asked_for_in_simulation():
    # P(X > Y) = .76 is a shift of one standard deviation between normal samples.
    seeds = seeds_needed_for_rank(stats.norm.cdf(1 / math.sqrt(2)))
    rng = np.random.default_rng(0)
    first, second = rng.normal(1, 1, (1500, seeds)), rng.normal(0, 1, (1500, seeds))
    found = np.mean(stats.mannwhitneyu(first, second, axis=1).pvalue < 0.05)
    assert 0.78 <= found <= 0.9  # Noether's formula errs on the safe side for large effects


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("seeds", [3, 10, 40])
def test_detectable_difference_is_the_inverse_of_seeds_needed(paired, seeds):
    smallest = detectable_difference(2.0, seeds, paired=paired)
    assert seeds_needed(1.001 * smallest / 2.0, paired=paired) == seeds


def test_no_difference_needs_more_seeds_than_there_are():
    assert seeds_needed(0.0, paired=True) is None
    assert seeds_needed(1e-4, paired=False) is None
    assert seeds_needed_for_rank(0.5) is None


def test_failed_runs_have_no_effect_size():
    assert math.isnan(effect_size([1.0, -np.inf], [0.0, 0.0], paired=True))
    assert math.isnan(effect_size([1.0], [0.0], paired=True))
    assert seeds_needed(math.nan, paired=True) is None
