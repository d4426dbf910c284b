"""Devices by name or specification: classes, distributions, recorded fleets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from pydantic import field_validator

from ...common.arrays import Ints
from ...common.settings import Settings, Spec
from .classes import DEVICES, Devices, DeviceSource
from .files import read_devices

DeviceSpec: TypeAlias = str | Mapping[str, object] | DeviceSource


@DEVICES.register("file")
class FileDevices:
    """Devices of a base class with the capacities that a file holds in place of the drawn ones.

    Args:
        path: a file that `read_devices` knows.
        base: specification of what the file does not hold.
    """

    class Options(Settings):
        """Settings of `kind: file`."""

        path: str
        base: Spec = "phones"

        @field_validator("base")
        @classmethod
        def _known_base(cls, spec: Spec) -> Spec:
            check_devices(spec)
            return spec

    def __init__(self, path: str, base: Spec = "phones"):
        self._base = device_settings(base)
        self._table = read_devices(path)

    def draw(self, num_clients: int, rng: np.random.Generator) -> Devices:
        """The devices of `num_clients` clients."""
        return self._table.applied(self._base.draw(num_clients, rng), rng)


def sample_devices(
    spec: str | Mapping[str, object], num_clients: int, zone: Ints, rng: np.random.Generator
) -> Devices:
    """Draw the devices of an episode.

    Args:
        spec: the name of a class; a mapping of its settings with the name under `kind`; or `{"kind": "file",
            "path": ..., "base": <such a specification>}`, whose file replaces what it knows of the base.
        num_clients: N.
        zone: int `[N]`; no class depends on it so far.
        rng: the only source of chance.

    Raises:
        ValueError: one line naming the field, the value and what was expected.
    """
    return _source(json.dumps(spec, sort_keys=True, default=str)).draw(num_clients, rng)


def device_settings(spec: DeviceSpec) -> DeviceSource:
    """The source of devices that a specification describes; see `sample_devices`.

    Args:
        spec: a specification, a dotted name `package.module:Class`, or a source.

    Raises:
        ValueError: one line naming the field, the value and what was expected.
    """
    return DEVICES.make(spec)


def check_devices(spec: DeviceSpec) -> None:
    """Refuse what `device_settings` would refuse, as far as it can be said without reading a file.

    Raises:
        ValueError: one line naming the field, the value and what was expected, with a suggestion.
    """
    if not isinstance(spec, DeviceSource):
        DEVICES.choose(spec)


@lru_cache(maxsize=64)
def _source(document: str) -> DeviceSource:
    """The source of a specification in JSON; each is read once per process."""
    spec: str | dict[str, object] = json.loads(document)
    return device_settings(spec)
