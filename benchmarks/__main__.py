"""Run the measurements one after the other: ``python -m benchmarks [NAME ...]``; each resumes."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

FOLDER = Path(__file__).parent


def measurements() -> dict[str, str]:
    """Every measurement by name, with the first line of its docstring (read, not imported)."""
    found = {}
    for path in sorted(FOLDER.glob("*.py")):
        if path.stem.startswith("_"):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        # Helpers that measurements share have no entry point of their own.
        if 'if __name__ == "__main__"' in path.read_text(encoding="utf-8"):
            found[path.stem] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def main(
    names: Annotated[list[str] | None, typer.Argument(help="Which to run; all if none is named.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A small form of each.")] = False,
    show: Annotated[bool, typer.Option("--list", help="Say what there is, and stop.")] = False,
) -> None:
    """Measure Foretune side by side with its peers; results are written to benchmarks/results."""
    known = measurements()
    unknown = [name for name in names or () if name not in known]
    if unknown:
        print(f"no measurement {unknown[0]!r}; there are {', '.join(known)}", file=sys.stderr)
        raise SystemExit(2)
    if show:
        for name, what in known.items():
            print(f"{name:24} {what}")
        return
    failed = []
    for name in names or known:
        print(f"\n=== {name}: {known[name]}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}", *(["--quick"] if quick else [])]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
        raise SystemExit(1)


if __name__ == "__main__":
    typer.run(main)
