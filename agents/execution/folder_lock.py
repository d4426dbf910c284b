"""Output folders kept to one process: a lock that the kernel drops with its process, however that ends."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shlex
import socket
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

from ...common.files import is_draft

if sys.platform != "win32":
    import fcntl

_LOCK = ".lock"
_POLL_S = 0.05
_HAS_NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.EINVAL, errno.ENOLCK)


@contextlib.contextmanager
def hold_folder(folder: Path, field: str = "out", patience_s: float = 0.0) -> Iterator[None]:
    """Keep a folder to this process for as long as the context lasts; the folder is made if it is not there.

    Where files cannot be locked (Windows, some network file systems) a warning says that nothing is held.

    Args:
        folder: what is written to.
        field: what errors call it.
        patience_s: how long to wait for another process.

    Raises:
        ValueError: one line that says who holds the folder, or that it is none.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{field}: {folder} is a file, expected a folder")
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    until = time.monotonic() + patience_s
    while (descriptor := _take(folder, field, time.monotonic() >= until)) == _BUSY:
        time.sleep(_POLL_S)
    try:
        yield
    finally:
        if descriptor is not None:
            with contextlib.suppress(OSError):
                (folder / _LOCK).unlink()
            os.close(descriptor)
        with contextlib.suppress(OSError):  # one with something in it stays
            for place in made:
                place.rmdir()


def is_empty(folder: Path) -> bool:
    """Whether nothing but a lock and drafts lies in a folder."""
    return all(path.name == _LOCK or is_draft(path) for path in folder.iterdir())


def lock(descriptor: int, wait: bool = False) -> bool:
    """Lock an open file for this process; whether that can be done there.

    Raises:
        BlockingIOError: another process has it, and nobody was to wait.
    """
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno not in _HAS_NO_LOCKS:
            raise
        return False
    return True


_BUSY = -1


def _take(folder: Path, field: str, last: bool) -> int | None:
    """Descriptor of the locked file; `_BUSY` if another process has it, None where nothing can be locked."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _LOCK
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        locked = lock(descriptor)
    except BlockingIOError:
        holder = path.read_text(encoding="utf-8", errors="replace")[:300]
        os.close(descriptor)
        if not last:
            return _BUSY
        who = "".join(letter for letter in holder if letter.isprintable()) or "another process"
        raise ValueError(
            f"{field}: {folder} is in use by {who}; wait until it ends, or choose another folder"
        ) from None
    if not locked:
        os.close(descriptor)
        path.unlink(missing_ok=True)
        line = f"{field}: {folder}: files cannot be locked there; let only one command write to it at a time"
        warnings.warn(line, RuntimeWarning, stacklevel=4)
        return None
    if not _is_there(path, descriptor):
        os.close(descriptor)
        return _BUSY
    with contextlib.suppress(OSError):  # a full disk holds no names, and locks all the same
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()} ({_command()})\n".encode())
    return descriptor


def _is_there(path: Path, descriptor: int) -> bool:
    """Whether the open file still has its name: one that its holder has removed locks nobody out."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _command() -> str:
    """What this process was started as, without its options: they may hold secrets, such as a token."""
    words = itertools.takewhile(lambda word: not word.startswith("-"), sys.argv[1:2])
    return shlex.join([Path(sys.argv[0]).name, *words])[:200] if sys.argv else "python"
