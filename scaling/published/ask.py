"""Ask laws, published or fitted: one point, several laws at once, or a table of points."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaling.errors import InputError
from scaling.published import INPUTS, LAWS, PublishedLaw, check_inputs, find

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["answer_all", "answer_table", "open_law"]


def open_law(name: str) -> Any:
    """The published law of that name, or the fitted law in that file.

    Raises:
        InputError: Neither a name nor a file; the message suggests the nearest name.
    """
    if name in LAWS:
        return LAWS[name]
    if not (Path(name).exists() or Path(name).suffix == ".json" or os.sep in name):
        return find(name)
    from scaling import lawfile

    return lawfile.load(name)


def answer_all(laws: Mapping[str, Any], inputs: Mapping[str, float], level: float) -> dict[str, Any]:
    """Each law's answer at one point.

    Returns:
        ``{"inputs", "laws": {name: answer}, "level", "warnings"}``; ``warnings`` name the law they come
        from and say how far the laws are apart. A single law that cannot answer raises; among several, a
        warning says it.
    """
    checked = check_inputs(inputs)
    answers: dict[str, Any] = {}
    warnings: list[str] = []
    for name, law in laws.items():
        try:
            answers[name] = law.answer(checked, level=level)
        except InputError as error:
            if len(laws) == 1:
                raise
            warnings.append(f"{name}: left out: {error.message}")
            continue
        answers[name]["warnings"] += _unused(law, checked)
        warnings += [f"{name}: {warning}" for warning in answers[name]["warnings"]]
    if not answers:
        raise InputError(
            "none of these laws can answer: " + "; ".join(warnings),
            key="LAW",
            remedy="give --params and --tokens",
        )
    if len(laws) > 1:
        warnings.insert(
            0, "laws come from different recipes and disagree; one from another recipe may not transfer"
        )
        warnings[1:1] = _spread(answers)
    return {"inputs": checked, "laws": answers, "level": level, "warnings": warnings}


def _unused(law: Any, inputs: Mapping[str, float]) -> list[str]:
    """Inputs of a person's own naming that the law does not know; ignored in silence, they would seem to count."""
    if not (isinstance(law, PublishedLaw) or hasattr(law, "hypers")):
        return []  # laws of other families name them themselves
    known = {*INPUTS, *getattr(law, "inputs", ()), *(one.name for one in getattr(law, "hypers", ()))}
    return [f"{name} is no input of this law and changes nothing" for name in inputs if name not in known]


def _spread(answers: Mapping[str, Any]) -> list[str]:
    said = []
    for output in ("lr", "batch_size", "loss"):
        values = [
            one["predictions"][output]["value"] for one in answers.values() if output in one["predictions"]
        ]
        if len(values) > 1:
            said.append(f"{output}: the largest answer is {max(values) / min(values):.3g} times the smallest")
    return said


def answer_table(
    law: Any, points: Path, output: Path, fixed: Mapping[str, float], level: float
) -> tuple[int, list[str]]:
    """Answer every row of a table; write it back with ``<output>``, ``<output>_low``, ``<output>_high``.

    Args:
        law: Published or fitted.
        points: CSV or Parquet, a column an input.
        output: CSV or Parquet to write, in one step.
        fixed: Inputs that are the same for all rows; columns win over them.
        level: Coverage that the intervals claim.

    Returns:
        Rows written, and the distinct warnings.
    """
    frame = _read(points)
    if not output.resolve().parent.is_dir():
        raise InputError("the folder does not exist", source=str(output), remedy=f"mkdir -p {output.parent}")
    names = [name for name in frame.columns if _numeric(frame, name)]
    added: dict[str, list[float | None]] = {}
    warnings: dict[str, None] = {}
    asked = [
        {
            **fixed,
            **{str(name): float(value) for name, value in row.items() if _is_input(law, str(name), value)},
        }
        for row in frame[names].to_dict(orient="records")
    ]
    for row, answer in enumerate(_answers(law, asked, level, str(points))):
        warnings.update(dict.fromkeys(answer["warnings"]))
        for name, entry in answer["predictions"].items():
            for column, part in ((name, "value"), (f"{name}_low", "low"), (f"{name}_high", "high")):
                added.setdefault(column, [None] * len(frame))[row] = entry[part]
    for column, values in added.items():
        frame[column] = values
    _write(frame, output)
    return len(frame), list(warnings)


def _answers(law: Any, asked: list[dict[str, float]], level: float, source: str) -> list[dict[str, Any]]:
    if hasattr(law, "answers"):
        try:
            return list(law.answers(asked, level=level))
        except InputError:
            pass  # below, the row is named
    answers = []
    for row, inputs in enumerate(asked):
        try:
            answers.append(law.answer(inputs, level=level))
        except InputError as error:
            raise InputError(
                f"row {row + 1}: {error.message}", source=source, key=error.key, remedy=error.remedy
            ) from None
    return answers


def _is_input(law: Any, name: str, value: Any) -> bool:
    # A column that the law predicts is its earlier answer or a measurement, not a condition to predict under.
    if isinstance(law, PublishedLaw):
        return name in law.required() or name in ("params", "tokens", "flops", "loss")
    return bool(value == value) and name not in ("lr", "loss")


def _numeric(frame: pd.DataFrame, name: str) -> bool:
    return bool(frame[name].dtype.kind in "iuf")


def _read(points: Path) -> pd.DataFrame:
    from scaling.runs import load_runs

    return load_runs(points, require=()).frame.copy()


def _write(frame: pd.DataFrame, output: Path) -> None:
    scratch = output.with_name(f".{output.name}.{os.getpid()}")
    if output.suffix in (".parquet", ".pq"):
        frame.to_parquet(scratch, index=False)
    else:
        frame.to_csv(scratch, index=False)
    scratch.replace(output)
