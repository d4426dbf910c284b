"""Offline data sets: episodes of a scheduler as an agent would have met them, in Minari's form."""

from __future__ import annotations

from .episodes import RecordedEpisode, record_episodes
from .minari_files import check_place, is_dataset, read_dataset, seeds_of, write_dataset
from .recording import RecordOptions, RecordSummary, record

__all__ = [
    "RecordOptions",
    "RecordSummary",
    "RecordedEpisode",
    "check_place",
    "is_dataset",
    "read_dataset",
    "record",
    "record_episodes",
    "seeds_of",
    "write_dataset",
]
