"""The reinforcement-learning problem: scenarios, worlds, spaces, rewards, rendering, registration."""

from __future__ import annotations

from .registration import find_entry, make_vec_env, register_all

__all__ = ["find_entry", "make_vec_env", "register_all"]
