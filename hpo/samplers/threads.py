"""One thread for small matrices: on a busy machine, threads that wait for each other make an ask much slower."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

__all__ = ["one_thread"]


@lru_cache(maxsize=2)
def _controller(torch_is_there: bool) -> ThreadpoolController:
    # Finding the libraries takes milliseconds; PyTorch brings its own when it is first imported.
    return ThreadpoolController()


@contextmanager
def one_thread() -> Iterator[None]:
    """Linear algebra within the block (NumPy's, SciPy's and PyTorch's) uses one thread."""
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 1
    if torch and before > 1:
        torch.set_num_threads(1)
    try:
        with _controller(torch is not None).limit(limits=1):
            yield
    finally:
        if torch and before > 1:
            torch.set_num_threads(before)
