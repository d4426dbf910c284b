"""Text, tables, JSON lines and safe pickles, as trace files have them."""

from __future__ import annotations

from ....common.parsing import (
    MISSING,
    Table,
    brief,
    check_time,
    decode,
    find_column,
    header_cells,
    local_times,
    numbers,
    plain_number,
    read_blocks,
    read_bytes,
    read_head,
    read_json,
    read_pieces,
    read_table,
    read_text,
    utc_times,
)
from .json_lines import line_of, lines_of, lines_within
from .pickles import is_pickle, load_plain

__all__ = [
    "MISSING",
    "Table",
    "brief",
    "check_time",
    "decode",
    "find_column",
    "header_cells",
    "is_pickle",
    "line_of",
    "lines_of",
    "lines_within",
    "load_plain",
    "local_times",
    "numbers",
    "plain_number",
    "read_blocks",
    "read_bytes",
    "read_head",
    "read_json",
    "read_pieces",
    "read_table",
    "read_text",
    "utc_times",
]
