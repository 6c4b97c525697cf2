"""The runs table: one row a finished training run. Both halves of Foretune meet here.

Columns: ``params`` (N, non-embedding parameters), ``tokens`` (D), ``lr`` (peak learning rate), ``batch_size`` (in the
unit of ``tokens``), ``loss``; optionally ``seed``, ``steps``, ``warmup_steps``, ``unique_tokens``, ``flops`` (6ND where
absent), ``group`` (rows that are checkpoints of one training run), ``status`` and any others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scaling.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["POSITIVE", "Runs", "load_runs", "parse_columns"]

#: Columns that are counts, rates or losses, and so must be finite and above zero.
POSITIVE = ("params", "tokens", "lr", "batch_size", "loss", "steps", "unique_tokens", "flops")
#: ``status`` of a run that has a result.
COMPLETE = "complete"


@dataclass(frozen=True)
class Runs:
    """A checked runs table.

    Attributes:
        frame: The rows that have a result, columns renamed to Foretune's names.
        source: Where they came from, for error messages.
        sha256: Hash of the rows and columns as loaded, kept in law files.
        set_aside: Rows whose ``status`` says that they failed, diverged or are not finished.
    """

    frame: pd.DataFrame
    source: str
    sha256: str
    set_aside: int = 0
    columns: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.frame)

    def __contains__(self, name: object) -> bool:
        return name in self.frame.columns

    def values(self, name: str) -> NDArray[np.float64]:
        """A column as float64 (``flops`` falls back to 6ND). Shape: ``(rows,)``."""
        if name == "flops" and name not in self.frame:
            return 6.0 * self.values("params") * self.values("tokens")
        self.require(name)
        return np.asarray(self.frame[name], dtype=np.float64)

    def require(self, *names: str) -> None:
        """Raise :class:`InputError` unless every column is there."""
        missing = [name for name in names if name not in self.frame]
        if missing:
            spelt = {str(column).strip().lower(): str(column) for column in self.frame.columns}
            pairs = ",".join(f"{name}={spelt[name]}" for name in missing if name in spelt)
            raise InputError(
                f"no column {', '.join(map(repr, missing))}; there are {', '.join(map(repr, self.frame.columns))}",
                source=self.source,
                key=missing[0],
                remedy=f"rename it, or map it: --columns {pairs or f'{missing[0]}=YOUR_COLUMN'}",
            )

    def where(self, mask: NDArray[np.bool_]) -> Runs:
        """The rows where ``mask`` (shape ``(rows,)``) holds."""
        frame = self.frame.loc[np.asarray(mask)].reset_index(drop=True)
        return Runs(frame, self.source, _digest(frame), self.set_aside, self.columns)


def parse_columns(text: str | None) -> dict[str, str]:
    """``"params=N,tokens=D"`` as ``{"params": "N", "tokens": "D"}``."""
    mapping: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in (text or "").split(","))):
        name, equals, theirs = part.partition("=")
        if not (equals and name.strip() and theirs.strip()):
            raise InputError(
                f"cannot read {part!r}", key="--columns", remedy="write OURS=THEIRS, as in params=N,tokens=D"
            )
        mapping[name.strip()] = theirs.strip()
    return mapping


def load_runs(
    source: str | Path | pd.DataFrame | Mapping[str, Sequence[Any]] | Runs,
    *,
    columns: Mapping[str, str] | str | None = None,
    require: Sequence[str] = ("loss",),
) -> Runs:
    """Read and check a runs table.

    Args:
        source: A CSV or Parquet file, a DataFrame, or a mapping of columns.
        columns: Ours to theirs, ``{"params": "N"}`` or ``"params=N,tokens=D"``.
        require: Columns that must be there.

    Raises:
        InputError: File or column missing, no rows, or a value that is negative, zero or not finite where that
            cannot be. Rows with a ``status`` other than ``complete`` may hold anything; they are set aside.
    """
    if isinstance(source, Runs):
        source.require(*require)
        # A table may have been read before it was known what would be asked of it.
        for column in dict.fromkeys(require):
            if column in POSITIVE:
                _check_positive(source.frame, column, source.source, required=True)
        return source
    frame, name = _read(source)
    mapping = parse_columns(columns) if isinstance(columns, str) else dict(columns or {})
    frame = _rename(frame, mapping, name)
    set_aside = 0
    if "status" in frame:
        done = np.asarray(frame["status"].astype(str).str.lower() == COMPLETE)
        set_aside = int((~done).sum())
        frame = frame.loc[done]
    frame = frame.reset_index(drop=True)
    runs = Runs(frame, name, _digest(frame), set_aside, mapping)
    runs.require(*require)
    if not len(frame):
        why = f" ({set_aside} rows have a status other than {COMPLETE!r})" if set_aside else ""
        raise InputError(
            f"no finished runs{why}", source=name, remedy="give a table with at least one finished run"
        )
    for column in POSITIVE:
        if column in frame:
            _check_positive(frame, column, name, required=column in require)
    return runs


def _read(source: str | Path | pd.DataFrame | Mapping[str, Sequence[Any]]) -> tuple[pd.DataFrame, str]:
    import pandas as pd

    if isinstance(source, pd.DataFrame):
        return source.copy(), "runs"
    if isinstance(source, Mapping):
        return pd.DataFrame(dict(source)), "runs"
    path = Path(source)
    try:
        if path.suffix in (".parquet", ".pq"):
            return pd.read_parquet(path), str(path)
        return pd.read_csv(path), str(path)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"cannot be read ({reason})", source=str(path), remedy="check the path") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(
            f"is not a table ({error})", source=str(path), remedy="give CSV or Parquet with a header"
        ) from None


def _rename(frame: pd.DataFrame, mapping: Mapping[str, str], name: str) -> pd.DataFrame:
    missing = [theirs for theirs in mapping.values() if theirs not in frame]
    if missing:
        raise InputError(
            f"no column {missing[0]!r}; there are {', '.join(map(repr, frame.columns))}",
            source=name,
            key="--columns",
            remedy="map to a column that is there",
        )
    for ours, theirs in mapping.items():
        # Assigned, not renamed: two of our columns may come from one of theirs.
        frame[ours] = frame[theirs]
    return frame


def _check_positive(frame: pd.DataFrame, column: str, name: str, *, required: bool) -> None:
    import pandas as pd

    numbers = pd.to_numeric(frame[column], errors="coerce").to_numpy(dtype=np.float64)
    blank = np.asarray(frame[column].isna())
    # An optional column may be blank in some rows; what stands there must still make sense.
    wrong = ~(np.isfinite(numbers) & (numbers > 0)) & (required | ~blank)
    if wrong.any():
        row = int(np.argmax(wrong))
        text = str(frame[column].iloc[row])
        remedy = (
            "mark failed or diverged runs in a column `status` (anything but 'complete'), or leave them out"
        )
        if np.isnan(numbers[row]) and any(letter.isdigit() for letter in text):
            remedy = "write plain numbers with a point, such as 7e9 or 0.001"
        raise InputError(
            f"row {row + 1} has {text!r}, which is not a finite number above zero ({int(wrong.sum())} such rows)",
            source=name,
            key=column,
            remedy=remedy,
        )
    frame[column] = numbers


def _digest(frame: pd.DataFrame) -> str:
    return hashlib.sha256(frame.to_csv(index=False).encode()).hexdigest()
