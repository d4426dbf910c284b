"""Reading text files so that bad input ends in one line, whatever it is."""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Iterator
from pathlib import Path

from ..reading import parse_json, read_regular, reason, regular_pieces

# A file larger than this is a mistake or an attack (a gzip bomb).
MAX_BYTES = 1024**3
_LONGEST_LINE = 4  # of a file that is read in pieces, in pieces
# Files that are often given for the text that they hold.
_NOT_TEXT = {
    b"PK\x03\x04": "a zip archive (or an .xlsx workbook); unpack it, or save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an Excel workbook; save the sheet as CSV",
    b"PAR1": "a Parquet file; write it as CSV",
    b"BZh": "compressed with bzip2; unpack it (gzip is read as it is)",
    b"\xfd7zXZ": "compressed with xz; unpack it (gzip is read as it is)",
    b"(\xb5/\xfd": "compressed with zstd; unpack it (gzip is read as it is)",
    b"%PDF": "a PDF, expected text",
}
# A letter beyond ASCII in UTF-8: bytes that hardly ever follow each other in Latin-1.
_UTF8_PAIR = re.compile(rb"[\xc2-\xf4][\x80-\xbf]")
_LATIN_SIGNS = frozenset("\xa0°²³€£§µ·«»–—‘’“”…±×½¼")


def read_bytes(path: str | Path, limit: int | None = None) -> bytes:
    """The file's bytes, unzipped if it is gzip; at most `limit` of them if given.

    Raises:
        ValueError: if it cannot be read, is empty, or is larger than the readers accept.
    """
    most = MAX_BYTES if limit is None else limit
    try:
        data = read_regular(path, most)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {reason(error)}; expected a readable file") from None
    if not data:
        raise ValueError(f"{path}: empty file, expected text")
    if limit is None and len(data) > most:
        raise ValueError(f"{path}: more than {MAX_BYTES >> 30} GiB, expected a smaller file")
    return data[:most]


def read_pieces(path: str | Path, size: int) -> Iterator[bytes]:
    """The file's bytes in pieces of whole lines, about `size` each, unzipped if it is gzip; of any length.

    Raises:
        ValueError: if it cannot be read or is empty, or a line is many times longer than a piece.
    """
    rest, empty = b"", True
    try:
        for piece in regular_pieces(path, size):
            empty = False
            data = rest + piece
            whole = data.rfind(b"\n") + 1
            if not whole and len(data) > _LONGEST_LINE * size:
                raise ValueError(f"a line of more than {_LONGEST_LINE * size} bytes")
            rest = data[whole:]
            if whole:
                yield data[:whole]
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {reason(error)}; expected a readable file") from None
    if empty:
        raise ValueError(f"{path}: empty file, expected text")
    if rest:
        yield rest


def decode(path: str | Path, data: bytes, cut: bool = False) -> str:
    """UTF-8 text, or UTF-16 with a byte order mark, without the mark.

    Args:
        path: for messages.
        data: the file's bytes.
        cut: whether they end in the middle of the file, and so perhaps of a character.

    Raises:
        ValueError: if the bytes are not text, or in an encoding that has to be guessed; it says which.
    """
    for magic, what in _NOT_TEXT.items():
        if data.startswith(magic):
            raise ValueError(f"{path}: {what}")
    utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    if not utf16 and b"\x00" in data:
        odd = data[1:2000:2].count(0) + data[0:2000:2].count(0)
        if odd > 0.3 * min(len(data), 2000) and len(data.replace(b"\x00", b"")) > 0.3 * len(data):
            raise ValueError(f"{path}: UTF-16 text without a byte order mark; save it as UTF-8")
        raise ValueError(f"{path}: binary content, expected text")
    try:
        text = data.decode("utf-16" if utf16 else "utf-8-sig", errors="ignore" if cut else "strict")
    except UnicodeDecodeError as error:
        if utf16:
            raise ValueError(f"{path}: damaged UTF-16 text; save it as UTF-8") from None
        line = data.count(b"\n", 0, error.start) + 1
        hint = ", but Latin-1 (Windows-1252); save it as UTF-8" if _latin(data) else ""
        raise ValueError(f"{path}:{line}: not UTF-8 text{hint}") from None
    if "\x00" in text:
        raise ValueError(f"{path}: binary content, expected text")
    if not text:
        raise ValueError(f"{path}: empty file, expected text")
    return text


def decode_table(path: str | Path, data: bytes, cut: bool = False) -> tuple[str, tuple[str, ...]]:
    """Text as `decode` reads it, or Latin-1 as spreadsheets save it, and a note of what is unusual."""
    text = _latin(data)
    if text is not None:
        return text, ("the text is Latin-1 (Windows-1252), not UTF-8",)
    unusual = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    return decode(path, data, cut), (("the text is UTF-16, not UTF-8",) if unusual else ())


def _latin(data: bytes) -> str | None:
    """The text, if it is not UTF-8 in any part, and all that is not ASCII are letters or signs."""
    if data.isascii() or b"\x00" in data or data.startswith((b"\xff\xfe", b"\xfe\xff", *_NOT_TEXT)):
        return None
    if _UTF8_PAIR.search(data):
        return None
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        return None
    strange = {letter for letter in set(text) if not letter.isascii() and not letter.isalpha()}
    blank = {letter for letter in set(text) if letter.isascii() and not letter.isprintable()}
    return text if strange <= _LATIN_SIGNS and blank <= set("\t\r\n") else None


def read_head(path: str | Path) -> str:
    """The first whole lines of the file, or the first 64 KiB of a single long one, as text."""
    data = read_bytes(path, limit=65536)
    if len(data) < 65536:
        return decode_table(path, data)[0]
    text = decode_table(path, data, cut=True)[0]
    # A character may be cut in two at the end, and a line is.
    whole = text.rfind("\n") + 1
    return text[:whole] if whole else text


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


def brief(value: object, most: int = 80) -> str:
    """A value from a file, safe and short enough for a message."""
    shown = repr(value) if isinstance(value, (str, int, float)) else _BRIEF.repr(value)
    return shown if len(shown) <= most else shown[: most - 3] + "..."


# Containers may refer to themselves many times over: their full text can be endless.
_BRIEF = reprlib.Repr()
_BRIEF.maxlevel = 2
