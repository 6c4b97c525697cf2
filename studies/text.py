"""Text that every machine has: the sources of Python's own standard library, as bytes, split by file."""

from __future__ import annotations

import hashlib
import sysconfig
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scaling.errors import InputError

__all__ = ["VOCABULARY", "Corpus", "standard_library"]

#: Tokens are bytes.
VOCABULARY = 256
#: Folders with little text that a person wrote, or with other people's packages.
_EXCLUDED = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"}
#: One file in so many is held out.
_HELD_OUT = 16


@dataclass(frozen=True)
class Corpus:
    """Training and held-out text.

    Attributes:
        training: Bytes to train on. Shape: ``(tokens,)``, ``uint8``.
        validation: Bytes of files that no model is trained on. Shape: ``(tokens,)``, ``uint8``.
        sha256: Hash of both; runs with different hashes (another Python version) are not comparable.
    """

    training: NDArray[np.uint8]
    validation: NDArray[np.uint8]
    sha256: str


@lru_cache(maxsize=1)
def standard_library() -> Corpus:
    """The standard library of the running Python, about 12 MB; the same files in the same order on each call.

    A file is held out by a hash of its path within the library, so that the split does not depend on the machine.

    Raises:
        InputError: This Python has been installed without its sources.
    """
    root = Path(sysconfig.get_paths()["stdlib"])
    parts: dict[bool, list[bytes]] = {True: [], False: []}
    for path in sorted(root.rglob("*.py"), key=lambda path: path.relative_to(root).as_posix()):
        name = path.relative_to(root)
        # `_sysconfigdata*` tells of the machine that Python was built on.
        if _EXCLUDED.isdisjoint(name.parts) and not path.name.startswith("_sysconfigdata"):
            held_out = hashlib.sha256(name.as_posix().encode()).digest()[0] % _HELD_OUT == 0
            parts[held_out].append(path.read_bytes())
    training, validation = b"\n".join(parts[False]), b"\n".join(parts[True])
    if len(training) < 1_000_000 or len(validation) < 100_000:
        raise InputError(
            f"too little Python source to train on ({len(training):,} bytes)",
            source=str(root),
            remedy="use a Python that was installed with the sources of its standard library",
        )
    digest = hashlib.sha256(training + b"\0" + validation).hexdigest()
    return Corpus(np.frombuffer(training, np.uint8), np.frombuffer(validation, np.uint8), digest)
