"""One driver a study: two at once would train the same runs and settle each other's configurations."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from scaling.errors import ForetuneError

if TYPE_CHECKING:
    from hpo.store import Section

__all__ = ["refuse_second", "sole_driver"]

_DRIVER = "driver"


@contextmanager
def sole_driver(section: Section) -> Iterator[None]:
    """Hold a study while it is run.

    A driver that was killed holds nothing: its process is gone. Drivers on other machines cannot be seen from here, and
    are trusted to be gone.

    Raises:
        ForetuneError: Another process of this machine is running the study.
    """
    refuse_second(section)
    section.set_attribute(_DRIVER, _me())
    try:
        yield
    finally:
        section.set_attribute(_DRIVER, None)


def refuse_second(section: Section) -> None:
    """Raise :class:`ForetuneError` where another process of this machine is running the section's study."""
    holder = section.attribute(_DRIVER)
    if holder and holder["pid"] != os.getpid() and _alive(holder):
        raise ForetuneError(
            f"study {section.attributes['study']!r} is being run by process {holder['pid']} on this machine; "
            "wait until it has finished, or end it and run this again"
        )


def _me() -> dict[str, Any]:
    return {"host": socket.gethostname(), "pid": os.getpid(), "began": _began(os.getpid())}


def _alive(holder: dict[str, Any]) -> bool:
    """Whether that very process is there still; its number may have gone to another since."""
    return (
        holder["host"] == socket.gethostname()
        and holder["began"] is not None
        and _began(holder["pid"]) == holder["began"]
    )


def _began(pid: int) -> float | None:
    import psutil

    with suppress(psutil.Error):
        process = psutil.Process(pid)
        if process.status() != psutil.STATUS_ZOMBIE:
            return float(process.create_time())
    return None
