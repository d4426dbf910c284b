"""Doors for other libraries: each module here needs the library it is named after, nothing else does."""

from __future__ import annotations
