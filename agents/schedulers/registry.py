"""Schedulers by name, with the settings tuned for a world, and users' own by dotted name."""

from __future__ import annotations

import difflib
import importlib
import json
import math
from collections.abc import Iterable
from importlib import resources
from typing import Any

from ...envs.contract import Scheduler
from ..zoo import is_shipped, shipped_names
from ..zoo import load_scheduler as load_trained
from .bandits import CsUcb, CsUcbQ, E3cs, HorizonFair, OnlineGradient, OnlineMirror, RbcsF
from .base import Rule, knobs_of
from .baselines import AllAvailable, AllMean, FastestM, GreenestM, Never, RandomM, RoundRobin, TunedRule
from .carbon import Carbonscaler, DriftPlusPenalty, Fedzero, GreenflOffline, GreenflOnline, LetsWaitAwhile
from .pace import Adacomm, DynamicBackup, JsacTau, TransferMarginal, TransferThreshold
from .planning import Clairvoyant, Mpc
from .selection import (
    Afl,
    CaFed,
    CaFedQuantitative,
    CpowD,
    Cyclic,
    F3ast,
    FedCs,
    Oort,
    PowD,
    PowerOfChoice,
    Refl,
    SemiCyclic,
    Tifl,
    Unbiased,
)

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
