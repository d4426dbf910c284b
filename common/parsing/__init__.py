"""What people write: text files and delimited tables of providers and spreadsheets, names with settings.

Errors are of one line.
"""

from __future__ import annotations

from .calls import parse_call, split_calls
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
    "parse_call",
    "plain_number",
    "read_blocks",
    "read_bytes",
    "read_head",
    "read_json",
    "read_pieces",
    "read_table",
    "read_text",
    "split_calls",
    "utc_times",
]
