"""Action modes: levels (MultiDiscrete), a menu of schedulers (Discrete), or scores (Box)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

import numpy as np
from gymnasium import spaces

from ...common.arrays import AnyArray, Bools, Floats, Ints
from ..contract import STOP_S, RoundPlan, Scheduler, Situation, choose_plans
from .actions import ActionCodec, ActionLayout, further_levels, too_early, without_early_stops
from .nearest import nearest_plan, nearest_scores

Menu: TypeAlias = Sequence[Mapping[str, object]]
"""Entries `{"scheduler": NAME, **settings}` or `{"wait_s": SECONDS}`."""

MakeScheduler: TypeAlias = Callable[..., Scheduler]
"""Makes a scheduler from its name and its settings as keywords."""

DEFAULT_MENU: Menu = (
    {"scheduler": "random-m"},
    {"scheduler": "random-m", "participants": 5, "local_steps": 40},
    {"scheduler": "all-available"},
    {"scheduler": "fastest-m"},
    {"scheduler": "greenest-m"},
    {"scheduler": "power-of-choice"},
    {"scheduler": "f3ast"},
    {"wait_s": 1800.0},
    {"wait_s": STOP_S},
)
"""Menu of the `-discrete-` ids: handcrafted schedulers with settings, waits, and the end of the run."""


class ActionMode(Protocol):
    """How batched actions become plans."""

    @property
    def space(self) -> spaces.Space[object]:
        """The Gymnasium space of one environment's action."""
        ...

    def reset(self, envs: Bools, seeds: Ints) -> None:
        """New episodes begin in the rows of `envs`."""

    def read(self, actions: AnyArray, situation: Situation) -> RoundPlan:
        """What a batch of actions says, masked choices included."""

    def plan(self, actions: AnyArray, situation: Situation) -> RoundPlan:
        """The plan of a batch of actions, without ends of the run that are masked."""

    def encode(self, plan: RoundPlan, situation: Situation) -> AnyArray:
        """The legal actions that come nearest to a plan, for imitation and recordings."""

    def masks(self, situation: Situation) -> Bools:
        """Legal choices `[E, choices]`."""


class _Mode(ABC):
    """What the action modes share: a stop that comes too early is dropped."""

    def __init__(self, layout: ActionLayout):
        self._first_stop = layout.first_stop

    @abstractmethod
    def read(self, actions: AnyArray, situation: Situation) -> RoundPlan:
        """What a batch of actions says, masked choices included."""

    def plan(self, actions: AnyArray, situation: Situation) -> RoundPlan:
        """The plan of a batch of actions, see `without_early_stops`."""
        return without_early_stops(self.read(actions, situation), situation, self._first_stop)


class LevelsMode(_Mode):
    """The levels of every decision, `MultiDiscrete`; see `ActionLayout`."""

    def __init__(self, layout: ActionLayout):
        super().__init__(layout)
        self.codec = ActionCodec(layout)
        self.space = layout.space

    def reset(self, envs: Bools, seeds: Ints) -> None:
        """Nothing to remember."""

    def read(self, actions: AnyArray, situation: Situation) -> RoundPlan:
        """Look the levels up."""
        return self.codec.decode(actions)

    def encode(self, plan: RoundPlan, situation: Situation) -> Ints:
        """See `ActionCodec.encode_legal`."""
        return self.codec.encode_legal(plan, situation)

    def masks(self, situation: Situation) -> Bools:
        """See `ActionCodec.masks`."""
        return self.codec.masks(situation)


