"""What a study's testing runs say: measures of Agarwal et al. (2021), their intervals, power, quality against
cost.

Scores are oriented so that larger is better, and a run that failed or diverged is ``-inf``: worse than any
number, and never a number that a mean could take in (:func:`oriented`).
"""

from hpo.statistics.bootstrap import Interval, interval, paired_interval, profile_band
from hpo.statistics.comparison import Comparison, Effect, Method, Summary, compare
from hpo.statistics.measures import (
    interquartile_mean,
    mean,
    median,
    optimality_gap,
    oriented,
    performance_profile,
    probability_of_improvement,
)
from hpo.statistics.methods import cost_points, hardware_of, method_of, roles_of
from hpo.statistics.power import detectable_difference, seeds_needed, seeds_needed_for_rank
from hpo.statistics.tradeoff import CostCurve, Point, TradeOff, trade_off

__all__ = [
    "Comparison",
    "CostCurve",
    "Effect",
    "Interval",
    "Method",
    "Point",
    "Summary",
    "TradeOff",
    "compare",
    "cost_points",
    "detectable_difference",
    "hardware_of",
    "interquartile_mean",
    "interval",
    "mean",
    "median",
    "method_of",
    "optimality_gap",
    "oriented",
    "paired_interval",
    "performance_profile",
    "probability_of_improvement",
    "profile_band",
    "roles_of",
    "seeds_needed",
    "seeds_needed_for_rank",
    "trade_off",
]
