"""Rows of JSON documents: times and numbers that are what they should be."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from ..parsing import brief, check_time, line_of


def rows_of(path: str | Path, document: object, key: str) -> list[dict[str, object]]:
    """The list of objects that a document is, or has under `key`.

    Raises:
        ValueError: if there is none, or it is empty.
    """
    rows = document.get(key) if isinstance(document, dict) else document
    if not isinstance(rows, list) or not rows:
        raise ValueError(f"{path}:{line_of(path, key)}: expected a list of objects under {key!r}")
    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            line = line_of(path, *([key] if isinstance(document, dict) else []), index)
            raise ValueError(f"{path}:{line}: [{index}] is {brief(row)}, expected an object")
    return rows


def unix_time(path: str | Path, line: int, what: str, value: object) -> float:
    """An ISO 8601 time as Unix seconds; without a zone it counts as UTC.

    Raises:
        ValueError: naming the line and the field.
    """
    text = value.strip().replace("Z", "+00:00") if isinstance(value, str) else ""
    # Python 3.10 wants three or six digits of a second, and seconds at all in some forms.
    if "." in text:
        head, _, tail = text.partition(".")
        digits = len(tail) - len(tail.lstrip("0123456789"))
        text = head + tail[digits:]
    try:
        stamp = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{path}:{line}: {what} is {brief(value)}, expected a time like 2023-01-01T00:00Z"
        ) from None
    stamp = stamp if stamp.tzinfo else stamp.replace(tzinfo=timezone.utc)
    return check_time(path, stamp.timestamp(), line)


def number(path: str | Path, line: int, what: str, value: object) -> float:
    """A number, or NaN where the provider has null.

    Raises:
        ValueError: naming the line and the field.
    """
    if value is None:
        return float("nan")
    try:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{path}:{line}: {what} is {brief(value)}, expected a number") from None
