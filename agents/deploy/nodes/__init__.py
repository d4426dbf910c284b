"""The side of the nodes: data, profile, Flower's ClientApp."""

from __future__ import annotations

from .asked_node import AskedNode
from .client import carrier, make_client_app
from .node_data import local_node, own_node
from .profile import NodeProfile, profile_of, read_profile
from .stream_file import StreamFile

__all__ = [
    "AskedNode",
    "NodeProfile",
    "StreamFile",
    "carrier",
    "local_node",
    "make_client_app",
    "own_node",
    "profile_of",
    "read_profile",
]
