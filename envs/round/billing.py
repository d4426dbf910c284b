"""Costs of work: bytes, joules and grams CO2e of every client, integrated over its grid's trace."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...common.arrays import Floats
from ...common.units import JOULES_PER_KWH
from ...traces.carbon import CarbonBatch
from ..episode import Population
from .work import Progress


@dataclass(frozen=True)
class Bill:
    """One step's costs, all `[E, N]`."""

    down_bytes: Floats  # moved towards the client
    up_bytes: Floats  # moved away from it
    sample_bytes: Floats  # the part of `down_bytes` that was training data
    compute_s: Floats  # seconds computed
    energy_j: Floats  # joules of compute and network
    emissions_g: Floats  # grams CO2e of that energy, by zone and hour


def bill_phases(
    population: Population,
    carbon: CarbonBatch,
    time_s: Floats,
    progress: Progress,
    lead_bytes: Floats,
) -> Bill:
    """Download, compute, upload, one after the other, each at its own power.

    Args:
        population: the clients' devices.
        carbon: the grids.
        time_s: `[E]`, when the step began.
        progress: seconds of each phase.
        lead_bytes: `[E, N]`, part of each download that comes before the samples.
    """
    p, start_s = population, time_s[:, None]
    down_bytes = progress.down_s * p.down_bytes_per_s
    up_bytes = progress.up_s * p.up_bytes_per_s
    before_bytes = progress.down_before_s * p.down_bytes_per_s
    computing_s = start_s + progress.down_s
    uploading_s = computing_s + progress.compute_s
    down_j, up_j = down_bytes * p.network_j_per_byte, up_bytes * p.network_j_per_byte
    phases = (
        (start_s + np.zeros_like(down_j), progress.down_s, p.down_watts),
        (computing_s, progress.compute_s, p.compute_watts),
        (uploading_s, progress.up_s, p.up_watts),
    )
    grams = np.zeros_like(down_j)
    for begin_s, length_s, watts in phases:
        integral = carbon.integral(p.zone, begin_s, begin_s + length_s)
        grams += watts * integral / JOULES_PER_KWH
    return Bill(
        down_bytes=down_bytes,
        up_bytes=up_bytes,
        sample_bytes=_after(before_bytes + down_bytes, lead_bytes) - _after(before_bytes, lead_bytes),
        compute_s=progress.compute_s,
        energy_j=down_j + progress.compute_s * p.compute_watts + up_j,
        emissions_g=grams,
    )


def _after(moved_bytes: Floats, lead_bytes: Floats) -> Floats:
    """The part of a download `[E, N]` that comes after its first bytes."""
    return np.maximum(moved_bytes - lead_bytes, 0.0)
