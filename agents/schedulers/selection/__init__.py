"""Client selection: whose update is worth most."""

from __future__ import annotations

from .afl import Afl
from .ca_fed import CaFed, surrogate, truncate
from .ca_fed_quantitative import CaFedQuantitative, predicted_excess
from .cpow_d import CpowD
from .cyclic import Cyclic
from .f3ast import F3ast
from .fedcs import FedCs, greedy_set
from .oort import Oort
from .pow_d import PowD
from .power_of_choice import PowerOfChoice
from .refl import Refl
from .semi_cyclic import SemiCyclic
from .tifl import Tifl
from .unbiased import Unbiased

__all__ = [
    "Afl",
    "CaFed",
    "CaFedQuantitative",
    "CpowD",
    "Cyclic",
    "F3ast",
    "FedCs",
    "Oort",
    "PowD",
    "PowerOfChoice",
    "Refl",
    "SemiCyclic",
    "Tifl",
    "Unbiased",
    "greedy_set",
    "predicted_excess",
    "surrogate",
    "truncate",
]
