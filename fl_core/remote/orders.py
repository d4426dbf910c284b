"""What a server orders of a node, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...common.arrays import Floats32, Ints32


@dataclass(frozen=True)
class TrainOrder:
    """What one client is asked to do in one round.

    Attributes:
        client: index of the client.
        round_index: index of the round; names the minibatches.
        local_steps: SGD steps to make.
        seed: the federation's stream seed of minibatches.
        base: rows that the coordinator believes the client holds before this order.
        params: ``float32 [P]``, where to start.
        sent_x: ``float32 [S, d]``, samples that come along.
        sent_y: ``int32 [S]``, their labels.
        probe_samples: where there are no local steps, samples on which to report the loss at ``params``.
        correction: ``float32 [P]`` added to every gradient (control variates), or None.
    """

    client: int
    round_index: int
    local_steps: int
    seed: int
    base: int
    params: Floats32
    sent_x: Floats32
    sent_y: Ints32
    probe_samples: int = 0
    correction: Floats32 | None = None


@dataclass(frozen=True)
class LocalUpdate:
    """What came back from one client.

    Attributes:
        client: index of the client.
        round_index: the round it was ordered in.
        delta: ``float32 [P]``, parameters after the local steps minus the start; empty for a probe.
        loss: mean minibatch loss over the local steps, or the answer to a probe; nan without samples.
        held: rows the client holds now; its word counts, see `LocalNode`.
        compute_s: seconds it really computed.
    """

    client: int
    round_index: int
    delta: Floats32
    loss: float
    held: int
    compute_s: float


@dataclass(frozen=True)
class Storage:
    """Samples that a node was sent and kept: ``x float32 [S, d]``, ``y int32 [S]``."""

    x: Floats32
    y: Ints32

    @staticmethod
    def empty(num_features: int) -> Storage:
        """Nothing was sent yet."""
        return Storage(np.zeros((0, num_features), np.float32), np.zeros(0, np.int32))

    def first(self, count: int) -> Storage:
        """The first samples that were sent."""
        return Storage(self.x[:count], self.y[:count])

    def plus(self, x: Floats32, y: Ints32) -> Storage:
        """With further samples behind them."""
        return Storage(np.concatenate([self.x, x]), np.concatenate([self.y, y]))
