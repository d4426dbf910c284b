"""Tokens that requests ask and get, and the requests that got none."""

from __future__ import annotations

import numpy as np

from ..parsing import Table, brief
from .counting import MinuteCounter


def count_tokens(counter: MinuteCounter, block: Table, asked: str, answered: str) -> None:
    """Add a block's tokens to those of the file; missing ones count as none.

    Args:
        counter: of the file.
        block: its rows.
        asked: the column of the questions' tokens.
        answered: that of the answers'.

    Raises:
        ValueError: at the first number below zero.
    """
    for place, name in enumerate((asked, answered)):
        values = block.numbers(name, ".")
        below = values < 0
        if below.any():
            row = int(np.argmax(below))
            said = brief(block.cells(name).iloc[row])
            raise ValueError(f"{block.path}:{block.lines[row]}: {name} is {said}, expected 0 or more")
        counter.tokens[place] += float(np.nansum(values))
    counter.failures += int((values == 0).sum())
