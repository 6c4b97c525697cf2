"""Each published law against a number that its own paper states."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling import InputError
from scaling.published import LAWS, find


def value(law, output, **inputs):
    return LAWS[law].answer(inputs)["predictions"][output]["value"]


@pytest.mark.parametrize(
    ("layers", "width", "lr", "sequences"),
    # DeepSeek LLM, table 2: rate and (rounded) batch of its 7B and 67B models on 2T tokens, from its law.
    [(30, 4096, 4.2e-4, 2304), (95, 8192, 3.2e-4, 4608)],
)
def test_deepseek_reproduces_its_own_models(layers, width, lr, sequences):
    # eq. 2 of the paper: M = 72 n_layer d_model^2 + 12 n_layer d_model l_seq
    flops = (72 * layers * width**2 + 12 * layers * width * 4096) * 2e12
    assert value("deepseek", "lr", flops=flops) == pytest.approx(lr, rel=0.03)
    assert value("deepseek", "batch_size", flops=flops) == pytest.approx(sequences * 4096, rel=0.1)


def test_step_law_at_its_1b_100b_example():
    # exponents and coefficients of the abstract's law, worked by hand
    assert value("step-law", "lr", params=1e9, tokens=1e11) == pytest.approx(1.6325e-3, rel=1e-3)
    assert value("step-law", "batch_size", params=1e9, tokens=1e11) == pytest.approx(1.1077e6, rel=1e-3)


def test_step_law_batch_does_not_depend_on_params():
    assert value("step-law", "batch_size", params=1e8, tokens=1e10) == value(
        "step-law", "batch_size", params=1e9, tokens=1e10
    )


def test_kaplan_critical_batch_is_2e8_over_loss_to_the_4_76():
    assert value("kaplan", "critical_batch_size", params=1e8, loss=3.0) == pytest.approx(
        2e8 * 3.0**-4.7619, rel=1e-4
    )


def test_kaplan_loss_limits_are_its_single_variable_laws():
    # L(N) = (8.8e13/N)^0.076 in the paper's fig. 1; its joint fit uses 6.4e13, and so does this law
    assert value("kaplan", "loss", params=1e9, tokens=1e30) == pytest.approx(
        (6.4e13 / 1e9) ** 0.076, rel=1e-6
    )
    assert value("kaplan", "loss", params=1e30, tokens=1e10) == pytest.approx(
        (1.8e13 / 1e10) ** 0.103, rel=1e-6
    )


def test_kaplan_learning_rate_vanishes_and_says_so_where_its_rule_breaks_down():
    answer = LAWS["kaplan"].answer({"params": 2e10})
    assert "lr" not in answer["predictions"]
    assert any("left the range" in warning for warning in answer["warnings"])


def test_porian_batch_is_also_printed_in_sequences_of_2048():
    assert value("porian", "batch_size", params=1e8) / 2048 == pytest.approx(3.7e-4 * 1e8**0.703, rel=0.01)


@pytest.mark.parametrize(("ratio", "timescale"), [(1, 1.0), (1000, 0.03)])
def test_power_lines_timescale_at_the_ratios_its_figure_names(ratio, timescale):
    assert value("power-lines", "timescale", params=1e9, tokens=ratio * 1e9) == pytest.approx(
        timescale, rel=0.1
    )


def test_power_lines_weight_decay_restores_the_timescale():
    inputs = {"params": 1e9, "tokens": 2e10, "lr": 2e-3, "batch_size": 5e5}
    decay = value("power-lines", "weight_decay", **inputs)
    assert 5e5 / (2e-3 * decay * 2e10) == pytest.approx(value("power-lines", "timescale", **inputs))


def test_minicpm_coefficient_is_its_fits_intercept():
    assert math.log(value("minicpm", "batch_size", loss=1.0)) == pytest.approx(20.91, abs=0.01)


def test_bjorck_falls_by_a_third_power_of_tokens():
    ratio = value("bjorck", "lr", params=1e9, tokens=2e11) / value("bjorck", "lr", params=1e9, tokens=1e11)
    assert ratio == pytest.approx(2**-0.32)


def test_bjorck_at_its_held_out_7b_is_an_extrapolation():
    warnings = LAWS["bjorck"].answer({"params": 6.7e9, "tokens": 1e11})["warnings"]
    assert any("2.48 times above the largest it was fitted on" in warning for warning in warnings)


def test_chinchilla_70b_beats_gopher_280b_at_equal_compute():
    # section 3.4 of the paper: Chinchilla (70B, 1.4T) against Gopher (280B, 300B)
    chinchilla = value("chinchilla-2022", "loss", params=70e9, tokens=1.4e12)
    assert chinchilla == pytest.approx(1.937, abs=0.001)
    assert chinchilla < value("chinchilla-2022", "loss", params=280e9, tokens=3e11)


@pytest.mark.parametrize("name", LAWS)
def test_every_law_is_documented_and_says_what_it_lacks(name):
    law = LAWS[name]
    assert "arXiv:" in law.citation and law.url.startswith("https://arxiv.org/")
    assert law.recipe and law.ranges
    answer = law.answer({"params": 3e8, "tokens": 6e9, "loss": 3.0})
    assert answer["predictions"] and answer["plateau"] == {}
    for entry in answer["predictions"].values():
        assert (
            set(entry) == {"value", "low", "high", "unit"} and entry["low"] is None and entry["high"] is None
        )
    assert any("no interval" in warning for warning in answer["warnings"])


@given(params=st.floats(1e3, 1e13), tokens=st.floats(1e5, 1e15))
def test_answers_are_positive_or_left_out_with_a_warning(params, tokens):
    for law in LAWS.values():
        answer = law.answer({"params": params, "tokens": tokens, "loss": 3.0})
        assert all(entry["value"] > 0 for entry in answer["predictions"].values())


def test_outside_the_range_is_said_with_the_factor():
    warnings = LAWS["step-law"].answer({"params": 7e9, "tokens": 1.4e12})["warnings"]
    assert any("tokens" in warning and "14 times" in warning for warning in warnings)
    assert not any(
        "extrapolation" in w for w in LAWS["step-law"].answer({"params": 5e8, "tokens": 1e10})["warnings"]
    )


def test_fixed_batch_is_answered_with_a_warning():
    warnings = LAWS["step-law"].answer({"params": 5e8, "tokens": 1e10, "batch_size": 131072})["warnings"]
    assert any("does not say" in warning for warning in warnings)


@pytest.mark.parametrize("wrong", [0, -1.0, math.nan, math.inf, "many"])
def test_wrong_values_are_named(wrong):
    with pytest.raises(InputError, match="params"):
        LAWS["step-law"].answer({"params": wrong, "tokens": 1e10})


def test_missing_inputs_are_named():
    with pytest.raises(InputError, match="tokens"):
        LAWS["step-law"].answer({"params": 1e9})
    with pytest.raises(InputError, match="--params and --tokens"):
        LAWS["deepseek"].answer({"params": 1e9})


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(InputError, match="did you mean 'step-law'"):
        find("steplaw")
