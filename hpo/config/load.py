"""Reading a study file: YAML with line numbers, ``key=value`` overrides, and mistakes said in the user's terms."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from hpo.config.model import Baseline, Resources, StudyConfig, TunedBaseline
from hpo.seeds import Seeds
from scaling.errors import InputError

__all__ = ["load_config", "parse_override"]

Path_ = tuple[str, ...]


class _Loader(yaml.SafeLoader):
    """YAML 1.1 reads ``1e-4`` as text; people who write study files mean a number."""


_Loader.yaml_implicit_resolvers = {
    key: list(value) for key, value in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d[\d_]*)(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def load_config(
    source: str | Path | Mapping[str, Any] | StudyConfig, overrides: Iterable[str] = ()
) -> StudyConfig:
    """Read and check a study.

    Args:
        source: A YAML file, or the same as a mapping, whose objective may be the function itself.
        overrides: ``key=value`` each, with dots between nested keys, as in ``budget.trials=5``; values are YAML.

    Raises:
        InputError: Naming the file (with its line), the key and what would be right.
    """
    if isinstance(source, StudyConfig):
        if not list(overrides):
            return source
        source = source.model_dump(exclude_unset=True)
    lines: dict[Path_, int] = {}
    if isinstance(source, Mapping):
        content, name = dict(source), "study"
    else:
        content, lines, name = _read(Path(source))
    said: dict[Path_, str] = {}
    for override in overrides:
        path, value = parse_override(override)
        content = _put(content, path, value, override)
        said[path] = override
    try:
        return StudyConfig.model_validate(content)
    except ValidationError as error:
        raise _explain(error, content, lines, name, said) from None


def parse_override(text: str) -> tuple[Path_, Any]:
    """``"budget.trials=5"`` as ``(("budget", "trials"), 5)``."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise InputError(
            f"cannot read {text!r}", source="command line", remedy="write key=value, as in budget.trials=5"
        )
    try:
        return tuple(key.strip().split(".")), yaml.load(value, Loader=_Loader)  # it is a SafeLoader
    except yaml.YAMLError as error:
        raise InputError(
            f"the value of {text!r} is not YAML ({error})", source="command line", key=key
        ) from None


def _put(content: Mapping[str, Any], path: Path_, value: Any, text: str) -> dict[str, Any]:
    """A copy of ``content`` with ``value`` at ``path``. Budgets and bodies given anew replace the old ones."""
    changed = dict(content)
    if len(path) == 1:
        changed[path[0]] = value
        return changed
    inner = changed.get(path[0]) or {}
    if not isinstance(inner, Mapping):
        raise InputError(f"{path[0]!r} holds no keys to set", source="command line", key=text)
    # One unit of budget at a time: budget.trials=5 on the command line takes the place of the file's runs.
    changed[path[0]] = _put({} if path[0] == "budget" else inner, path[1:], value, text)
    return changed


def _read(path: Path) -> tuple[dict[str, Any], dict[Path_, int], str]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"cannot be read ({error.strerror})", source=str(path), remedy="check the path"
        ) from None
    except UnicodeDecodeError:
        raise InputError(
            "is not text in UTF-8", source=str(path), remedy="give a study file in YAML"
        ) from None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        content = loader.construct_document(node) if node is not None else None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise InputError(f"is not YAML ({getattr(error, 'problem', None) or error})", source=where) from None
    if not isinstance(content, dict):
        raise InputError(
            "holds no study",
            source=str(path),
            remedy="start with `name: ...`, `objective: ...`, `space: ...`",
        )
    lines: dict[Path_, int] = {}
    _note_lines(node, (), lines, str(path))
    return content, lines, str(path)


def _note_lines(node: yaml.Node | None, path: Path_, lines: dict[Path_, int], source: str) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, str(key.value))
            if here in lines:
                raise InputError(
                    f"stands there twice, in lines {lines[here]} and {key.start_mark.line + 1}",
                    source=source,
                    key=".".join(here),
                    remedy="keep one of them",
                )
            lines[here] = key.start_mark.line + 1
            _note_lines(value, here, lines, source)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[(*path, str(index))] = value.start_mark.line + 1
            _note_lines(value, (*path, str(index)), lines, source)


_MODELS: dict[Path_, type[BaseModel]] = {
    (): StudyConfig,
    ("seeds",): Seeds,
    ("resources",): Resources,
    ("baseline",): Baseline,
    ("baseline", "tune"): TunedBaseline,
}
_PARAMETER_KEYS = {
    "float": ["type", "low", "high", "log", "step", "when"],
    "int": ["type", "low", "high", "log", "step", "when"],
    "categorical": ["type", "choices", "when"],
}
_BUDGET_KEYS = ["trials", "runs", "hours", "flops"]


