"""Clients' devices: speed, bandwidth, power."""

from __future__ import annotations

from .classes import DEVICES, Devices, DeviceSource
from .files import DeviceTable, read_devices
from .make import check_devices, device_settings, sample_devices

__all__ = [
    "DEVICES",
    "DeviceSource",
    "DeviceTable",
    "Devices",
    "check_devices",
    "device_settings",
    "read_devices",
    "sample_devices",
]
