"""Chance that a node will be connected, by the sessions and absences seen so far."""

from __future__ import annotations

import numpy as np

from ....common.arrays import Bools, Floats
from ....common.units import SECONDS_PER_HOUR

_PRIOR_S = 4 * SECONDS_PER_HOUR
"""What a session and an absence are taken to last before any was seen."""


def presence(
    leavings: Floats, returns: Floats, here_s: Floats, away_s: Floats, connected: Bools, leads_s: Floats
) -> Floats:
    """Chance `[N, L]` to be connected at each lead.

    Each client is taken for a process with two states, whose rates are its departures per time connected
    and its returns per time away, both with one session of four hours assumed before any was seen.

    Args:
        leavings: `[N]`, departures seen.
        returns: `[N]`, returns seen.
        here_s: `[N]`, seconds connected.
        away_s: `[N]`, seconds away.
        connected: `[N]`, who is connected now.
        leads_s: `[L]`, how far ahead.
    """
    leaving = (leavings + 1.0) / (here_s + _PRIOR_S)
    returning = (returns + 1.0) / (away_s + _PRIOR_S)
    total = leaving + returning
    share = (returning / total)[:, None]
    now = connected.astype(np.float64)[:, None]
    return np.asarray(share + (now - share) * np.exp(-total[:, None] * leads_s))
