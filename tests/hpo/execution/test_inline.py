"""The executor of this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hpo.allocation.base import Wait
from hpo.execution import Executor, Task
from hpo.execution.inline import InlineExecutor
from tests.hpo.execution.executor_kit import ExecutorContract, Listed, objective


class TestInline(ExecutorContract):
    survives_death = False

    @pytest.fixture(scope="class")
    def executor(self) -> Iterator[Executor]:
        with InlineExecutor() as executor:
            yield executor


def test_a_source_that_waits_for_nothing_is_a_mistake() -> None:
    class Waiting(Listed):
        def ask(self) -> Wait:  # type: ignore[override]
            return Wait()

    with pytest.raises(RuntimeError, match="none is under way"):
        InlineExecutor().run(Waiting([]), Task(objective, "loss"))


def test_it_makes_one_run_at_a_time() -> None:
    source = Listed([{"how": "good"}] * 3)
    InlineExecutor().run(source, Task(objective, "loss"))
    assert source.most == 1 and InlineExecutor().slots(Task(objective, "loss")) == 1
