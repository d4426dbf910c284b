"""Text files and delimited tables as providers and spreadsheets write them, with errors of one line."""

from __future__ import annotations

from .columns import MISSING, check_time, find_column, local_times, numbers, plain_number, utc_times
from .header import header_cells
from .tables import Table, read_blocks, read_table
from .text import brief, decode, read_bytes, read_head, read_json, read_pieces, read_text

__all__ = [
    "MISSING",
    "Table",
    "brief",
    "check_time",
    "decode",
    "find_column",
    "header_cells",
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
