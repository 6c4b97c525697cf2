"""Published measurements for tests; where they are absent, the test that asks for them is skipped."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from scaling.datasets import data_path
from scaling.errors import InputError


def public_file(name: str) -> Path:
    """Where a file of the published measurements lies."""
    try:
        return data_path(name)
    except InputError as error:
        pytest.skip(str(error))


def public_table(name: str) -> pd.DataFrame:
    """A table of the published measurements."""
    path = public_file(name)
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
