"""Versions of the global model: which one every client holds, and which is on its way to it."""

from __future__ import annotations

import numpy as np

from ...common.arrays import AnyArray, Bools, Floats, Ints

_FIRST_SLOTS = 4


class Versions:
    """Who answers with what, in E environments of N clients.

    Versions are counted from 0, the untrained model, which everybody holds at first. As many are kept as
    somebody holds or is being sent, in slots that are used again.

    Args:
        num_envs: E.
        num_clients: N.
        params: `[E, P]`, models of the shape of those to come.

    Attributes:
        number: int64 `[E]`, of the newest version.
        held: int64 `[E, N]`, number of the version that each client holds.
        models: `[E, S, P]`, the versions in their slots.
    """

    def __init__(self, num_envs: int, num_clients: int, params: AnyArray):
        shape = (num_envs, num_clients)
        self.number = np.zeros(num_envs, dtype=np.int64)
        self.held = np.zeros(shape, dtype=np.int64)
        self.models: AnyArray = np.repeat(params[:, None], _FIRST_SLOTS, axis=1)
        self._newest = np.zeros(num_envs, dtype=np.int64)
        self._slot = np.zeros(shape, dtype=np.int64)
        self._coming = np.zeros(shape, dtype=np.int64)
        self._coming_slot = np.full(shape, -1, dtype=np.int64)
        self._coming_s = np.full(shape, np.inf)

    def reset(self, envs: Bools, params: AnyArray) -> None:
        """Everybody in the rows of `envs` holds the untrained model."""
        for table in (self.number, self.held, self._newest, self._slot, self._coming):
            table[envs] = 0
        self._coming_slot[envs], self._coming_s[envs] = -1, np.inf
        self.models[envs, 0] = params[envs]

    @property
    def lag(self) -> Ints:
        """`[E, N]`, changes of the model that each client's version misses."""
        return np.asarray(self.number[:, None] - self.held)

    @property
    def expected(self) -> Ints:
        """`[E, N]`, number of the version that each client will hold once what is on its way has come."""
        return np.where(self._coming_slot >= 0, np.maximum(self._coming, self.held), self.held)

    @property
    def newest(self) -> Ints:
        """`[E]`, row of the newest version in a table of all environments' slots, one after another."""
        return np.asarray(np.arange(len(self.number)) * self.models.shape[1] + self._newest)

    def play(self, until_s: Floats, got_s: Floats, changed: Bools) -> tuple[Ints, Floats]:
        """Let the time pass to `until_s` `[E]`.

        Args:
            until_s: `[E]`.
            got_s: `[E, N]`, when each client had the newest version with the round's download; inf = not.
            changed: bool `[E]`, rows in which time passes.

        Returns:
            Slots `[E, N, 3]` of the version held at first, after the first change and after the second, and
            times `[E, N, 2]` of these changes; inf where there is none.
        """
        until = np.where(changed, until_s, -np.inf)[:, None]
        newest, slots = self.number[:, None], self._newest[:, None]
        refreshed = (self._coming_s <= until) & (self._coming_slot >= 0)
        got = (got_s <= until) & changed[:, None]
        held_0, slot_0 = self.held, self._slot
        # Two changes at most; a version that is older than what a client has by then changes nothing.
        refresh_first = refreshed & (~got | (self._coming_s <= got_s))
        first = np.where(refresh_first, self._coming, np.where(got, newest, -1))
        first_slot = np.where(refresh_first, self._coming_slot, slots)
        first_s = np.where(refresh_first, self._coming_s, np.where(got, got_s, np.inf))
        both = refreshed & got
        second = np.where(both, np.where(refresh_first, newest, self._coming), -1)
        second_slot = np.where(refresh_first, slots, self._coming_slot)
        second_s = np.where(both, np.maximum(self._coming_s, got_s), np.inf)
        better = first > held_0
        held_1, slot_1 = np.where(better, first, held_0), np.where(better, first_slot, slot_0)
        better = second > held_1
        held_2, slot_2 = np.where(better, second, held_1), np.where(better, second_slot, slot_1)
        self.held, self._slot = held_2, slot_2
        self._coming_slot = np.where(refreshed, -1, self._coming_slot)
        self._coming_s = np.where(refreshed, np.inf, self._coming_s)
        return np.stack([slot_0, slot_1, slot_2], axis=2), np.stack([first_s, second_s], axis=2)

    def add(self, moved: Bools, params: AnyArray) -> None:
        """The models in the rows `moved` `[E]` have changed: a new version."""
        rows = np.flatnonzero(moved)
        if not rows.size:
            return
        free = self._free(rows)
        self.number[rows] += 1
        self._newest[rows] = free
        self.models[rows, free] = params[rows]

    def send(self, who: Bools, arrival_s: Floats) -> None:
        """Clients `[E, N]` are sent the newest version, to arrive at `arrival_s` `[E, N]`.

        What was still on its way to them is given up.
        """
        self._coming = np.where(who, self.number[:, None], self._coming)
        self._coming_slot = np.where(who, self._newest[:, None], self._coming_slot)
        self._coming_s = np.where(who, arrival_s, self._coming_s)

    def hand_over(self, who: Bools) -> None:
        """Clients `[E, N]` have the newest version at once."""
        self.held = np.where(who, self.number[:, None], self.held)
        self._slot = np.where(who, self._newest[:, None], self._slot)

    def _free(self, rows: Ints) -> Ints:
        """A slot in each of some rows that nobody needs; makes more where there is none."""
        slots = self.models.shape[1]
        used = np.zeros((rows.size, slots + 1), dtype=bool)  # the last column is for nothing on its way
        each = np.arange(rows.size)[:, None]
        used[each, self._slot[rows]] = True
        used[each, self._coming_slot[rows]] = True
        free = ~used[:, :slots]
        if not free.any(axis=1).all():
            room = np.zeros_like(self.models)
            self.models = np.concatenate([self.models, room], axis=1)
            return self._free(rows)
        return np.asarray(free.argmax(axis=1))
