"""Lines for people on a terminal: as they are, whatever is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def say(console: Console, line: str, style: str | None = None) -> None:
    """Write a line whole: brackets are no markup, numbers have no colour, margins break nothing."""
    console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)
