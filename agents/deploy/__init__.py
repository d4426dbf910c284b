"""Schedulers that drive real nodes."""

from __future__ import annotations

from .settings import DeploySettings, read_settings

__all__ = ["DeploySettings", "read_settings"]
