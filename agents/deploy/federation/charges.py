"""Joules and grams of a round on real nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ....common.arrays import Floats
from ....common.units import JOULES_PER_KWH
from ....traces.carbon import CarbonBatch
from .live_round import Late, LiveRound
from .roster import Roster


@dataclass(frozen=True)
class Charges:
    """What one step cost, each `[N]`."""

    energy_j: Floats  # joules of compute and network
    emissions_g: Floats  # CO2e of that energy, by each client's zone and hour
    wasted_j: Floats  # the part of `energy_j` spent on updates that did not enter the model
    up_bytes: Floats  # received from each client, late answers included


def charge(
    played: LiveRound,
    late: Sequence[Late],
    roster: Roster,
    carbon: CarbonBatch,
    began_s: float,
    now_s: float,
) -> Charges:
    """Charge a round, and the late answers that came in since the last one as waste.

    A client computed just before it stopped; its bytes moved all along. Late answers are charged at the
    present intensity.

    Args:
        played: the round.
        late: late answers.
        roster: watts, joules per byte and zones.
        carbon: of one environment.
        began_s: when the round began.
        now_s: when the charge is made.
    """
    moved_j = (played.down_bytes + played.up_bytes) * roster.network_j_per_byte
    used_j = moved_j + played.compute_s * roster.watts
    stop_s = began_s + played.stop_s
    zone = roster.zone[None]
    computing = carbon.integral(zone, (stop_s - played.compute_s)[None], stop_s[None])[0]
    around = carbon.integral(zone, np.full_like(stop_s, began_s)[None], stop_s[None])[0]
    mean = np.divide(around, played.stop_s, out=np.zeros_like(around), where=played.stop_s > 0)
    grams = (roster.watts * computing + moved_j * mean) / JOULES_PER_KWH
    late_j, up_bytes = np.zeros_like(used_j), played.up_bytes.copy()
    for answer in late:
        up_bytes[answer.client] += answer.up_bytes
        late_j[answer.client] += answer.compute_s * roster.watts[answer.client]
        late_j[answer.client] += answer.up_bytes * roster.network_j_per_byte[answer.client]
    intensity = carbon.now(np.array([now_s]))[0][roster.zone]
    return Charges(
        energy_j=used_j + late_j,
        emissions_g=grams + late_j / JOULES_PER_KWH * intensity,
        wasted_j=np.where(played.completed, 0.0, used_j) + late_j,
        up_bytes=up_bytes,
    )
