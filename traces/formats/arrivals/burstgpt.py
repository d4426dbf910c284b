"""BurstGPT: requests to ChatGPT and GPT-4 at a university over months (github.com/HPMLL/BurstGPT)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...records import RequestTrace
from ..parsing import brief, header_cells, read_blocks
from .counting import MinuteCounter
from .tokens import count_tokens

_COLUMNS = ("Timestamp", "Model", "Request tokens", "Response tokens", "Log Type")
_MOST_S = 1100 * 86400.0


def recognises(head: str) -> bool:
    """Whether the header has the columns of the release; later ones add `Session ID` and `Elapsed time`."""
    return {name.lower() for name in _COLUMNS} <= set(header_cells(head, *_COLUMNS))


def read(path: str | Path) -> RequestTrace:
    """Read `Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type`.

    Timestamps are seconds since midnight, local time, of the first day, whose date is not told. A source is a
    model with the way it was asked. Requests whose answer has 0 tokens failed; they were asked, and count.
    The files of the release follow each other and may be given together.

    Raises:
        ValueError: with path and line number.
    """
    counter = MinuteCounter(path, "burstgpt")
    for block in read_blocks(path, _COLUMNS):
        times_s = block.numbers("Timestamp", ".")
        odd = (times_s < 0) | (times_s > _MOST_S)
        if odd.any():
            row = int(np.argmax(odd))
            said = brief(block.cells("Timestamp").iloc[row])
            raise ValueError(
                f"{path}:{block.lines[row]}: Timestamp is {said}, expected seconds since the first midnight"
            )
        sources = block.cells("Model").str.cat(block.cells("Log Type"), sep=", ").rename("Model, Log Type")
        counter.add(times_s, sources, block.lines)
        count_tokens(counter, block, "Request tokens", "Response tokens")
    return counter.trace("day", "seconds since the first midnight")