class MenuMode(_Mode):
    """`Discrete(K)`: which scheduler of a menu plans this round.

    Args:
        layout: the world's levels; its number of clients and its first stop are used.
        make: makes the schedulers that the menu names.
        menu: the entries.
    """

    def __init__(self, layout: ActionLayout, make: MakeScheduler, menu: Menu = DEFAULT_MENU):
        if not menu:
            raise ValueError("menu: empty, expected at least one entry")
        super().__init__(layout)
        self._layout = layout
        self._entries: list[Scheduler] = [
            _Wait(entry) if "wait_s" in entry else _made(make, entry) for entry in menu
        ]
        self.space = spaces.Discrete(len(self._entries))
        self._planned: tuple[Situation, list[RoundPlan]] | None = None
        self._stops = np.array([entry.get("wait_s") == STOP_S for entry in menu])

    def reset(self, envs: Bools, seeds: Ints) -> None:
        """Every scheduler of the menu begins the new episodes."""
        self._planned = None
        for entry in self._entries:
            entry.reset(envs, seeds, self._layout.num_clients)

    def read(self, actions: AnyArray, situation: Situation) -> RoundPlan:
        """Ask every scheduler (they keep count of the rounds), take each environment's choice."""
        actions = np.asarray(actions).reshape(-1)
        if not np.issubdtype(actions.dtype, np.integer):
            raise ValueError(
                f"action: dtype {actions.dtype}, expected integers; the index of an entry of the menu"
            )
        if actions.size != situation.num_envs:
            raise ValueError(
                f"action: {actions.size} entries, expected {situation.num_envs}, one an environment"
            )
        if (actions < 0).any() or (actions >= len(self._entries)).any():
            raise ValueError(f"action: {actions.tolist()}, expected 0 <= action < {len(self._entries)}")
        return choose_plans(self._plans(situation), actions)

    def encode(self, plan: RoundPlan, situation: Situation) -> Ints:
        """The entry whose plan of this round is nearest, see `nearest_plan`; the first of several."""
        return nearest_plan(self._plans(situation), plan, self._layout)

    def masks(self, situation: Situation) -> Bools:
        """Every entry is legal at any time, but the end of the run before the layout's `first_stop`."""
        early = too_early(situation, self._first_stop)[:, None] & self._stops
        legal: Bools = ~early | self._stops.all()
        return legal

    def _plans(self, situation: Situation) -> list[RoundPlan]:
        """Every entry's plan, asked for once per situation: schedulers keep count of their rounds."""
        if self._planned is None or self._planned[0] is not situation:
            self._planned = (situation, [entry.plan(situation) for entry in self._entries])
        return self._planned[1]


class ScoresMode(_Mode):
    """`Box(-1, 1, [4 + N])`: wait, participants, local steps, quorum, then one score per client.

    Participants (1 to N), steps and quorum are laid linearly over their range or levels. A first number up to
    0.5 trains now; the waiting levels share the rest, so that exploration does not end most runs at once.
    The clients with the highest scores among the available ones are invited. Where data lies at the hub, an
    invited client is sent the largest transfer if its score is above 0.5. Where the server's step is a
    decision, it is one more number before the scores, laid over its levels; and so are the updates' bits, who
    is sent the new model, and below which confidence clients ask the hub.
    """

    def __init__(self, layout: ActionLayout):
        super().__init__(layout)
        self._layout = layout
        self._leading = 4 + len(layout.further)
        self.space = spaces.Box(-1.0, 1.0, (self._leading + layout.num_clients,), np.float32)

    def reset(self, envs: Bools, seeds: Ints) -> None:
        """Nothing to remember."""

    def read(self, actions: AnyArray, situation: Situation) -> RoundPlan:
        """Top scores train; see the class."""
        layout, leading = self._layout, self._leading
        actions, size = np.asarray(actions, dtype=np.float64), leading + layout.num_clients
        if actions.shape != (situation.num_envs, size) or not np.isfinite(actions).all():
            raise ValueError(f"action: shape {actions.shape}, expected finite [E, {size}]")
        share = (np.clip(actions[:, :leading], -1.0, 1.0) + 1.0) / 2.0
        waits = _level(layout.wait_s[1:], np.clip((share[:, 0] - 0.75) * 4.0, 0.0, 1.0))
        wait_s = np.where(share[:, 0] <= 0.75, 0.0, waits)
        participants = np.rint(1 + share[:, 1] * (layout.num_clients - 1))
        steps = _level(layout.local_steps[1:], share[:, 2]).astype(np.int32)
        scores = np.where(situation.clients.available, actions[:, leading:], -np.inf)
        rank = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1, kind="stable")
        chosen = situation.clients.available & (rank < participants[:, None])
        moved = np.where(chosen & (scores > 0.5), layout.transfer_samples[-1], 0)
        return RoundPlan(
            local_steps=np.where(chosen, steps[:, None], 0).astype(np.int32),
            transfer_samples=moved.astype(np.int32),
            quorum=_level(layout.quorum, share[:, 3]),
            wait_s=wait_s,
            **{
                name: _level(further_levels(layout, name), share[:, 4 + place])  # type: ignore[arg-type]
                for place, name in enumerate(layout.further)
            },
        )

    def encode(self, plan: RoundPlan, situation: Situation) -> AnyArray:
        """See `nearest_scores`."""
        return nearest_scores(plan, self._layout)

    def masks(self, situation: Situation) -> Bools:
        """Continuous actions have no masks."""
        raise ValueError("action_masks: expected discrete choices, this action mode has scores")


