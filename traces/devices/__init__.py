"""Clients' devices: speed, bandwidth, power."""

from __future__ import annotations

from .files import DeviceTable, read_devices
from .make import device_settings, sample_devices

__all__ = ["DeviceTable", "device_settings", "read_devices", "sample_devices"]
