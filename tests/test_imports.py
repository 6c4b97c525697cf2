"""`import scaling`, `import hpo` and the commands' help stay light; `scaling` knows nothing of training."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("pandas", "scipy", "torch", "ray", "optuna", "botorch", "plotly", "statsmodels")


def modules_after(code: str) -> set[str]:
    """Top-level modules loaded in a fresh interpreter that ran ``code``."""
    script = f"import sys\n{code}\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("code", ["import scaling", "import hpo", "import scaling.cli", "import hpo.cli"])
def test_importing_loads_nothing_heavy(code: str) -> None:
    assert not modules_after(code) & set(HEAVY)


def test_a_published_law_answers_without_anything_heavy() -> None:
    assert not modules_after("import scaling; scaling.predict('step-law', params=1e9, tokens=1e11)") & set(
        HEAVY
    )


def test_scaling_never_imports_what_trains() -> None:
    code = (
        "import pkgutil, importlib, scaling\n"
        "for module in pkgutil.walk_packages(scaling.__path__, 'scaling.'): importlib.import_module(module.name)"
    )
    assert not modules_after(code) & {"hpo", "ray", "optuna", "torch", "botorch", "studies"}
