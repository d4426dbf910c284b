"""An evaluation as one self-contained HTML page with an explorable episode."""

from .page import write_html

__all__ = ["write_html"]
