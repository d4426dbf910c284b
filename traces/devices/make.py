"""Devices by name or specification: classes, distributions, recorded fleets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...common.arrays import Ints
from ...common.settings import Settings, parse_settings, suggest
from .classes import Devices, DeviceSource, PhoneSettings, SpotSettings, VolunteerSettings


class _FileSettings(Settings):
    path: str
    base: str | dict[str, Any] = "phones"


class _FileDevices:
    """Devices of a base class with the capacities that a file holds."""

    def __init__(self, values: Mapping[str, Any]):
        from .files import read_devices

        settings = parse_settings(_FileSettings, values, "devices (file)")
        self._base = device_settings(settings.base)
        self._table = read_devices(settings.path)

    def draw(self, num_clients: int, rng: np.random.Generator) -> Devices:
        """The devices of `num_clients` clients."""
        return self._table.applied(self._base.draw(num_clients, rng), rng)


DEVICE_CLASSES: dict[str, type[PhoneSettings] | type[VolunteerSettings] | type[SpotSettings]] = {
    "phones": PhoneSettings,
    "volunteers": VolunteerSettings,
    "spot": SpotSettings,
}


def sample_devices(
    spec: str | Mapping[str, Any], num_clients: int, zone: Ints, rng: np.random.Generator
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
    return _source(spec).draw(num_clients, rng)


def device_settings(spec: str | Mapping[str, Any]) -> DeviceSource:
    """The validated settings of a specification; see `sample_devices`."""
    values = {"kind": spec} if isinstance(spec, str) else dict(spec)
    kind = values.pop("kind", None)
    if kind == "file":
        return _FileDevices(values)
    if kind not in DEVICE_CLASSES:
        raise ValueError(f"devices: kind={kind!r} is unknown; {suggest(str(kind), DEVICE_CLASSES)}")
    return parse_settings(DEVICE_CLASSES[kind], values, f"devices ({kind})")


def _source(spec: str | Mapping[str, Any]) -> DeviceSource:
    """As `device_settings`, but a specification is read once per process."""
    key = json.dumps(spec, sort_keys=True, default=str)
    if key not in _SOURCES:
        if len(_SOURCES) > 64:
            _SOURCES.clear()
        _SOURCES[key] = device_settings(spec)
    return _SOURCES[key]


_SOURCES: dict[str, DeviceSource] = {}