ACTION_MODES = ("levels", "discrete", "scores")
"""Values of the keyword `action=`."""


def make_action_mode(
    action: str, layout: ActionLayout, menu: Menu | None = None, make: MakeScheduler | None = None
) -> ActionMode:
    """The action mode of a name.

    Args:
        action: one of `ACTION_MODES`.
        layout: the world's levels.
        menu: for "discrete" only; None = `DEFAULT_MENU`.
        make: makes the schedulers of the menu; for "discrete" only.

    Raises:
        ValueError: one line naming the field, the value and what was expected.
    """
    if action not in ACTION_MODES:
        raise ValueError(f"action: {action!r}, expected one of {', '.join(ACTION_MODES)}")
    if action == "discrete":
        if make is None:
            raise ValueError("make: None, expected a maker of schedulers with action: 'discrete'")
        return MenuMode(layout, make, DEFAULT_MENU if menu is None else menu)
    if menu is not None:
        raise ValueError(f"menu: given with action: {action!r}, expected action: 'discrete'")
    return LevelsMode(layout) if action == "levels" else ScoresMode(layout)


class _Wait:
    """A menu entry that lets time pass."""

    name = "wait"
    kind: Literal["handcrafted"] = "handcrafted"
    clairvoyant = False

    def __init__(self, entry: Mapping[str, object]):
        wait_s = entry["wait_s"]
        if not isinstance(wait_s, int | float) or not wait_s > 0 or len(entry) != 1:
            raise ValueError(f"menu: {dict(entry)!r}, expected a positive wait_s and nothing else")
        self._wait_s = float(wait_s)

    def reset(self, envs: Bools, seeds: Ints, num_clients: int) -> None:
        """Nothing to remember."""

    def plan(self, situation: Situation) -> RoundPlan:
        """Wait everywhere."""
        nobody = np.zeros(situation.clients.available.shape, dtype=np.int32)
        everywhere = np.ones(situation.num_envs)
        return RoundPlan(nobody, nobody.copy(), everywhere, everywhere * self._wait_s)


def _made(make: MakeScheduler, entry: Mapping[str, object]) -> Scheduler:
    settings = dict(entry)
    name = settings.pop("scheduler", None)
    if name is None:
        raise ValueError(f"menu: {dict(entry)!r}, expected a key 'scheduler' or 'wait_s'")
    return make(name, **settings)


def _level(levels: Sequence[float] | AnyArray, share: Floats) -> AnyArray:
    index = np.minimum((share * len(levels)).astype(np.int64), len(levels) - 1)
    return np.asarray(levels)[index]
