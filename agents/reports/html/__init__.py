"""The self-contained HTML page of an evaluation."""

from __future__ import annotations

from .data import page_data
from .page import write_html

__all__ = ["page_data", "write_html"]
