"""Compressed updates and the bytes they really take: top-k sparsification, 8-bit quantisation."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import Field

from ...common.arrays import AnyArray
from ...common.settings import Settings, parse_settings, split_spec, suggest
from .base import State

_VALUE_BYTES, _INDEX_BYTES = 4, 4


class Compression(ABC):
    """What happens to an update between the client and the server.

    Attributes:
        name: The name it is known by.
    """

    name = ""

    def __init__(self) -> None:
        self.memory: State = {}

    def bind(self, num_envs: int, num_clients: int, num_parameters: int, dtype: np.dtype[Any]) -> None:
        """Allocates memory, if any; called once by the core."""
        self.memory = {}

    def reset(self, env: int) -> None:
        """Forgets everything about one environment."""
        for table in self.memory.values():
            table[env] = 0

    @abstractmethod
    def upload_bytes(self, num_parameters: int) -> int:
        """Bytes of one update of P parameters on the wire."""

    @abstractmethod
    def send(self, env: AnyArray, client: AnyArray, delta: AnyArray) -> AnyArray:
        """What the server decodes from the updates ``delta [J, P]``."""


class TopK(Compression):
    """Sends the ``share`` of coordinates with the largest absolute values, each with its index.

    With error feedback a client adds what it could not send to its next update (Stich et al., "Sparsified SGD
    with Memory", NeurIPS 2018).

    Args:
        share: Share of the coordinates that is sent.
        error_feedback: Whether clients remember the rest; costs a table of one update per client.
    """

    name = "top-k"

    def __init__(self, share: float = 0.1, error_feedback: bool = False) -> None:
        super().__init__()
        self._share, self._feedback = share, error_feedback

    def bind(self, num_envs: int, num_clients: int, num_parameters: int, dtype: np.dtype[Any]) -> None:
        """See `Compression.bind`."""
        shape = (num_envs, num_clients, num_parameters)
        self.memory = {"unsent": np.zeros(shape, dtype)} if self._feedback else {}

    def _count(self, num_parameters: int) -> int:
        return max(1, math.ceil(self._share * num_parameters))

    def upload_bytes(self, num_parameters: int) -> int:
        """See `Compression.upload_bytes`."""
        return self._count(num_parameters) * (_VALUE_BYTES + _INDEX_BYTES)

    def send(self, env: AnyArray, client: AnyArray, delta: AnyArray) -> AnyArray:
        """See `Compression.send`."""
        if self._feedback:
            delta = delta + self.memory["unsent"][env, client]
        count = self._count(delta.shape[1])
        sent = np.zeros_like(delta)
        if count < delta.shape[1]:
            largest = np.argpartition(-np.abs(delta), count - 1, axis=1)[:, :count]
            np.put_along_axis(sent, largest, np.take_along_axis(delta, largest, axis=1), axis=1)
        else:
            sent[...] = delta
        if self._feedback:
            self.memory["unsent"][env, client] = delta - sent
        return sent


class EightBit(Compression):
    """Rounds coordinates to 255 levels between plus and minus the largest; one float gives the scale."""

    name = "8-bit"

    def upload_bytes(self, num_parameters: int) -> int:
        """See `Compression.upload_bytes`."""
        return num_parameters + _VALUE_BYTES

    def send(self, env: AnyArray, client: AnyArray, delta: AnyArray) -> AnyArray:
        """See `Compression.send`."""
        scale = np.abs(delta).max(axis=1, keepdims=True, initial=0) / delta.dtype.type(127)
        levels = np.rint(np.divide(delta, scale, out=np.zeros_like(delta), where=scale > 0)).astype(np.int8)
        return levels * scale


class _TopK(Settings):
    share: float = Field(default=0.1, gt=0, le=1)
    error_feedback: bool = False


class _EightBit(Settings):
    pass


_KINDS: dict[str, tuple[type[Any], type[Settings]]] = {"top-k": (TopK, _TopK), "8-bit": (EightBit, _EightBit)}


def make_compression(spec: str | Mapping[str, Any]) -> Compression:
    """Builds a compression by name or from a mapping with settings.

    Raises:
        ValueError: Unknown name (with a suggestion) or bad settings.
    """
    name, rest = split_spec(spec, "compression")
    if name not in _KINDS:
        raise ValueError(f"compression={name!r}: {suggest(name, _KINDS)}")
    factory, kind = _KINDS[name]
    built: Compression = factory(**parse_settings(kind, rest, f"compression {name!r}").model_dump())
    return built