def _known_keys(path: Path_, content: Mapping[str, Any]) -> list[str]:
    if path in _MODELS:
        return list(_MODELS[path].model_fields)
    if path == ("budget",):
        return _BUDGET_KEYS
    if path[:1] == ("space",) and len(path) == 2:
        kind = content.get("space", {}).get(path[1], {}).get("type")
        return _PARAMETER_KEYS.get(kind, [])
    return []


def _explain(
    error: ValidationError,
    content: Mapping[str, Any],
    lines: Mapping[Path_, int],
    name: str,
    overrides: Mapping[Path_, str],
) -> InputError:
    """One of pydantic's complaints, as an :class:`InputError` in the terms of the study file."""
    # A key that is misspelt is unknown and missing at once: the former says more.
    first = min(error.errors(), key=lambda entry: entry["type"] != "extra_forbidden")
    path = _plain(first["loc"], content)
    kind, message, remedy = first["type"], str(first["msg"]), None
    if kind == "value_error":
        path, message, remedy = _from_own(path, str(first["ctx"]["error"]))
    elif kind == "extra_forbidden":
        known = _known_keys(path[:-1], content)
        near = difflib.get_close_matches(path[-1], known, n=1)
        message = "is not a key that can stand here"
        remedy = (f"did you mean {near[0]!r}? " if near else "") + (
            f"known are {', '.join(known)}" if known else ""
        )
    elif kind == "missing":
        message, remedy = "is missing", _example(path)
    elif kind in ("union_tag_invalid", "union_tag_not_found"):
        message = (
            "has no type"
            if kind.endswith("found")
            else f"has the unknown type {_at(content, (*path, 'type'))!r}"
        )
        remedy = (
            "types are float, int, categorical, as in {type: float, low: 1.0e-4, high: 3.0e-2, log: true}"
        )
    else:
        message = f"{message[0].lower()}{message[1:]}, but it is {first['input']!r}"
    return InputError(
        message, source=_where(path, lines, name, overrides), key=".".join(path) or None, remedy=remedy
    )


def _plain(location: Sequence[str | int], content: Any) -> Path_:
    """Pydantic's location without the names of the union members it tried."""
    path: list[str] = []
    here = content
    for index, part in enumerate(location):
        step = str(part)
        last = index == len(location) - 1
        if _holds(here, part):
            here = here[part]
        elif not last:
            continue
        elif isinstance(here, Mapping) and step not in (
            "float",
            "int",
            "categorical",
            "str",
            "bool",
            "function-after",
        ):
            here = None
        else:
            continue
        path.append(step)
    return tuple(path)


def _holds(content: Any, part: str | int) -> bool:
    if isinstance(content, (list, tuple)):
        return isinstance(part, int) and part < len(content)
    return isinstance(content, Mapping) and part in content


def _from_own(path: Path_, text: str) -> tuple[Path_, str, str | None]:
    """Our own validators write ``key: what is wrong; what would be right``."""
    matched = re.match(r"^([\w.]+): (.*)$", text, flags=re.DOTALL)
    if matched:
        path, text = (*path, *matched[1].split(".")), matched[2]
    message, _, remedy = text.partition("; ")
    return path, message, remedy or None


def _at(content: Any, path: Path_) -> Any:
    for part in path:
        if not isinstance(content, Mapping):
            return None
        content = content.get(part)
    return content


def _where(path: Path_, lines: Mapping[Path_, int], name: str, overrides: Mapping[Path_, str]) -> str:
    for length in range(len(path), 0, -1):
        if path[:length] in overrides:
            return f"command line, {overrides[path[:length]]}"
        if path[:length] in lines:
            return f"{name}:{lines[path[:length]]}"
    return name


def _example(path: Path_) -> str | None:
    examples = {
        "name": "give the study a name: `name: lm-lr-batch`",
        "metric": "say which returned number is tuned: `metric: loss`",
        "space": "give the parameters: `space: {lr: {type: float, low: 1.0e-4, high: 3.0e-2, log: true}}`",
        "budget": "say how much may be spent: `budget: {trials: 24}`",
        "low": "give the lower bound: `low: 1.0e-4`",
        "high": "give the upper bound: `high: 3.0e-2`",
        "choices": "give the values: `choices: [adam, sgd]`",
    }
    return examples.get(path[-1]) if path else None
