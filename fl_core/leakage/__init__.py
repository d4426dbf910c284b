"""What messages tell of the rows that clients trained on."""

from __future__ import annotations

from .exposure import Exposure
from .listening import MembershipListener, RowScorer, Victim
from .membership import chance_interval, matched_rows, membership_auc, membership_aucs

__all__ = [
    "Exposure",
    "MembershipListener",
    "RowScorer",
    "Victim",
    "chance_interval",
    "matched_rows",
    "membership_auc",
    "membership_aucs",
]
