"""What the checks must find on published runs."""

from __future__ import annotations

import pandas as pd
import pytest

from scaling.checks import check_runs, run_checks
from scaling.checks.influence import drop_path
from scaling.fitted import fit_law
from scaling.runs import load_runs
from tests.scaling.public import public_table

pytestmark = pytest.mark.data


def test_six_over_training_runs_warm_up_for_longer_than_they_train() -> None:
    names = {"N": "params", "D": "tokens", "warm": "warmup_steps"}
    table = load_runs(public_table("overtraining_hparams_104.csv").rename(columns=names), require=())
    (check,) = [check for check in check_runs(table) if check.name == "warmup-longer-than-training"]
    assert check.severity == "error"
    assert check.details is not None
    assert check.details["runs"] == 6
    assert "6 of 104 runs" in check.message


def test_four_parameters_on_the_papers_five_points() -> None:
    runs = public_table("overtraining_testbed_104.csv")
    runs = runs[runs["dataset_name"] == "rpj"]
    small = ["d=96_l=8_h=4", "d=512_l=8_h=4", "d=576_l=24_h=8", "d=1024_l=24_h=8"]
    twenty = runs[(runs["cc_mult"] == 1) & runs["model_name"].isin(small)]
    five = pd.concat([twenty, runs[(runs["cc_mult"] == 16) & (runs["model_name"] == small[0])]])
    five = five.rename(columns={"N": "params", "D": "tokens", "loss_c4_val": "loss"})
    fitted = fit_law(five[["params", "tokens", "loss"]], "over-training", bootstrap=50, checks=False)
    found = {check.name: check for check in run_checks(fitted)}
    assert found["few-degrees-of-freedom"].severity == "error"
    assert "4 parameters on 5 points" in found["few-degrees-of-freedom"].message
    assert "intervals-narrower-than-runs-support" in found


@pytest.mark.slow
def test_decay_constants_of_repeated_data_are_not_identified() -> None:
    runs = public_table("datablations_repeats.csv").rename(
        columns={"N": "params", "D": "tokens", "U": "unique_tokens"}
    )
    runs = runs[["params", "tokens", "unique_tokens", "loss"]]
    fitted = fit_law(runs, "repeated-data-tied", bootstrap=60, checks=False)
    found = {check.name: check for check in run_checks(fitted)}
    assert set((found["unidentified-parameter"].details or {})["parameters"]) == {"rd", "rn"}
    plain = {
        check.name for check in check_runs(load_runs(runs), fit_law(runs, bootstrap=0, checks=False).law)
    }
    assert "repeated-data-in-one-epoch-law" in plain


def test_epochs_runs_hang_on_a_handful() -> None:
    frame = public_table("chinchilla_epoch_245.csv")
    tokens = frame["Training FLOP"] / (6 * frame["Model Size"])
    runs = pd.DataFrame({"params": frame["Model Size"], "tokens": tokens, "loss": frame["loss"]})
    fitted = fit_law(runs, bootstrap=0, checks=False)
    path = drop_path(fitted, 11, flops=5.76e23)
    assert path[0] == pytest.approx(6.8, abs=0.1)
    assert path[5] == pytest.approx(17.9, abs=0.2)  # what Epoch fits: 240 of 245
    assert path[11] == pytest.approx(21.0, abs=0.2)
    found = {check.name: check for check in run_checks(fitted)}
    assert (found["handful-of-runs"].details or {})["dropped"] == 11
