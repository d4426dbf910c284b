"""What a server orders of a node, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...common.arrays import Floats32, Ints32
from ..aggregation import Compression, Parcel
from ..training import Moments
from .stream_orders import StreamCall


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
    upload_bits: int = 0  # of a coordinate of the update, where the compression takes them; 0 = its own
    unsent_round: int = -1  # whose unsent rest is to be added to the update; -1 = none
    compression: Compression | None = None  # of the answer; does not travel: the node has the scenario's
    stream: StreamCall | None = (
        None  # of a client that is asked things; without `params` it keeps its version
    )

    @property
    def answer(self) -> tuple[tuple[str, int], ...]:
        """Dtype and length of the arrays of its answer; of one without numbers for a probe."""
        size = self.params.size
        if not self.local_steps:
            return (("float32", 0),)
        if self.compression is None:
            return (("float32", size),)
        return self.compression.parcel(size, self.upload_bits)


@dataclass(frozen=True)
class LocalUpdate:
    """What came back from one client."""

    client: int  # index of the client
    round_index: int  # the round it was ordered in
    delta: Floats32  # [P] parameters after the local steps minus the start, as decoded; empty for a probe
    loss: float  # mean minibatch loss over the local steps, or the answer to a probe; nan without samples
    held: int  # rows the client holds now; its word counts, see `LocalNode`
    compute_s: float  # seconds it really computed
    moment_steps: int = 0  # steps that the node's moments have seen now; its word counts
    parcel: Parcel = ()  # the update as it travels, where it is compressed
    answered: int = 0  # requests whose labels became known since its last report, where it is asked things
    right: int = 0  # how many of those it had answered rightly


@dataclass(frozen=True)
class Unsent:
    """What was not sent of an update."""

    round_index: int  # of the update
    rest: Floats32  # [P]


@dataclass(frozen=True)
class Storage:
    """What a node keeps between orders: samples, what its optimiser remembers, and what it did not send."""

    x: Floats32  # [S, d]
    y: Ints32  # [S]
    moments: tuple[Moments, ...] = ()  # before and after the last order, of one job each
    unsent: tuple[Unsent, ...] = ()  # of the last order, and of the one before it that counted

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
