"""One driver a study: two at once would train the same runs and settle each other's configurations."""

from __future__ import annotations

import hashlib
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from scaling.errors import ForetuneError

if TYPE_CHECKING:
    from hpo.store import Section

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

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
    with _lock(section) as held:
        refuse_second(section)
        if not held:
            raise ForetuneError(
                f"study {section.attributes['study']!r} is being run by another process on this machine; "
                "wait until it has finished, or end it and run this again"
            )
        section.set_attribute(_DRIVER, _me())
        try:
            yield
        finally:
            section.set_attribute(_DRIVER, None)


@contextmanager
def _lock(section: Section) -> Iterator[bool]:
    """Hold a lock of this machine on the study; whether it was free. Of two that start at once, one gets it.

    The kernel frees it when its process ends, however that comes.
    """
    where = section.place
    if where is None or fcntl is None:
        yield True
        return
    key = hashlib.sha256(f"{where} {section.attributes['study']}".encode()).hexdigest()[:16]
    path = Path(tempfile.gettempdir()) / f"foretune-{key}.lock"
    try:
        file = _locked(path)
    except PermissionError:  # another user's
        yield True
        return
    if file is None:
        yield False
        return
    with file:
        try:
            yield True
        finally:
            path.unlink(missing_ok=True)


def _locked(path: Path) -> IO[str] | None:
    """The file, locked; ``None`` while another process holds it."""
    while True:
        file = path.open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        with suppress(FileNotFoundError):
            if path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                return file
        file.close()  # its last holder has removed it since it was opened


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
