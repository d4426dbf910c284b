"""The self-contained HTML page of an evaluation."""

from __future__ import annotations

from .data import page_data
from .page import write_html
from .sections import SECTIONS, Section

__all__ = ["SECTIONS", "Section", "page_data", "write_html"]
