"""Doors to other engines of reinforcement learning; each needs an extra of the package."""

from __future__ import annotations
