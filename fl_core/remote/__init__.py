"""Federations whose clients train elsewhere."""

from __future__ import annotations

from .border import PackedArray, check_update, unpack_update
from .core import RemoteCore
from .flower_messages import (
    keep_storage,
    keep_stream,
    kept_storage,
    kept_stream,
    pack_order,
    pack_profile,
    pack_update,
    read_order,
    read_profile,
    read_update,
    record_bytes,
    require_flower,
)
from .kept_model import KEPT_ABOUT, KEPT_FORMAT, KEPT_STATE, KeptModel, kept_checksum, read_kept_model
from .node import LocalNode
from .orders import LocalUpdate, Storage, TrainOrder
from .serving_messages import (
    keep_models,
    kept_models,
    pack_reply,
    pack_serve_order,
    read_reply,
    read_serve_order,
)
from .serving_orders import (
    ModelLoad,
    Questions,
    ServeOrder,
    ServeReply,
    SlotAnswers,
    answer_order,
    check_reply,
)
from .stream_core import RemoteStreamCore
from .stream_orders import MISSED, RIGHT, WRONG, StreamCall, StreamDay, StreamMemory

__all__ = [
    "KEPT_ABOUT",
    "KEPT_FORMAT",
    "KEPT_STATE",
    "MISSED",
    "RIGHT",
    "WRONG",
    "KeptModel",
    "LocalNode",
    "LocalUpdate",
    "ModelLoad",
    "PackedArray",
    "Questions",
    "RemoteCore",
    "RemoteStreamCore",
    "ServeOrder",
    "ServeReply",
    "SlotAnswers",
    "Storage",
    "StreamCall",
    "StreamDay",
    "StreamMemory",
    "TrainOrder",
    "answer_order",
    "check_reply",
    "check_update",
    "keep_models",
    "keep_storage",
    "keep_stream",
    "kept_checksum",
    "kept_models",
    "kept_storage",
    "kept_stream",
    "pack_order",
    "pack_profile",
    "pack_reply",
    "pack_serve_order",
    "pack_update",
    "read_kept_model",
    "read_order",
    "read_profile",
    "read_reply",
    "read_serve_order",
    "read_update",
    "record_bytes",
    "require_flower",
    "unpack_update",
]
