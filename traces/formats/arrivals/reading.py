"""Reading request traces, by their content or by a named format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...records import RequestTrace, joined_requests
from ..base import Format, Formats
from . import azure_functions, azure_llm, burstgpt, mooncake, own_csv

ARRIVAL_FORMATS: Formats[RequestTrace] = Formats(
    "arrivals",
    Format("csv", own_csv.recognises, own_csv.read),
    Format("azure-llm", azure_llm.recognises, azure_llm.read),
    Format("burstgpt", burstgpt.recognises, burstgpt.read),
    Format("azure-functions-2019", azure_functions.recognises_2019, azure_functions.read_2019),
    Format("azure-functions-2021", azure_functions.recognises_2021, azure_functions.read_2021),
    Format("mooncake", mooncake.recognises, mooncake.read),
)
"""Formats of recorded requests; one of your own joins with `ARRIVAL_FORMATS.add(Format(...))`."""


def read_arrivals(paths: str | Path | Sequence[str | Path], format: str | None = None) -> RequestTrace:
    """The requests in a file, or in several that share a clock, as days or services that follow each other.

    Args:
        paths: the file or files, gzip or not.
        format: one of `ARRIVAL_FORMATS`; recognised by each file's content if missing.

    Raises:
        ValueError: with path and line number, if a file cannot be read by the rules of its format.
    """
    files = [paths] if isinstance(paths, str | Path) else list(paths)
    if not files:
        raise ValueError("arrivals: no file, expected at least one")
    return joined_requests(
        [ARRIVAL_FORMATS.find(format or sniff_arrivals(file)).read(file) for file in files]
    )


def sniff_arrivals(path: str | Path) -> str:
    """The name of the format that the file's first bytes show.

    Raises:
        ValueError: if they show none.
    """
    found = ARRIVAL_FORMATS.of_file(path)
    if found is None:
        known = ", ".join(ARRIVAL_FORMATS)
        raise ValueError(f"{path}: not a request trace that is known; name its format, one of {known}")
    return found.name
