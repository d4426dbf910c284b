"""What a whole federation has given away so far, round by round: the quantity that a price is paid for."""

from __future__ import annotations

import numpy as np

from ...common.arrays import Bools, Floats, Ints
from ..federation import FederatedCore, Messages
from .listening import MembershipListener, RowScorer, Victim
from .membership import matched_rows, membership_aucs

_STREAM = 0xEA50


class Exposure(MembershipListener[Victim]):
    """Listens to everybody in E federations and says how much membership its best attack so far has told.

    An episode's area is the mean over its honest clients with two rows or more, one half for whoever never
    answered. The largest area so far counts, not the present one: what was overheard cannot be unheard. A sum
    of scores may tell less after another round, but who listened keeps the sum of the rounds before.

    Args:
        core: who is listened to; all are in episodes of their own, see `begin`.
        scorer: of rows that nobody trained on, which must not be the test's: schedulers are paid by it.
        sums: whether only the models before and after every round are heard, as secure aggregation leaves it.

    Attributes:
        highest: `[E]`, the largest area of the running episodes so far, at least one half.
    """

    def __init__(self, core: FederatedCore, scorer: RowScorer, sums: bool):
        self._score = "drop_sums" if sums else "drop"
        super().__init__(scorer, (self._score,))
        self._core = core
        self._rows, self._labels, self._others = scorer, core.dataset.y_train, scorer.other_labels
        shape = (core.num_envs, core.num_clients)
        self._auc, self._known = np.full(shape, 0.5), np.zeros(shape, dtype=bool)
        self.highest: Floats = np.full(core.num_envs, 0.5)

    def begin(self, envs: Bools, seeds: Ints) -> None:
        """New episodes have begun in the rows of `envs`: everybody holds its own rows."""
        core = self._core
        self._victims = {at: victim for at, victim in self._victims.items() if not envs[at[0]]}
        self._auc[envs], self._known[envs] = 0.5, False
        self.highest = np.where(envs, 0.5, self.highest)
        listened = (core.own >= 2) & ~core.liars
        for env in np.flatnonzero(envs).tolist():
            rng = np.random.default_rng([_STREAM, int(seeds[env])])
            for client in np.flatnonzero(listened[env]).tolist():
                own = core.held_rows(env, client)
                members, others = matched_rows(own, self._labels, self._others, rng)
                if members.size:
                    rows = np.concatenate([members, others + self._rows.others_at]).astype(np.int32)
                    self._victims[env, client] = Victim(env, client, rows, members.size)
                    self._known[env, client] = True

    def _note(self, messages: Messages, jobs: list[int], heard: list[Victim]) -> None:
        scores = np.concatenate([getattr(victim, self._score) for victim in heard])
        scores[np.isnan(scores)] = 0.0  # losses beyond all numbers, before and after, tell nothing
        members = np.array([victim.members for victim in heard])
        self._auc[[v.env for v in heard], [v.client for v in heard]] = membership_aucs(scores, members)
        self.highest = np.maximum(self.highest, self.present)

    @property
    def present(self) -> Floats:
        """`[E]`, the area that all messages so far give together."""
        count = np.maximum(self._known.sum(axis=1), 1)
        return np.asarray(0.5 + np.where(self._known, self._auc - 0.5, 0.0).sum(axis=1) / count)
