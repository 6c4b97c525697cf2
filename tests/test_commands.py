"""What both commands share."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest


@pytest.mark.parametrize("package", ["hpo", "scaling"])
def test_each_says_its_version(package: str) -> None:
    done = subprocess.run([sys.executable, "-m", package, "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"foretune {version('foretune')}\n"), done.stderr
