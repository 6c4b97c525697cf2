"""Every sampler of :data:`hpo.samplers.NAMES` keeps the contract."""

from __future__ import annotations

import warnings

import optuna
import pytest

import hpo.samplers
from scaling.errors import InputError
from tests.hpo.samplers.kit import Make, OptunaContract, OurContract

pytestmark = pytest.mark.filterwarnings("ignore")


def _maker(name: str) -> Make:
    def make() -> optuna.samplers.BaseSampler:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return hpo.samplers.make_sampler(name, seed=0)

    return make


class TestBayesian(OptunaContract, OurContract):
    @pytest.fixture
    def sampler(self) -> Make:
        return _maker("bayesian")


class TestOthers(OurContract):
    @pytest.fixture(params=[name for name in hpo.samplers.NAMES if name != "bayesian"])
    def sampler(self, request: pytest.FixtureRequest) -> Make:
        return _maker(request.param)


def test_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(InputError, match="bayesian"):
        hpo.samplers.make_sampler("grid")


def test_unknown_option_is_refused() -> None:
    with pytest.raises(InputError, match="does not take"):
        hpo.samplers.make_sampler("bayesian", seed=0, kernel="rbf")


def test_several_objectives_are_refused() -> None:
    study = optuna.create_study(
        directions=["minimize", "minimize"], sampler=hpo.samplers.BayesianSampler(seed=0)
    )
    with pytest.raises(ValueError, match="one objective"):
        study.ask().suggest_float("x", 0, 1)
