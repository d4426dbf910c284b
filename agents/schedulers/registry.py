"""Schedulers by name, with the settings tuned for a world, and users' own by dotted name."""

from __future__ import annotations

import difflib
import importlib
import json
import math
from collections.abc import Iterable
from importlib import resources
from typing import Any

from ..knobs import knobs_of
from ..scheduler import Scheduler
from ..zoo.loading import is_shipped, shipped_names
from ..zoo.loading import load_scheduler as load_trained
from .adaptive_steps import Adacomm, JsacTau
from .afl import Afl
from .all_available import AllAvailable
from .all_mean import AllMean
from .ca_fed import CaFed
from .ca_fed_quantitative import CaFedQuantitative
from .clairvoyant import Clairvoyant
from .cpow_d import CpowD
from .cs_ucb import CsUcb
from .cs_ucb_q import CsUcbQ
from .cyclic import Cyclic
from .drift_plus_penalty import DriftPlusPenalty
from .dynamic_backup import DynamicBackup
from .e3cs import E3cs
from .f3ast import F3ast
from .fastest_m import FastestM
from .fedcs import FedCs
from .fedzero import Fedzero
from .greenest_m import GreenestM
from .greenfl import GreenflOffline, GreenflOnline
from .horizon_fair import HorizonFair
from .mpc import Mpc
from .never import Never
from .oga import OnlineGradient
from .oma import OnlineMirror
from .oort import Oort
from .pow_d import PowD
from .power_of_choice import PowerOfChoice
from .random_m import RandomM
from .rbcs_f import RbcsF
from .refl import Refl
from .round_robin import RoundRobin
from .rule import Rule
from .semi_cyclic import SemiCyclic
from .tifl import Tifl
from .transfer import TransferMarginal, TransferThreshold
from .tuned_rule import TunedRule
from .unbiased import Unbiased
from .waiting import Carbonscaler, LetsWaitAwhile

SCHEDULERS: dict[str, type] = {
    scheduler.name: scheduler  # type: ignore[attr-defined]
    for scheduler in (
        RandomM,
        AllAvailable,
        RoundRobin,
        GreenestM,
        FastestM,
        PowerOfChoice,
        F3ast,
        DriftPlusPenalty,
        TunedRule,
        Never,
        Clairvoyant,
        PowD,
        CpowD,
        Afl,
        Unbiased,
        AllMean,
        CaFed,
        CaFedQuantitative,
        Cyclic,
        SemiCyclic,
        GreenflOnline,
        GreenflOffline,
        DynamicBackup,
        Fedzero,
        JsacTau,
        Adacomm,
        LetsWaitAwhile,
        Carbonscaler,
        TransferThreshold,
        TransferMarginal,
        Mpc,
        Oort,
        Refl,
        Tifl,
        FedCs,
        CsUcb,
        CsUcbQ,
        RbcsF,
        E3cs,
        OnlineGradient,
        OnlineMirror,
        HorizonFair,
    )
}
"""Every scheduler of the package by name."""

TUNABLE = tuple(name for name, scheduler in SCHEDULERS.items() if issubclass(scheduler, Rule))
"""Names of the schedulers that have knobs to tune."""


def make_scheduler(name: str, world: str | None = None, **settings: Any) -> Scheduler:
    """Build a scheduler.

    Args:
        name: one of `SCHEDULERS`, a trained scheduler that comes with the package ("volunteers-ppo"), or
            `package.module:Class` for one's own.
        world: name of a scenario whose tuned settings are the defaults; None, or a world without any: the
            declared defaults.
        **settings: knobs to set, see `knobs_of(SCHEDULERS[name])`; "off" switches one off.

    Raises:
        ValueError: unknown name or knob (with a suggestion), or a value out of range.
    """
    if is_shipped(name):
        _refuse_unknown(name, settings, ("decision",))
        return load_trained(name, world, **settings)
    scheduler = _find(name)
    if scheduler is Clairvoyant:
        rules = [make_scheduler(each, world) for each in _best_first(world)]
        _refuse_unknown(name, settings, ("max_candidates", "splices"))
        return Clairvoyant([rule for rule in rules if isinstance(rule, Rule)], **settings)
    if isinstance(scheduler, type) and issubclass(scheduler, Rule):
        _refuse_unknown(name, settings, knobs_of(scheduler))
        settings = tuned_settings(name, world) | settings
    try:
        built = scheduler(**settings)
    except TypeError as error:
        raise ValueError(f"scheduler {name}: settings {settings}: {error}") from None
    if not (callable(getattr(built, "plan", None)) and callable(getattr(built, "reset", None))):
        raise ValueError(f"scheduler {name}: {type(built).__name__} has no plan() and reset(), see Scheduler")
    return built


def tuned_settings(name: str, world: str | None) -> dict[str, Any]:
    """The stored best settings of a scheduler in a world; empty if there are none."""
    if world is None:
        return {}
    return dict(tuned_file(world).get("schedulers", {}).get(name, {}).get("settings", {}))


def tuned_file(world: str) -> dict[str, Any]:
    """The stored tuning of a world: `command`, and per scheduler its score, trials and settings."""
    if not all(letter.isalnum() or letter in "-_" for letter in world):
        return {}
    item = resources.files(__package__).joinpath("tuned").joinpath(f"{world}.json")
    if not item.is_file():
        return {}
    document = json.loads(item.read_text(encoding="utf-8"))
    return dict(document) if isinstance(document, dict) else {}


def strongest(world: str, count: int) -> list[str]:
    """The handcrafted schedulers that did best when they were tuned in a world, best first.

    Where nothing was tuned, as in a world of one's own, they come in the table's order.
    """
    return [name for name in _best_first(world) if not SCHEDULERS[name].clairvoyant][:count]  # type: ignore[attr-defined]


def best_tuned(world: str) -> str | None:
    """The first of the `strongest`; None if no scheduler was tuned in the world."""
    return strongest(world, 1)[0] if tuned_file(world).get("schedulers") else None


def _best_first(world: str | None) -> list[str]:
    """`TUNABLE` by their tuned scores in a world; the others behind, in the table's order."""
    known = tuned_file(world).get("schedulers", {}) if world is not None else {}
    return sorted(TUNABLE, key=lambda name: -float(known.get(name, {}).get("score", -math.inf)))


def _find(name: str) -> Any:
    if name in SCHEDULERS:
        return SCHEDULERS[name]
    if ":" not in name:
        known = [*SCHEDULERS, *shipped_names()]
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
        raise ValueError(f"scheduler: {name!r} is unknown; {hint} (or package.module:Class)")
    module_name, _, attribute = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ValueError(f"scheduler: {name!r}: cannot import {module_name!r} ({error})") from None
    if not hasattr(module, attribute):
        raise ValueError(f"scheduler: {name!r}: {module_name} has no {attribute!r}")
    return getattr(module, attribute)


def _refuse_unknown(name: str, settings: Iterable[str], known: Iterable[str]) -> None:
    for setting in settings:
        if setting not in known:
            close = difflib.get_close_matches(setting, list(known), n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
            raise ValueError(f"scheduler {name}: {setting!r} is no setting of it; {hint}")
