"""Azure's LLM inference traces: a row per request of one service, 2023, 2024 and (multimodal) 2025."""

from __future__ import annotations

from pathlib import Path

from ...records import RequestTrace
from ..parsing import header_cells, read_blocks
from .counting import MinuteCounter
from .tokens import count_tokens

_COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
_PREFIXES = ("AzureLLMInferenceTrace_", "AzureLMMInferenceTrace_")


def recognises(head: str) -> bool:
    """Whether the header is `TIMESTAMP[,NumImages],ContextTokens,GeneratedTokens`."""
    names = [name for name in header_cells(head, *_COLUMNS) if name != "numimages"]
    return names == [name.lower() for name in _COLUMNS]


def read(path: str | Path) -> RequestTrace:
    """Read `TIMESTAMP,ContextTokens,GeneratedTokens`; the one source is the service in the file's name.

    Times like `2023-11-16 18:15:46.6805900` (a tick is 100 ns) have no zone and count as UTC, which no page
    of github.com/Azure/AzurePublicDataset confirms. The page of 2023 says 11 November, its rows the 16th.

    Raises:
        ValueError: with path and line number.
    """
    counter = MinuteCounter(path, "azure-llm")
    service = Path(path).name.split(".")[0]
    for prefix in _PREFIXES:
        service = service.removeprefix(prefix)
    for block in read_blocks(path, _COLUMNS):
        counter.add(block.utc_times("TIMESTAMP"), service, block.lines)
        count_tokens(counter, block, "ContextTokens", "GeneratedTokens")
    return counter.trace("utc", "date with fractions of a second")
