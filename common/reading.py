"""Reading files that others may have made: regular files only, in pieces, no more than is expected."""

from __future__ import annotations

import gzip
import io
import json
import os
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from .arrays import AnyArray
from .spelling import printable

MOST_RATIO = 200
"""How many times its size a gzip file may come to, beyond 16 MiB; tables come to ten to fifty."""

_CHUNK = 1 << 20
_SMALL = 16 << 20
_GZIP = b"\x1f\x8b"


def read_regular(path: str | Path, most: int) -> bytes:
    """At most `most` + 1 bytes of a regular file, unzipped if it is gzip.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no regular file, no whole gzip file, or one that unpacks to far too much.
    """
    return b"".join(regular_pieces(path, _CHUNK, most + 1))


def regular_pieces(path: str | Path, size: int, most: int | None = None) -> Iterator[bytes]:
    """The bytes of a regular file, or the first `most` of them, in pieces; unzipped if it is gzip.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no regular file, no whole gzip file, or one that unpacks to far too much.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("no regular file")
    with open(path, "rb") as raw:
        zipped = raw.read(2) == _GZIP
        raw.seek(0)
        if not zipped:
            yield from _pieces(raw, size, most)
            return
        left = max(status.st_size * MOST_RATIO, _SMALL)
        try:
            with gzip.GzipFile(fileobj=raw) as opened:
                for piece in _pieces(opened, size, most):
                    left -= len(piece)
                    if left < 0:
                        raise ValueError(f"unpacks to more than {MOST_RATIO} times its size")
                    yield piece
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"not a whole gzip file ({error})") from None


def read_small(path: str | Path, most: int) -> bytes:
    """All bytes of a small file; OSError or ValueError as of `read_regular`, which cuts what is larger."""
    data = read_regular(path, most)
    if len(data) > most:
        raise ValueError(f"more than {most} bytes")
    return data


def read_document(path: str | Path, most: int) -> str:
    """The text of a small file in UTF-8; OSError or ValueError as of `read_small`."""
    return read_small(path, most).decode("utf-8-sig")


def parse_json(text: str) -> object:
    """A JSON document whose objects have each key once.

    Raises:
        json.JSONDecodeError: it is no JSON.
        ValueError: a key comes twice, a number is too long, or it is nested too deeply.
    """
    try:
        document: object = json.loads(text, object_pairs_hook=_unique)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return document


def read_arrays(path: Path) -> dict[str, AnyArray]:
    """The arrays of an `.npz` file by name; no pickled objects.

    Raises:
        ValueError: one line that begins with the path.
    """
    try:
        data = path.read_bytes()
        if not data.startswith(b"PK"):
            raise ValueError("no archive of arrays")
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except Exception as error:  # a damaged archive: whatever zipfile, zlib and numpy's parser raise
        raise ValueError(f"{path}: not readable ({reason(error)})") from None


def reason(error: BaseException) -> str:
    """What an exception says, in one line; an error of the system without the path."""
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return printable(" ".join(str(said).split()))


def _pieces(file: BinaryIO | gzip.GzipFile, size: int, most: int | None) -> Iterator[bytes]:
    left = float("inf") if most is None else most
    while left > 0 and (piece := file.read(int(min(left, size)))):
        left -= len(piece)
        yield piece


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"key {printable(twice, 60)!r} comes twice in an object, expected once")
    return found
