"""Clients' devices: speed, bandwidth, power; what answering a request costs."""

from __future__ import annotations

from .classes import DEVICES, Devices, DeviceSource
from .energy import EnergyProfile, is_energy_file, profile_of, read_energy
from .files import DeviceTable, read_devices
from .make import check_devices, device_settings, sample_devices

__all__ = [
    "DEVICES",
    "DeviceSource",
    "DeviceTable",
    "Devices",
    "EnergyProfile",
    "check_devices",
    "device_settings",
    "is_energy_file",
    "profile_of",
    "read_devices",
    "read_energy",
    "sample_devices",
]
