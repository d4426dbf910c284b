"""Files and folders written whole or not at all, and read with errors of one line.

Whoever is killed while writing leaves a draft under a name of its own, never half a file; `clear_drafts`
removes those of processes that are gone.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .arrays import AnyArray
from .reading import parse_json, read_arrays, read_document, reason

_MOST_JSON = 1 << 28

_DRAFT = ".draft-"
"""Names of drafts: this, the process that writes it, and the name to be. The ending stays: pandas and
matplotlib choose the format by it."""
_NOT_WRITTEN = "not written: "


def write_file(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a draft beside the place, then move it there: a reader never sees half of it.

    The draft is on the disk before it takes the place's name: a power cut leaves the old file or the new one.

    Args:
        path: the file.
        write: writes to the path it is given.

    Raises:
        OSError: it could not be written, for instance because the disk is full; `filename` is `path`.
    """
    with _draft_for(path) as draft:
        write(draft)
        _sync(draft)
        draft.replace(path)
        _sync_folder(path.parent)


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write a file of bytes."""

    def write(draft: Path) -> None:
        draft.write_bytes(content)

    write_file(path, write)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8 with plain line ends."""
    write_bytes(path, text.encode())


def write_json(path: Path, document: Any) -> None:
    """Write a JSON document; not-a-number and infinity are refused."""
    write_text(path, json.dumps(document, indent=1, allow_nan=False) + "\n")


def write_npz(path: Path, arrays: Mapping[str, AnyArray], compress: bool = True) -> None:
    """Write named arrays; ValueError for objects, which would have to be pickled."""
    held = {name: np.asarray(array) for name, array in arrays.items()}
    for name, array in held.items():
        if array.dtype.hasobject:
            raise ValueError(f"{path}: {name}: an array of objects, expected numbers or texts")
    save = np.savez_compressed if compress else np.savez
    # In memory first: an archive that a full disk cuts short complains once more when it is collected.
    content = io.BytesIO()
    save(content, **held)  # type: ignore[arg-type]
    write_bytes(path, content.getbuffer())


def write_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` write into a draft folder beside the place, then move it there, replacing what was there.

    Raises:
        OSError: see `write_file`.
    """
    with _draft_for(path) as draft:
        draft.mkdir(parents=True)
        fill(draft)
        for inner in draft.rglob("*"):
            _sync_folder(inner) if inner.is_dir() else _sync(inner)
        _sync_folder(draft)
        remove_folder(path)
        draft.rename(path)
        _sync_folder(path.parent)


def remove_folder(path: Path) -> None:
    """Remove a folder, if it is there, with all it holds; a reader never sees half of it."""
    if path.is_dir():
        aside = path.with_name(f"{_DRAFT}{os.getpid()}.removed.{path.name}")
        path.rename(aside)
        shutil.rmtree(aside)


def is_draft(path: Path) -> bool:
    """Whether a name is one of those that unfinished writes go under."""
    return path.name.startswith(_DRAFT)


def clear_drafts(folder: Path) -> None:
    """Remove what killed processes have left half written below a folder; what others are writing stays."""
    for path in sorted(folder.rglob(f"{_DRAFT}*")):
        owner = path.name.removeprefix(_DRAFT).partition(".")[0]
        if owner.isdigit() and not _lives(int(owner)):
            _discard(path)


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


def read_npz(path: Path, label: str) -> dict[str, AnyArray]:
    """Named arrays from a file; no pickled objects.

    Raises:
        ValueError: one line that begins with `label`.
    """
    try:
        return read_arrays(path)
    except ValueError as error:
        raise ValueError(f"{label}: {error}") from None


def slug(name: str) -> str:
    """A name as a file may bear it; distinct names of one folder are told apart by the caller."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name).lstrip(".")


def sha256(*parts: bytes) -> str:
    """Checksum of some bytes, in hexadecimal digits."""
    return hashlib.sha256(b"".join(parts)).hexdigest()


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an error of a library that writes by itself, such as a full disk's, name the file or folder."""
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(error.errno, _NOT_WRITTEN + (error.strerror or str(error)), str(path)) from None


@contextlib.contextmanager
def _draft_for(path: Path) -> Iterator[Path]:
    """A name to write under, gone at the end; an error in writing is one of `path`."""
    draft = path.with_name(f"{_DRAFT}{os.getpid()}.{path.name}")
    _discard(draft)
    try:
        yield draft
    except OSError as error:
        # A folder's file has said it already.
        reason = (error.strerror or str(error)).removeprefix(_NOT_WRITTEN)
        raise OSError(error.errno, _NOT_WRITTEN + reason, str(path)) from None
    finally:
        _discard(draft)


def _discard(path: Path) -> None:
    """Remove a draft, file or folder; what cannot be removed is left to `clear_drafts`."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    elif os.path.lexists(path):
        with contextlib.suppress(OSError):
            path.unlink()


def _sync(file: Path) -> None:
    """Wait until a file is on the disk."""
    # Windows wants a descriptor that may write.
    descriptor = os.open(file, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where folders can be waited for."""
    with contextlib.suppress(OSError):
        _sync(folder)


def _lives(process: int) -> bool:
    """Whether a process, other than this one, is there; our own number was a dead one's before."""
    if process == os.getpid():
        return False
    if os.name != "posix":
        return True  # nobody can be asked without being harmed
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
