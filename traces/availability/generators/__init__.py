"""Generated availability: phones, volunteers, spot nodes, patterns of the literature."""

from __future__ import annotations

from .base import GENERATORS, DrawnShare, Pattern
from .by_zone import ByZone
from .patterns import chain_states, data_correlated_means
from .phones import PhoneAvailability
from .renewal import Clock, Law
from .renewal_models import RenewalAvailability
from .spot import SpotAvailability
from .volunteers import VolunteerAvailability

__all__ = [
    "GENERATORS",
    "ByZone",
    "Clock",
    "DrawnShare",
    "Law",
    "Pattern",
    "PhoneAvailability",
    "RenewalAvailability",
    "SpotAvailability",
    "VolunteerAvailability",
    "chain_states",
    "data_correlated_means",
]
