"""Reading text files so that bad input ends in one line, whatever it is."""

from __future__ import annotations

import io
import json
import reprlib
from pathlib import Path
from typing import TYPE_CHECKING

from ....common.reading import parse_json, read_regular, reason

if TYPE_CHECKING:
    import pandas as pd

# A trace file larger than this is a mistake or an attack (a gzip bomb).
MAX_BYTES = 1024**3


def read_bytes(path: str | Path, limit: int | None = None) -> bytes:
    """The file's bytes, unzipped if it is gzip; at most `limit` of them if given.

    Raises:
        ValueError: if it cannot be read, is empty, or is larger than the readers accept.
    """
    most = MAX_BYTES if limit is None else limit
    try:
        data = read_regular(path, most)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {reason(error)}; expected a readable trace file") from None
    if not data:
        raise ValueError(f"{path}: empty file, expected a trace")
    if limit is None and len(data) > most:
        raise ValueError(f"{path}: more than {MAX_BYTES >> 30} GiB, expected a trace file")
    return data[:most]


def decode(path: str | Path, data: bytes) -> str:
    """UTF-8 text without its byte order mark.

    Raises:
        ValueError: if the bytes are not text.
    """
    if b"\x00" in data:
        raise ValueError(f"{path}: binary content, expected text")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}:{line}: not UTF-8 text") from None


def read_head(path: str | Path) -> str:
    """The first whole lines of the file, or the first 64 KiB of a single long one, as text."""
    data = read_bytes(path, limit=65536)
    if len(data) < 65536:
        return decode(path, data)
    cut = data.rfind(b"\n") + 1
    # A character may be cut in two at the end.
    return decode(path, data[:cut]) if cut else data.decode("utf-8-sig", errors="ignore")


def read_text(path: str | Path) -> str:
    """The whole file as text."""
    return decode(path, read_bytes(path))


def read_json(path: str | Path) -> object:
    """The file's JSON document.

    Raises:
        ValueError: with the line of the first error.
    """
    try:
        return parse_json(read_text(path))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}:{error.lineno}: not JSON ({error.msg})") from None
    except ValueError as error:
        # A number too long, a key twice, too deep; the message of `read_text` has the path already.
        text = " ".join(str(error).split())
        raise ValueError(text if text.startswith(str(path)) else f"{path}: not JSON ({text})") from None


def read_table(
    path: str | Path, sep: str = ",", header: bool = True, text: str | None = None
) -> pd.DataFrame:
    """A delimited table with every cell as text, missing ones as the empty string.

    Column names lose surrounding blanks. Row `i` of the frame is line `i + 2` of the file (`i + 1` without a
    header) as long as no cell holds a line break.

    Raises:
        ValueError: if the rows differ in length.
    """
    import pandas as pd

    content = read_text(path) if text is None else text
    try:
        frame = pd.read_csv(
            io.StringIO(content),
            sep=sep,
            header=0 if header else None,
            dtype=str,
            keep_default_na=False,
            skip_blank_lines=False,
            engine="c",
            low_memory=False,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError, OverflowError) as error:
        raise ValueError(f"{path}: not a table ({reason(error)})") from None
    if not isinstance(frame.index, pd.RangeIndex):
        raise ValueError(f"{path}: rows have more cells than the header, expected as many")
    names = [str(name).strip() for name in frame.columns]
    if len(set(names)) < len(names):
        raise ValueError(f"{path}:1: two columns have the same name, expected different ones")
    frame.columns = pd.Index(names)
    return frame


def brief(value: object, most: int = 80) -> str:
    """A value from a file, safe and short enough for a message."""
    shown = repr(value) if isinstance(value, (str, int, float)) else _BRIEF.repr(value)
    return shown if len(shown) <= most else shown[: most - 3] + "..."


# Containers may refer to themselves many times over: their full text can be endless.
_BRIEF = reprlib.Repr()
_BRIEF.maxlevel = 2
