"""Errors that Foretune raises on purpose, for both packages and both commands."""

from __future__ import annotations

__all__ = ["ForetuneError", "InputError"]


class ForetuneError(Exception):
    """The work failed for a reason that the message explains. Commands exit with status 1."""

    exit_code = 1


class InputError(ForetuneError, ValueError):
    """What the user gave cannot be right. Commands exit with status 2, and nothing has been changed.

    Args:
        message: What is wrong, in one sentence.
        source: The file (or argument) it stands in.
        key: The key, column or option at fault, such as ``space.lr.low``.
        remedy: What would be right, as something the user can do.
    """

    exit_code = 2

    def __init__(
        self, message: str, *, source: str | None = None, key: str | None = None, remedy: str | None = None
    ) -> None:
        self.message = message
        self.source = source
        self.key = key
        self.remedy = remedy
        where = ": ".join(part for part in (source, key) if part)
        text = f"{where}: {message}" if where else message
        super().__init__(f"{text}\n  {remedy}" if remedy else text)

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions pickle by their positional arguments alone; Ray sends ours between processes.
        return _rebuild, (self.message, self.source, self.key, self.remedy)


def _rebuild(message: str, source: str | None, key: str | None, remedy: str | None) -> InputError:
    return InputError(message, source=source, key=key, remedy=remedy)
