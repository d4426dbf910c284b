"""FedCS: as many clients as fit into a deadline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Bools, Floats, Ints32
from ....envs.contract import Situation
from ..base import Rule, knob, top_m


@dataclass(kw_only=True)
class FedCs(Rule):
    """FedCS: adds the client that lengthens the round least, up to a deadline (Nishio & Yonetani 2019).

    Paper: Nishio & Yonetani, "Client Selection for Federated Learning with Heterogeneous Resources in Mobile
    Edge", IEEE ICC 2019. The model goes to the chosen S in one broadcast at the pace of the slowest of S
    (T_S); all compute at once; uploads follow one after the other. With Theta the time of the last upload's
    end after the broadcast, k adds (T_S+k - T_S) + t_UL_k + max(0, t_UD_k - Theta); the smallest is added
    while T_S + Theta + overhead stays below the deadline. Samples, and a set-up that a client lacks, count in
    its t_UD. The world's uploads run side by side, so its rounds are shorter than the deadline; the rule is
    as printed.
    If not even one client fits, the one that needs least time trains alone, or the run would stand still.
    Needs: seconds per step, bandwidths.
    Aggregation: the world's aggregator (the paper's FedAvg); biased towards fast clients by design.
    Defaults: deadline 180 s, everyone polled, at most 100 clients, 10 local steps.
    """

    name: ClassVar[str] = "fedcs"

    participants: int = knob(100, "clients per round, at most", low=1, high=100, log=True)
    round_deadline_s: float = knob(
        180.0, "seconds a round may last by the paper's timeline", low=30.0, high=20000.0, log=True
    )
    polled: float = knob(1.0, "share of the available clients asked for their resources", low=0.1, high=1.0)

    def choose(self, situation: Situation, allowed: Bools, wanted: int, steps: Ints32) -> Bools:
        """The greedy set, from a random share of the candidates."""
        count = np.ceil(self.polled * allowed.sum(axis=1) - 1e-9)
        asked = top_m(self.uniforms(), count, allowed) if self.polled < 1 else allowed
        transfer = self.transfers(situation)
        upload_s = situation.terms.upload_bytes[:, None] / situation.clients.up_bytes_per_s
        update_s = (
            steps * situation.clients.step_s
            + (situation.clients.setup_bytes + transfer * situation.terms.sample_bytes[:, None])
            / situation.clients.down_bytes_per_s
        )
        broadcast_s = situation.terms.model_bytes[:, None] / situation.clients.down_bytes_per_s
        limit_s = self.round_deadline_s - situation.terms.overhead_s
        return greedy_set(broadcast_s, update_s, upload_s, asked, limit_s, wanted)


def greedy_set(
    broadcast_s: Floats,
    update_s: Floats,
    upload_s: Floats,
    asked: Bools,
    limit_s: Floats | float,
    most: int,
) -> Bools:
    """FedCS' algorithm 3 for E rows: bool `[E, N]`, at least one client where any is asked.

    Args:
        broadcast_s: `[E, N]`, seconds the model needs to each client; a broadcast takes the slowest's.
        update_s: `[E, N]`, seconds of local work, t_UD.
        upload_s: `[E, N]`, t_UL; uploads do not overlap.
        asked: bool `[E, N]`, the candidates.
        limit_s: `[E]` or one for all, end of the round at the latest.
        most: clients at most.
    """
    chosen = np.zeros(asked.shape, dtype=bool)
    rows = np.arange(asked.shape[0])
    slowest_s, theta_s = np.zeros(rows.size), np.zeros(rows.size)
    growing = asked.any(axis=1)
    for size in range(min(most, asked.shape[1])):
        more_s = np.maximum(broadcast_s - slowest_s[:, None], 0.0) + upload_s
        more_s = more_s + np.maximum(update_s - theta_s[:, None], 0.0)
        more_s = np.where(asked & ~chosen, more_s, np.inf)
        best = more_s.argmin(axis=1)
        # What the smallest increment cannot keep within the limit, no other can.
        fits = slowest_s + theta_s + more_s[rows, best] < limit_s
        growing = growing & np.isfinite(more_s[rows, best]) & (fits | (size == 0))
        if not growing.any():
            break
        chosen[rows[growing], best[growing]] = True
        later_s = theta_s + upload_s[rows, best] + np.maximum(update_s[rows, best] - theta_s, 0.0)
        theta_s = np.where(growing, later_s, theta_s)
        slowest_s = np.where(growing, np.maximum(slowest_s, broadcast_s[rows, best]), slowest_s)
    return chosen
