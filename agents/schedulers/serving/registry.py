"""Policies of serving by name: parts, and what goes with a part where nothing else is said."""

from __future__ import annotations

from ....common.registry import Registry
from ....common.spelling import suggest
from ..base import Knob, Setting, knobs_of
from .ascent import InfidaOma, OnlineGradientPlacement, TabularGreedy
from .baselines import CheapestLocal, HubOnly, Lfu, Lru, SpotHedge
from .deferral import AtOnce, EarliestDeadline, LpDefer, ThresholdDefer
from .foresight import ClairvoyantPlacement
from .greedy import OnlineGreedy, StaticGreedy, SurvivalGreedy, SwapGreedy
from .mixes import CloverMix, ProteusMilp
from .policy import Part, Placement, Release, ServingPolicy, Threshold
from .thresholds import AskBelow, Calibrated, H2t2, HiExp, HiLcb, NeverAsk

POLICY_PARTS: Registry[Part] = Registry("policy")
"""Every part by name; `@POLICY_PARTS.register("mine")` adds a class of one's own."""

for _part in (
    HubOnly,
    CheapestLocal,
    StaticGreedy,
    OnlineGreedy,
    SurvivalGreedy,
    SwapGreedy,
    InfidaOma,
    OnlineGradientPlacement,
    TabularGreedy,
    Lfu,
    Lru,
    SpotHedge,
    ProteusMilp,
    CloverMix,
    ClairvoyantPlacement,
    NeverAsk,
    AskBelow,
    Calibrated,
    HiLcb,
    H2t2,
    HiExp,
    AtOnce,
    EarliestDeadline,
    ThresholdDefer,
    LpDefer,
):
    POLICY_PARTS.register(_part.name)(_part)

COMPOSED = (
    "survival-greedy+hi-lcb",
    "swap-greedy+ask-below",
    "online-greedy+hi-lcb+lp-defer",
    "survival-greedy+hi-lcb+lp-defer",
    "clairvoyant+hi-lcb+at-once",
)
"""Policies of several parts that tables play beside each part by itself."""
_USUAL: type[Part] = OnlineGreedy
"""Placement of a policy that names none."""
_ROLES: dict[str, type[Part]] = {"placement": Placement, "threshold": Threshold, "release": Release}


def make_policy(name: str, **settings: Setting) -> ServingPolicy:
    """Build a policy of serving from the names of its parts.

    A policy has three parts that decide apart from each other, joined by "+" in any order: which model where
    (`online-greedy`), whose answers are asked of the hub (`hi-lcb`), what of that which can wait is answered
    now (`lp-defer`). Of a kind that is not named it has the usual one: placement `online-greedy`, and the
    threshold and release that the placement's class names, `never-ask` and `at-once` for most.

    Args:
        name: one part or several, "online-greedy+hi-lcb+lp-defer"; `package.module:Class` for one's own.
        **settings: hyperparameters of the parts; those of `policy_knobs(name)`.

    Raises:
        ValueError: an unknown part or setting (with a suggestion), two parts of one kind, or a bad value.
    """
    chosen = parts_of(name)
    known = policy_knobs(name)
    for setting in settings:
        if setting not in known:
            raise ValueError(f"policy {name}: {setting!r} is no setting of it; {suggest(setting, known)}")
    made = {
        role: kind(**{key: value for key, value in settings.items() if key in knobs_of(kind)})
        for role, kind in chosen.items()
    }
    placement, threshold, release = (made[role] for role in _ROLES)
    assert isinstance(placement, Placement)
    assert isinstance(threshold, Threshold)
    assert isinstance(release, Release)
    return ServingPolicy(placement, threshold, release, name)


def policy_names() -> list[str]:
    """What `all` stands for: every part with the usual others, and what is composed of the best.

    The usual threshold and release are left out: by themselves they are `online-greedy`.
    """
    usual = (OnlineGreedy.threshold, OnlineGreedy.release)
    return [*(name for name in POLICY_PARTS if name not in usual), *COMPOSED]


def policy_knobs(name: str) -> dict[str, Knob]:
    """The declared hyperparameters of a policy's parts, which have no names in common.

    Raises:
        ValueError: as `make_policy`.
    """
    return {key: knob for kind in parts_of(name).values() for key, knob in knobs_of(kind).items()}


def parts_of(name: str) -> dict[str, type[Part]]:
    """The classes of a policy's parts by role, those that it does not name included.

    Raises:
        ValueError: as `make_policy`.
    """
    chosen: dict[str, type[Part]] = {}
    for each in name.split("+"):
        kind = POLICY_PARTS[each.strip()]
        roles = [role for role, base in _ROLES.items() if isinstance(kind, type) and issubclass(kind, base)]
        if not roles or not isinstance(kind, type):
            raise ValueError(
                f"policy {name}: {each!r} is no part, expected a subclass of Placement, Threshold or Release"
            )
        if roles[0] in chosen:
            raise ValueError(f"policy {name}: {each!r} is a second {roles[0]}, expected one; leave one out")
        chosen[roles[0]] = kind
    placement = chosen.setdefault("placement", _USUAL)
    assert issubclass(placement, Placement)
    for role, usual in (("threshold", placement.threshold), ("release", placement.release)):
        chosen.update({} if role in chosen else {role: _chosen_part(usual)})
    return {role: chosen[role] for role in _ROLES}


def _chosen_part(name: str) -> type[Part]:
    """The class behind the name of one part."""
    kind = POLICY_PARTS[name]
    assert isinstance(kind, type)
    return kind
