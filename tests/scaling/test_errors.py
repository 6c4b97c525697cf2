"""Errors name the place and the remedy, and survive the way between processes."""

from __future__ import annotations

import pickle

import pytest

from scaling.errors import ForetuneError, InputError
from scaling.terminal import run_app


def test_an_input_error_reads_as_place_message_remedy() -> None:
    error = InputError("low is above high", source="study.yaml", key="space.lr", remedy="swap them")
    assert str(error) == "study.yaml: space.lr: low is above high\n  swap them"


def test_an_input_error_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(InputError("no", source="f", key="k", remedy="r")))
    assert (error.message, error.source, error.key, error.remedy) == ("no", "f", "k", "r")


@pytest.mark.parametrize(
    ("error", "status"), [(InputError("x"), 2), (ForetuneError("x"), 1), (KeyboardInterrupt(), 130)]
)
def test_commands_exit_with_the_status_of_the_error(
    error: BaseException, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def app() -> None:
        raise error

    with pytest.raises(SystemExit) as caught:
        run_app(app)
    assert caught.value.code == status
    assert "Traceback" not in capsys.readouterr().err
