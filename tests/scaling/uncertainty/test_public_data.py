"""Published runs: the top decade of compute, and nine over-trained models, predicted from smaller runs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scaling.fitted import fit_law
from scaling.uncertainty import predictive
from tests.scaling.public import public_table

pytestmark = pytest.mark.data


def test_the_top_decade_of_chinchilla() -> None:
    raw = public_table("chinchilla_epoch_245.csv").sort_values("loss").iloc[:-5]
    params, flops = raw["Model Size"].to_numpy(), raw["Training FLOP"].to_numpy()
    frame = pd.DataFrame({"params": params, "tokens": flops / 6 / params, "loss": raw["loss"].to_numpy()})
    known = flops <= flops.max() / 10
    fitted = fit_law(frame[known], bootstrap=0, checks=False)
    new = frame[~known]
    found = predictive(fitted, {name: new[name].to_numpy() for name in ("params", "tokens")}, 0.95)
    actual = new["loss"].to_numpy()
    assert np.mean((actual >= found.low) & (actual <= found.high)) >= 0.9
    assert np.abs(found.value / actual - 1).mean() < 0.008
    assert np.mean(np.log(found.high / found.low)) < 0.045


def test_nine_over_trained_models() -> None:
    raw = public_table("overtraining_testbed_104.csv").astype({"N": float, "D": float})
    errors, inside = [], []
    for _, part in raw.groupby("dataset_name"):
        frame = part.rename(columns={"N": "params", "D": "tokens", "loss_c4_val": "loss"})
        fitted = fit_law(
            frame.loc[frame["flops"] <= 2.1e19, ["params", "tokens", "loss"]],
            law="over-training",
            bootstrap=0,
            checks=False,
        )
        large = frame[frame["params"] > 1e9]
        found = predictive(fitted, {name: large[name].to_numpy() for name in ("params", "tokens")}, 0.9)
        actual = large["loss"].to_numpy()
        errors += list(np.abs(found.value / actual - 1))
        inside += list((actual >= found.low) & (actual <= found.high))
    assert len(errors) == 9
    assert np.mean(errors) <= 0.010
    assert max(errors) <= 0.032
    assert sum(inside) >= 8
