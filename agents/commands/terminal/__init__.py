"""A command and who started it: its words in any encoding, its end by Ctrl-C, a signal or a closed pipe."""

from __future__ import annotations

from .output import READER_GONE, with_output
from .stopping import Stopped, say, stopping_signals, told

__all__ = ["READER_GONE", "Stopped", "say", "stopping_signals", "told", "with_output"]
