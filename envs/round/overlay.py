"""Decentralised rounds: participants exchange models with each other over an overlay (Marfoq et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...common.arrays import Bools, Floats
from ...common.units import JOULES_PER_KWH
from ...traces.carbon import CarbonBatch
from ..episode import Population
from .billing import Bill
from .topology import BUILDERS, Network
from .work import Progress, Work


@dataclass(frozen=True)
class Overlays:
    """The overlays of one step; all `[E, N]`."""

    joined: Bools  # who is part of one
    cycle_s: Floats  # its cycle time
    compute_s: Floats  # each participant's own work in it
    down_bytes: Floats  # to each one: from in-neighbours, samples, set-up, the model if it lacks it
    up_bytes: Floats  # to its out-neighbours
    sample_bytes: Floats  # the part of `down_bytes` that is training data

    def bill(
        self, bill: Bill, population: Population, carbon: CarbonBatch, time_s: Floats, progress: Progress
    ) -> Bill:
        """The bill with those who joined charged evenly over the cycle: work and exchange overlap in it."""
        share = np.where(self.joined, progress.stop_s / np.where(self.joined, self.cycle_s, 1.0), 0.0)
        moved = share * (self.down_bytes + self.up_bytes)
        compute_s = share * self.compute_s
        energy_j = moved * population.network_j_per_byte + compute_s * population.compute_watts
        start_s = time_s[:, None] + np.zeros_like(share)
        integral = carbon.integral(population.zone, start_s, start_s + progress.stop_s)
        watts = np.divide(energy_j, progress.stop_s, out=np.zeros_like(share), where=progress.stop_s > 0)
        own = Bill(
            down_bytes=share * self.down_bytes,
            up_bytes=share * self.up_bytes,
            sample_bytes=share * self.sample_bytes,
            compute_s=compute_s,
            energy_j=energy_j,
            emissions_g=watts * integral / JOULES_PER_KWH,
        )
        return Bill(
            **{name: np.where(self.joined, getattr(own, name), values) for name, values in vars(bill).items()}
        )


def join(
    kind: str,
    work: Work,
    population: Population,
    has_model: Bools,
    sizes: tuple[float, float],
) -> tuple[Work, Overlays | None]:
    """Let the participants of each round form an overlay.

    Args:
        kind: which, see `envs.round.topology.BUILDERS`.
        work: the orders, with the coordinator in the middle.
        population: the clients' devices, and the bytes of a sample.
        has_model: bool `[E, N]`, who has the present model and need not fetch it from the coordinator first.
        sizes: bytes of the model from the coordinator, and of the model between neighbours.

    Returns:
        The orders with the seconds of the overlay: all participants of a round work and exchange for its
        cycle time. And the overlays; None if no round has two participants.
    """
    rows = np.flatnonzero(work.invited.sum(axis=1) > 1)
    if rows.size == 0:
        return work, None
    model_bytes, neighbour_bytes = sizes
    joined = work.invited & (work.invited.sum(axis=1) > 1)[:, None]
    samples = np.where(joined, work.sent * population.sample_bytes[:, None], 0.0)
    setup_bytes = work.lead_bytes - model_bytes  # of those whose session has just begun
    fetched = np.where(joined, setup_bytes + np.where(has_model, 0.0, model_bytes), 0.0)
    prepare_s = (samples + fetched) / population.down_bytes_per_s
    cycle_s, into, out = (np.zeros(joined.shape) for _ in range(3))
    for env in rows.tolist():
        who = np.flatnonzero(joined[env])
        network = Network(
            compute_s=(prepare_s + work.compute_s)[env, who],
            up_bytes_per_s=population.up_bytes_per_s[env, who],
            down_bytes_per_s=population.down_bytes_per_s[env, who],
            model_bytes=neighbour_bytes,
        )
        arcs = BUILDERS[kind](network)
        cycle_s[env, who] = network.cycle_time_s(arcs)
        into[env, who], out[env, who] = arcs.sum(axis=0), arcs.sum(axis=1)
    overlays = Overlays(
        joined=joined,
        cycle_s=cycle_s,
        compute_s=np.where(joined, work.compute_s, 0.0),
        down_bytes=samples + fetched + into * neighbour_bytes,
        up_bytes=out * neighbour_bytes,
        sample_bytes=samples,
    )
    timed = replace(
        work,
        down_s=np.where(joined, prepare_s, work.down_s),
        compute_s=np.where(joined, cycle_s - prepare_s, work.compute_s),
        up_s=np.where(joined, 0.0, work.up_s),
    )
    return timed, overlays
