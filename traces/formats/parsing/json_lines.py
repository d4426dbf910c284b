"""Where an entry of a JSON document stands: the line that a refusal names."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ....common.arrays import Ints
from ....common.parsing import read_text

_BLANK = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


def line_of(path: str | Path, *steps: str | int) -> int:
    """The line on which an entry begins, counted from 1.

    The document has been read before; it is gone through once more only because something in it is wrong.

    Args:
        path: the file.
        steps: keys of objects and indices of lists that lead to the entry.

    Returns:
        The line of the last step that exists.
    """
    text = read_text(path)
    place = _skip(text, 0)
    for step in steps:
        found = _member(text, place, step) if isinstance(step, str) else _element(text, place, step)
        if found is None:
            break
        place = found
    return text.count("\n", 0, place) + 1


def lines_of(path: str | Path, count: int, *steps: str) -> Ints:
    """The lines on which the first `count` entries of a list begin, `[count]`.

    Args:
        path: the file.
        count: how many.
        steps: keys that lead to the list; those that the document lacks are passed over.
    """
    text = read_text(path)
    place = _skip(text, 0)
    for step in steps:
        place = _member(text, place, step) or place
    lines, line, at = np.zeros(count, dtype=np.int64), 1, 0
    for index, start in enumerate(_starts(text, place, count)):
        line, at = line + text.count("\n", at, start), start
        lines[index] = line
    return lines


def lines_within(path: str | Path, count: int) -> Ints:
    """The lines on which the entries of lists within a list begin, one after another, `[count]`.

    Args:
        path: a file with a list of lists.
        count: of entries, in all lists together.
    """
    text = read_text(path)
    lines, line, at, index = np.zeros(count, dtype=np.int64), 1, 0, 0
    for group in _starts(text, _skip(text, 0), count + text.count("[")):
        for start in _starts(text, group, count - index):
            line, at = line + text.count("\n", at, start), start
            lines[index] = line
            index += 1
    return lines


def _starts(text: str, place: int, count: int) -> Sequence[int]:
    """Where the first `count` elements of the list at `place` begin; the place itself if it is no list."""
    if text[place] != "[":
        return [place]
    starts: list[int] = []
    place = _skip(text, place + 1)
    while len(starts) < count and text[place] != "]":
        starts.append(place)
        place = _skip(text, _DECODER.raw_decode(text, place)[1])
        if text[place] == ",":
            place = _skip(text, place + 1)
    return starts


def _element(text: str, place: int, index: int) -> int | None:
    starts = _starts(text, place, index + 1)
    return starts[index] if index < len(starts) else None


def _member(text: str, place: int, key: str) -> int | None:
    """Where the value of a key of the object at `place` begins; the last one, which is what counts."""
    if text[place] != "{":
        return None
    found = None
    place = _skip(text, place + 1)
    while text[place] != "}":
        name, place = _DECODER.raw_decode(text, place)
        place = _skip(text, _skip(text, place) + 1)
        found = place if name == key else found
        place = _skip(text, _DECODER.raw_decode(text, place)[1])
        if text[place] == ",":
            place = _skip(text, place + 1)
    return found


def _skip(text: str, place: int) -> int:
    blank = _BLANK.match(text, place)
    return blank.end() if blank else place
