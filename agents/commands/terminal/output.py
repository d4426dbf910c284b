"""Standard output and error of a command: in any encoding, to readers that may have seen enough."""

from __future__ import annotations

import codecs
import io
import os
import select
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

READER_GONE = 141
"""Exit code of whoever is ended by SIGPIPE, as a shell tells it."""

_SIMILAR_LETTERS = "frugalfl.similar"
_BARS = "▁▂▃▄▅▆▇█"
_SIMILAR = {
    **{bar: str(height) for height, bar in enumerate(_BARS, 1)},
    **dict.fromkeys("–—−─━═‐‑", "-"),
    **dict.fromkeys("│┃║", "|"),
    **dict.fromkeys("•·", "*"),
    **dict.fromkeys("‘’", "'"),
    **dict.fromkeys("“”", '"'),
    "×": "x",
    "±": "+-",
    "→": "->",
    "≤": "<=",
    "≥": ">=",
}


def with_output(command: Callable[[], int]) -> int:
    """Run a command whose words fit any encoding, and which ends quietly once nobody reads them.

    Args:
        command: what to run; returns its exit code.

    Returns:
        Its exit code, or `READER_GONE` if what reads its output went away, as `head` does.
    """
    with _similar_letters():
        try:
            code = command()
            for stream in _streams():
                stream.flush()
        except (BrokenPipeError, SystemExit) as error:
            if not _nobody_reads(error):
                raise
            _discard_the_rest()
            return READER_GONE
        return code


@contextmanager
def _similar_letters() -> Iterator[None]:
    """Let letters that an encoding does not have be written as similar ones."""
    before = [(stream, stream.errors) for stream in _streams() if isinstance(stream, io.TextIOWrapper)]
    for stream, _ in before:
        stream.reconfigure(errors=_SIMILAR_LETTERS)
    try:
        yield
    finally:
        for stream, errors in before:
            if not stream.closed:
                stream.reconfigure(errors=errors)


def _similar(error: UnicodeError) -> tuple[str, int]:
    """What stands in for letters that cannot be encoded; an error handler of `codecs`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_in_ascii, error.object[error.start : error.end])), error.end


def _in_ascii(letter: str) -> str:
    if letter in _SIMILAR:
        return _SIMILAR[letter]
    if "\u2500" <= letter <= "\u257f":  # corners and crossings of boxes
        return "+"
    parts = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
    return parts or "?"


codecs.register_error(_SIMILAR_LETTERS, _similar)


def _streams() -> list[TextIO]:
    """Output and error, as far as there are any: a program without a terminal may have none."""
    return [stream for stream in (sys.stdout, sys.stderr) if stream is not None and not stream.closed]


def _nobody_reads(error: BaseException) -> bool:
    """Whether a pipe that broke was our output, and not one between processes."""
    if isinstance(error, SystemExit):  # what Rich makes of it
        return isinstance(error.__context__, BrokenPipeError)
    return any(map(_is_cut_off, _streams()))


def _is_cut_off(stream: TextIO) -> bool:
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        return False
    if not hasattr(select, "poll"):  # Windows, which cannot be asked
        return True
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))


def _discard_the_rest() -> None:
    """Let what is still to be written go nowhere: Python would complain of it when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in _streams():
        if _is_cut_off(stream):
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
