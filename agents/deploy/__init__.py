"""Live federations: a scheduler drives real nodes. What loads Flower is in the sub-packages."""

from __future__ import annotations

from .settings import DEFENCE, Defence, DeploySettings, LiveSettings, ServeSettings, read_settings

__all__ = ["DEFENCE", "Defence", "DeploySettings", "LiveSettings", "ServeSettings", "read_settings"]
