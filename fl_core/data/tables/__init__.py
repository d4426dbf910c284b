"""Tables: one's own, clinical ones with silos, a made-up one of their shape, and recorded streams."""

from __future__ import annotations

from .clinical import HeartDisease, TcgaBrca
from .files import TableFile
from .hospitals import SyntheticHospitals
from .stream_file import StreamFile

__all__ = ["HeartDisease", "StreamFile", "SyntheticHospitals", "TableFile", "TcgaBrca"]
