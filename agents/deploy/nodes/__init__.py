"""The side of the nodes: data, profile, Flower's ClientApp."""

from __future__ import annotations

from .client import make_client_app
from .node_data import local_node
from .profile import NodeProfile, profile_of, read_profile

__all__ = ["NodeProfile", "local_node", "make_client_app", "profile_of", "read_profile"]
