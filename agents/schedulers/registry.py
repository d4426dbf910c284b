"""Schedulers by name, with the settings tuned for a world, and users' own by dotted name."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import cast

from ...common.registry import Registry
from ...common.spelling import suggest
from ...envs.contract import Scheduler
from .bandits import CsUcb, CsUcbQ, E3cs, HorizonFair, OnlineGradient, OnlineMirror, RbcsF
from .base import Rule, Setting, adopt, knobs_of
from .baselines import AllAvailable, AllMean, FastestM, GreenestM, Never, RandomM, RoundRobin, TunedRule
from .carbon import Carbonscaler, DriftPlusPenalty, Fedzero, GreenflOffline, GreenflOnline, LetsWaitAwhile
from .linear import LinearRule
from .pace import (
    Adacomm,
    DataParallel,
    DilocoH,
    DynamicBackup,
    EqualTime,
    JsacTau,
    SurvivalH,
    TransferMarginal,
    TransferThreshold,
    YoungDaly,
)
from .planning import Clairvoyant, Mpc, SearchEffort
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
from .serving import POLICY_PARTS, ServingPolicy, make_policy, parts_of, policy_names
from .stored import StoredSetting, tuned_schedulers, tuned_settings
from .streams import (
    AdaptiveLr,
    AdwinTrigger,
    AgeIndex,
    DdmTrigger,
    DriftOracle,
    GradientPace,
    MarfoqFresh,
    MarfoqHistorical,
    MarfoqOptimal,
    MarfoqUniform,
    MirrorPace,
    PageHinkleyTrigger,
    Periodic,
    TrainThenStop,
)


def _is_rule(factory: object) -> bool:
    return isinstance(factory, type) and issubclass(factory, Rule)


SCHEDULERS: Registry[Scheduler] = Registry("scheduler")
"""Every scheduler by name; `@SCHEDULERS.register("mine")` adds a class of one's own."""

for _scheduler in (
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
    DilocoH,
    DataParallel,
    EqualTime,
    SurvivalH,
    YoungDaly,
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
    LinearRule,
    TrainThenStop,
    Periodic,
    DdmTrigger,
    PageHinkleyTrigger,
    AdwinTrigger,
    MarfoqUniform,
    MarfoqHistorical,
    MarfoqFresh,
    MarfoqOptimal,
    AdaptiveLr,
    AgeIndex,
    GradientPace,
    MirrorPace,
    DriftOracle,
):
    SCHEDULERS.register(_scheduler.name)(_scheduler)  # type: ignore[attr-defined]

TUNABLE = tuple(name for name in SCHEDULERS if _is_rule(SCHEDULERS[name]))
"""Names of the package's schedulers that have hyperparameters to tune."""
EVOLVED = (LinearRule.name,)
"""Names of those whose weights are found by evolution instead."""


def make_scheduler(name: str, world: str | None = None, **settings: StoredSetting) -> Scheduler:
    """Build a handcrafted scheduler; `agents.players.make_player` also knows trained ones.

    Args:
        name: one of `SCHEDULERS`, or `package.module:Class` for one's own.
        world: name of a scenario whose tuned settings are the defaults; None, or a world without any: the
            declared defaults.
        **settings: hyperparameters to set, see `knobs_of(SCHEDULERS[name])`; "off" switches one off. Those of
            the linear rule are its arguments.

    Raises:
        ValueError: unknown name or setting (with a suggestion), or a value out of range.
    """
    factory = SCHEDULERS[name]
    if factory is Clairvoyant:
        refuse_unknown(name, settings, SearchEffort.__annotations__)
        rules = [make_scheduler(each, world) for each in _best_first(world)]
        effort = cast(SearchEffort, {key: int(cast(int, value)) for key, value in settings.items()})
        return Clairvoyant([rule for rule in rules if isinstance(rule, Rule)], **effort)
    known = _settings(factory)
    if known is not None:
        refuse_unknown(name, settings, known)
        settings = tuned_settings(name, world) | settings
    try:
        built: object = factory(**settings)
    except TypeError as error:
        raise ValueError(f"scheduler {name}: settings {settings}: {error}") from None
    try:
        return adopt(built)
    except ValueError as error:
        raise ValueError(f"{error} ({name})") from None


def make_tuned_policy(name: str, world: str | None = None, **settings: Setting) -> ServingPolicy:
    """Build a policy of serving, see `make_policy`, with the settings tuned for a world as the defaults.

    Those that were found for this very policy; where it was not tuned, each part's own from where it was.

    Args:
        name: of its parts.
        world: name of a scenario; None, or a world without any: the declared defaults.
        **settings: hyperparameters to set.

    Raises:
        ValueError: as `make_policy`.
    """
    kinds = [kind.name for kind in parts_of(name).values()]
    entries = {_kinds(each): entry for each, entry in tuned_schedulers(world).items() if _is_policy(each)}
    chosen: dict[str, Setting] = {}
    for kind in parts_of(name).values():
        alone = entries.get(_kinds(kind.name)) if kind.name in POLICY_PARTS else None
        found = entries.get(tuple(kinds), alone)
        own = {} if found is None else cast("dict[str, Setting]", found["settings"])
        chosen |= {key: value for key, value in own.items() if key in knobs_of(kind)}
    return make_policy(name, **{**chosen, **settings})


def _is_policy(name: str) -> bool:
    return all(part in POLICY_PARTS for part in name.split("+"))


def _kinds(name: str) -> tuple[str, ...]:
    """The names of a policy's parts, in one order whatever theirs."""
    return tuple(kind.name for kind in parts_of(name).values())


def _settings(factory: object) -> tuple[str, ...] | None:
    """Names of the settings that are tuned per world; None for a scheduler without any."""
    if factory is LinearRule:
        return tuple(LinearRule().settings)
    return tuple(knobs_of(cast("type[Rule]", factory))) if _is_rule(factory) else None


def strongest(world: str, count: int, serves: bool = False) -> list[str]:
    """The handcrafted schedulers that did best when they were tuned in a world, best first.

    Where nothing was tuned, as in a world of one's own, they come in the table's order.

    Args:
        world: name of the scenario.
        count: how many at most.
        serves: whether it is of a world of serving.
    """
    if serves:
        tuned = tuned_schedulers(world)
        policies = [name for name in policy_names() if not make_policy(name).clairvoyant]
        scores = {name: tuned[name]["score"] if name in tuned else -math.inf for name in policies}
        return sorted(policies, key=lambda name: -scores[name])[:count]
    blind = [name for name in _best_first(world) if not make_scheduler(name).clairvoyant]
    return blind[:count]


def best_tuned(world: str) -> str | None:
    """The first of the `strongest`; None if no scheduler was tuned in the world."""
    tuned = tuned_schedulers(world)
    return strongest(world, 1, not any(name in SCHEDULERS for name in tuned))[0] if tuned else None


def _best_first(world: str | None) -> list[str]:
    """All that can be tuned by their tuned scores in a world; the others behind, in the table's order."""
    known, names = tuned_schedulers(world), (*TUNABLE, *EVOLVED)
    scores = {name: known[name]["score"] if name in known else -math.inf for name in names}
    return sorted(names, key=lambda name: -scores[name])


def refuse_unknown(name: str, settings: Iterable[str], known: Iterable[str]) -> None:
    """Refuse settings that a scheduler does not have; ValueError with a suggestion."""
    names = list(known)
    for setting in settings:
        if setting not in names:
            raise ValueError(f"scheduler {name}: {setting!r} is no setting of it; {suggest(setting, names)}")
