"""Federations whose clients train elsewhere."""

from __future__ import annotations

from .border import PackedArray, check_update, unpack_update
from .core import RemoteCore
from .flower_messages import (
    keep_storage,
    kept_storage,
    pack_order,
    pack_profile,
    pack_update,
    read_order,
    read_profile,
    read_update,
    record_bytes,
    require_flower,
)
from .node import LocalNode
from .orders import LocalUpdate, Storage, TrainOrder

__all__ = [
    "LocalNode",
    "LocalUpdate",
    "PackedArray",
    "RemoteCore",
    "Storage",
    "TrainOrder",
    "check_update",
    "keep_storage",
    "kept_storage",
    "pack_order",
    "pack_profile",
    "pack_update",
    "read_order",
    "read_profile",
    "read_update",
    "record_bytes",
    "require_flower",
    "unpack_update",
]
