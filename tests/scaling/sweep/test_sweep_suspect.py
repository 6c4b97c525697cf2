"""Tables of sweeps that are wrong in ways that a fit alone would not show."""

import numpy as np
import pandas as pd
import pytest

import scaling
from scaling.errors import InputError

SUSPICIONS = {"copied-runs", "loss-not-in-nats", "batch-in-another-unit", "varied-but-left-out", "no-basin"}


def fired(table, **options):
    law = scaling.fit(table, law="lr-batch", bootstrap=0, **options)
    return {check.name: check.message for check in law.checks if check.severity != "info"}


def test_a_sound_sweep_is_left_in_peace(sweep_table):
    assert not SUSPICIONS & fired(sweep_table).keys()


def test_rows_copied_are_counted_once_and_repeats_are_not_touched(sweep_table, make_sweep):
    once = scaling.fit(sweep_table, law="lr-batch", bootstrap=0)
    twice = scaling.fit(pd.concat([sweep_table, sweep_table]), law="lr-batch", bootstrap=0)
    assert twice.params == once.params
    assert "copied-runs" in {check.name for check in twice.checks}
    assert "copied-runs" not in fired(make_sweep(seeds=2, runs=15))


def test_units_that_cannot_be_are_named(sweep_table):
    assert (
        "in the unit of the runs"
        in fired(sweep_table.assign(loss=100 * sweep_table["loss"]))["loss-not-in-nats"]
    )
    sequences = sweep_table.assign(batch_size=sweep_table["batch_size"] / 2048)
    assert "such as sequences" in fired(sequences)["batch-in-another-unit"]
    told = sequences.assign(steps=sequences["tokens"] / sequences["batch_size"] / 2048)
    assert "not in tokens" in fired(told)["schedule-not-matched"]
    with pytest.raises(InputError, match="in one unit"):
        fired(sweep_table.assign(tokens=sweep_table["tokens"] / 1e9))
    one = sweep_table.copy()
    one.loc[0, "batch_size"] = 2 * one.loc[0, "tokens"]
    fired(one)  # a single slip is no other unit


def test_a_hyperparameter_that_the_law_leaves_out_is_mentioned(sweep_table):
    generator = np.random.default_rng(0)
    decayed = sweep_table.assign(weight_decay=2.0 ** generator.uniform(-5, -1, len(sweep_table)))
    assert "weight_decay" in fired(decayed)["varied-but-left-out"]
    assert (
        "batch_size"
        in fired(decayed.drop(columns="weight_decay"), centre="lr:params+tokens")["varied-but-left-out"]
    )
    # Warm-up that follows from the batch size is no choice of its own.
    warmed = sweep_table.assign(warmup_steps=0.02 * sweep_table["tokens"] / sweep_table["batch_size"])
    assert not SUSPICIONS & fired(warmed).keys()


def test_loss_without_a_basin_is_no_law(sweep_table):
    flat = sweep_table.groupby(["params", "tokens"])["loss"].transform("min")
    with pytest.raises(InputError, match="the same loss"):
        fired(sweep_table.assign(loss=flat))
    noise = np.exp(0.002 * np.random.default_rng(1).standard_normal(len(flat)))
    assert (
        "the optimum is where the prior puts it" in fired(sweep_table.assign(loss=flat * noise))["no-basin"]
    )


def test_what_any_table_is_checked_for_is_checked_here_too(sweep_table):
    steps = sweep_table["tokens"] / sweep_table["batch_size"]
    assert "warmup-longer-than-a-fifth" in fired(sweep_table.assign(steps=steps, warmup_steps=0.4 * steps))
