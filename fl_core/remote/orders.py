"""What a server orders of a node, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...common.arrays import Floats32, Ints32
from ..training import Moments


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
    moment_steps: int = 0  # steps that the moments have seen from which the node's optimiser is to go on


@dataclass(frozen=True)
class LocalUpdate:
    """What came back from one client."""

    client: int  # index of the client
    round_index: int  # the round it was ordered in
    delta: Floats32  # [P] parameters after the local steps minus the start; empty for a probe
    loss: float  # mean minibatch loss over the local steps, or the answer to a probe; nan without samples
    held: int  # rows the client holds now; its word counts, see `LocalNode`
    compute_s: float  # seconds it really computed
    moment_steps: int = 0  # steps that the node's moments have seen now; its word counts


@dataclass(frozen=True)
class Storage:
    """What a node keeps between orders: samples that it was sent, and what its optimiser remembers."""

    x: Floats32  # [S, d]
    y: Ints32  # [S]
    moments: tuple[Moments, ...] = ()  # before and after the last order, of one job each

    @staticmethod
    def empty(num_features: int) -> Storage:
        """Nothing was sent yet."""
        return Storage(np.zeros((0, num_features), np.float32), np.zeros(0, np.int32))

    def first(self, count: int) -> Storage:
        """The first samples that were sent."""
        return replace(self, x=self.x[:count], y=self.y[:count])

    def plus(self, x: Floats32, y: Ints32) -> Storage:
        """With further samples behind them."""
        return replace(self, x=np.concatenate([self.x, x]), y=np.concatenate([self.y, y]))
