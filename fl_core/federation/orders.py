"""Orders of one round of training, and what the server learns from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ...common.arrays import AnyArray, Bools, Floats, Floats32, Ints, Ints32


@dataclass(frozen=True)
class TrainingOrders:
    """What E federations of N clients are to train in one round.

    Whoever has no steps is not trained at all, so an update that was lost cannot reach a model. A late update
    is trained on the model as it was when the update was started.
    """

    local_steps: AnyArray  # int [E, N] steps of the updates that arrived; 0 for everyone else
    weights: AnyArray | None = (
        None  # [E, N] the plan's own coefficients, used as they are; None = aggregator's
    )
    round_index: AnyArray | None = (
        None  # int [E] names minibatches and rate, less the staleness; or [E, N]; None = 0
    )
    rates: AnyArray | None = None  # [E, N] participation rates so far, for aggregators that need them
    staleness: AnyArray | None = None  # int [E, N] changes of the model since the start; None = all fresh
    server_step: AnyArray | None = None  # [E] factors on the server's learning rate; None = 1 everywhere
    upload_bits: AnyArray | None = (
        None  # int [E, N] bits of a coordinate on its way; 0, or None, are the compression's own
    )
    closes: AnyArray | None = (
        None  # bool [E] whose round closes, arrivals or none; None = where there are some
    )

    def checked_steps(self, shape: tuple[int, ...]) -> AnyArray:
        """The local steps as an array of this shape.

        Raises:
            ValueError: if they are not integers, or of another shape.
        """
        steps: AnyArray = np.asarray(self.local_steps)
        if steps.shape != shape or steps.dtype.kind not in "iu":
            raise ValueError(f"local_steps: {steps.dtype} {steps.shape}, expected integers {shape}")
        return steps

    def checked_server_step(self, num_envs: int) -> Floats | None:
        """The factors on the server's learning rate, if there are any.

        Raises:
            ValueError: if they are not one positive number for each environment.
        """
        if self.server_step is None:
            return None
        factors = np.asarray(self.server_step, dtype=np.float64)
        if factors.shape != (num_envs,) or not (np.isfinite(factors) & (factors > 0)).all():
            raise ValueError(f"server_step: {factors.tolist()}, expected {num_envs} positive factors")
        return factors

    def checked_bits(self, shape: tuple[int, ...]) -> Ints | None:
        """Bits of the uploads' coordinates, if they are said.

        Raises:
            ValueError: if they are not one number for each client.
        """
        if self.upload_bits is None:
            return None
        bits = np.asarray(self.upload_bits)
        if bits.shape != shape or bits.dtype.kind not in "iu":
            raise ValueError(f"upload_bits: {bits.dtype} {bits.shape}, expected integers {shape}")
        return bits.astype(np.int64)

    def checked_closes(self, num_envs: int) -> Bools | None:
        """Whose round of training closes, if it is said.

        Raises:
            ValueError: if it is not one truth value for each environment.
        """
        if self.closes is None:
            return None
        closes: Bools = np.asarray(self.closes)
        if closes.shape != (num_envs,) or closes.dtype != np.bool_:
            raise ValueError(f"closes: {closes.dtype} {closes.shape}, expected bool ({num_envs},)")
        return closes

    def checked_index(self, shape: tuple[int, ...]) -> Ints:
        """The round's index, of each environment or of each client.

        Raises:
            ValueError: if the shape is neither.
        """
        index = np.zeros(shape[0]) if self.round_index is None else np.asarray(self.round_index)
        if index.shape not in (shape[:1], shape):
            raise ValueError(f"round_index: shape {index.shape}, expected {shape[:1]} or {shape}")
        return index.astype(np.int64)

    def closing_index(self, shape: tuple[int, ...]) -> Ints:
        """`[E]`, index of the round that closes: the latest one named."""
        return np.asarray(self.checked_index(shape).reshape(shape[0], -1).max(axis=1))


@dataclass(frozen=True)
class TrainResult:
    """What the server learns from one round, per environment and client."""

    reported_loss: Floats32  # [E, N] mean training loss over the local steps; nan where not trained
    update_norm: Floats32  # [E, N] length of the client's update; nan where not trained
    trained: Bools  # [E, N]
    diverged: Bools  # [E] the round gave no finite model; the model was left as it was
    diverged_client: Ints32  # [E] first client whose update was not finite, -1 if none


@dataclass(frozen=True)
class Messages:
    """What was said in one round, for whoever listens: J updates, and the models that everybody sees."""

    env: Ints  # [J]
    client: Ints  # [J]
    start: AnyArray  # [J, P] the model that the client was sent
    delta: AnyArray  # [J, P] its answer as it arrived: compressed on the way, or a lie
    before: AnyArray  # [E, P] the servers' models before the round closed
    after: AnyArray  # [E, P] and after; the difference is all there is to see where only sums are visible


class Listener(Protocol):
    """Somebody who listens to the rounds of a core; changes nothing."""

    def hear(self, messages: Messages) -> None:
        """Take note of one round."""
