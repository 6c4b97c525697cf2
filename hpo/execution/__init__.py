"""Where training runs happen: in this process, or on a Ray cluster. The only place that knows Ray."""

from __future__ import annotations

from hpo.execution.base import Executor, Job, Source, Task

__all__ = ["Executor", "Job", "Source", "Task", "make_executor"]


def make_executor(engine: str, *, address: str | None = None) -> Executor:
    """``inline`` or ``ray``, the latter on the cluster at ``address`` or on this machine alone."""
    if engine == "inline":
        from hpo.execution.inline import InlineExecutor

        return InlineExecutor()
    from hpo.execution.ray import RayExecutor

    return RayExecutor(address)
