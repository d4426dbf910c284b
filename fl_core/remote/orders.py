"""What a server orders of a node, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...common.arrays import Floats32, Ints32


@dataclass(frozen=True)
class TrainOrder:
    """What one client is asked to do in one round."""

    client: int  # index of the client
    round_index: int  # index of the round; names the minibatches and the learning rate
    local_steps: int  # SGD steps to make
    seed: int  # the federation's stream seed of minibatches
    base: int  # rows that the coordinator believes the client holds before this order
    params: Floats32  # [P] where to start
    sent_x: Floats32  # [S, d] samples that come along
    sent_y: Ints32  # [S] their labels
    probe_samples: int = 0  # where there are no local steps, samples on which to report the loss at `params`
    correction: Floats32 | None = None  # [P] added to every gradient (control variates), or None


@dataclass(frozen=True)
class LocalUpdate:
    """What came back from one client."""

    client: int  # index of the client
    round_index: int  # the round it was ordered in
    delta: Floats32  # [P] parameters after the local steps minus the start; empty for a probe
    loss: float  # mean minibatch loss over the local steps, or the answer to a probe; nan without samples
    held: int  # rows the client holds now; its word counts, see `LocalNode`
    compute_s: float  # seconds it really computed


@dataclass(frozen=True)
class Storage:
    """Samples that a node was sent and kept: `x float32 [S, d]`, `y int32 [S]`."""

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
