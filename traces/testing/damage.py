"""Damaged copies of files, and what readers say against them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Content with a few bytes overwritten, inserted or deleted, or cut off."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        at, extra = int(rng.integers(len(data) + 1)), rng.bytes(int(rng.integers(1, 6)))
        action = int(rng.integers(4))
        if action == 0:
            data[at : at + len(extra)] = extra
        elif action == 1:
            data[at:at] = extra
        elif action == 2:
            del data[at : at + len(extra)]
        else:
            del data[at:]
    return bytes(data)


def refusal(read: Callable[..., object], *args: object) -> str | None:
    """What a reader says against its arguments; None if it accepts them.

    Raises:
        AssertionError: it failed otherwise than with a ValueError of one line of fewer than 1500 printable
            characters.
    """
    caught: Exception | None = None
    try:
        read(*args)
    except Exception as error:
        caught = error
    if caught is None:
        return None
    text = str(caught)
    plain = type(caught) is ValueError
    assert plain, f"{type(caught).__name__}, expected a ValueError of one line: {text[:200]!r}"
    short = "\n" not in text and len(text) < 1500
    assert short, f"a ValueError of several lines, expected one: {text[:200]!r}"
    plain = not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in text)
    assert plain, f"control characters in a message: {text[:200]!r}"
    return text
