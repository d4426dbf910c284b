"""What is known of recorded clients before an episode: the habits of others, and their own past."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...common.arrays import Floats
from ..records import AvailabilityTrace, flat_trace, hour_profile, mean_stays_h
from .climatology import ProfileShape


@dataclass(frozen=True)
class Population:
    """The habits of the users from whom a coordinator has learned.

    Attributes:
        shape: share of them available by hour of day.
        prior: Beta law of their means, by moments.
        relaxation_h: e-folding time of a deviation from the usual share.
    """

    shape: ProfileShape
    prior: tuple[float, float]
    relaxation_h: float


def population(trace: AvailabilityTrace) -> Population:
    """The habits of a trace's users; nothing in particular if it has none."""
    if trace.num_recordings == 0:
        return Population(ProfileShape(np.full(24, 0.5)), (1.0, 1.0), 1.0)
    profile, means = hour_profile(trace)
    average, spread = float(np.clip(means.mean(), 1e-3, 1 - 1e-3)), float(means.var())
    strength = float(np.clip(average * (1.0 - average) / max(spread, 1e-4) - 1.0, 0.5, 50.0))
    relaxation_h = float(np.clip(1.0 / np.sum(1.0 / np.array(mean_stays_h(trace))), 0.1, 24.0))
    prior = (average * strength, (1.0 - average) * strength)
    return Population(ProfileShape(profile), prior, relaxation_h)


def first_part(trace: AvailabilityTrace, share: float) -> AvailabilityTrace:
    """Every recording up to this share of its time."""
    return flat_trace(
        trace.users,
        trace.user,
        trace.begin_s,
        trace.begin_s + share * (trace.end_s - trace.begin_s),
        trace.session_recording,
        trace.session_start_s,
        trace.session_end_s,
        clock=trace.clock,
        utc_offset_h=trace.utc_offset_h,
        simultaneous=trace.simultaneous,
        group=trace.group,
        source=trace.source,
    )


def earlier(trace: AvailabilityTrace) -> tuple[Floats, Floats]:
    """Seconds available and seconds observed in each user's recordings that end before each recording."""
    length = np.bincount(
        trace.session_recording, trace.session_end_s - trace.session_start_s, minlength=trace.num_recordings
    )
    order = np.lexsort((trace.begin_s, trace.user))
    owner = trace.user[order]
    on_s, seen_s = np.zeros(owner.size), np.zeros(owner.size)
    for values, result in ((length[order], on_s), ((trace.end_s - trace.begin_s)[order], seen_s)):
        total = np.cumsum(values) - values
        first = np.concatenate([[True], owner[1:] != owner[:-1]])
        base = total[first][np.cumsum(first) - 1] if owner.size else total
        result[order] = total - base
    return on_s, seen_s
