"""Tables with silos: one's own, clinical ones as published, and a made-up one of their shape."""

from __future__ import annotations

from .clinical import HeartDisease, TcgaBrca
from .files import TableFile
from .hospitals import SyntheticHospitals

__all__ = ["HeartDisease", "SyntheticHospitals", "TableFile", "TcgaBrca"]
