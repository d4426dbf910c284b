"""Bandits and online learning: who turned out to be worth it."""

from __future__ import annotations

from .cs_ucb import CsUcb
from .cs_ucb_q import CsUcbQ
from .e3cs import E3cs
from .horizon_fair import HorizonFair
from .oga import OnlineGradient
from .oma import OnlineMirror
from .rbcs_f import RbcsF, best_set

__all__ = ["CsUcb", "CsUcbQ", "E3cs", "HorizonFair", "OnlineGradient", "OnlineMirror", "RbcsF", "best_set"]
