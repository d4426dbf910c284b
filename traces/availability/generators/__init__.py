"""Generated availability: phones, volunteers, spot nodes, patterns of the literature."""

from __future__ import annotations

from .patterns import PATTERNS, chain_states, data_correlated_means
from .phones import PhoneAvailability
from .renewal import Clock, Law
from .renewal_kernels import interpolated
from .renewal_models import RenewalAvailability
from .spot import SpotAvailability
from .volunteers import VolunteerAvailability

__all__ = [
    "PATTERNS",
    "Clock",
    "Law",
    "PhoneAvailability",
    "RenewalAvailability",
    "SpotAvailability",
    "VolunteerAvailability",
    "chain_states",
    "data_correlated_means",
    "interpolated",
]
