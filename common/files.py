"""Files and folders written whole or not at all, and read with errors of one line."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .arrays import AnyArray
from .reading import parse_json, read_document, reason

_MOST_JSON = 1 << 28


def write_file(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a draft beside the place, then move it there: a reader never sees half of it.

    Args:
        path: the file.
        write: writes to the path it is given.
    """
    # The ending stays: pandas, numpy and matplotlib choose the format by it.
    draft = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        write(draft)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8 with plain line ends."""

    def write(draft: Path) -> None:
        draft.write_bytes(text.encode())

    write_file(path, write)


def write_json(path: Path, document: Any) -> None:
    """Write a JSON document; not-a-number and infinity are refused."""
    write_text(path, json.dumps(document, indent=1, allow_nan=False) + "\n")


def write_npz(path: Path, arrays: Mapping[str, AnyArray]) -> None:
    """Write named arrays, compressed, without pickled objects."""
    write_file(path, lambda draft: np.savez_compressed(draft, allow_pickle=False, **dict(arrays)))


def write_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` write into a draft folder beside the place, then move it there, replacing what was there."""
    draft = path.with_name(f".{path.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    fill(draft)
    shutil.rmtree(path, ignore_errors=True)
    draft.rename(path)


def read_json(path: Path, label: str) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        ValueError: one line that begins with `label`.
    """
    try:
        document = parse_json(read_document(path, _MOST_JSON))
    except OSError as error:
        raise ValueError(f"{label}: {path}: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{label}: {path}: not JSON ({reason(error)})") from None
    if not isinstance(document, dict):
        raise ValueError(f"{label}: {path}: expected a JSON object")
    return document


def slug(name: str) -> str:
    """A name as a file may bear it; distinct names of one folder are told apart by the caller."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name).lstrip(".")


def sha256(*parts: bytes) -> str:
    """Checksum of some bytes, in hexadecimal digits."""
    return hashlib.sha256(b"".join(parts)).hexdigest()
