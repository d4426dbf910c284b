"""Somebody who listens to a core and scores rows by what is heard: passive membership inference.

Rows that a client trained on lose more of their loss by its updates than others of the same label do (arXiv
2111.00430). Single messages tell more than their sums, which are what secure aggregation leaves, and what
anybody who is sent the models sees anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

import numpy as np

from ...common.arrays import AnyArray, Floats, Ints32
from ..data import Dataset
from ..federation import Messages
from ..models import Model
from ..training import make_trainer
from .membership import membership_auc

_ALL = ("drop", "drop_sums", "fit")


@dataclass
class Victim:
    """One client that somebody would like to know more of.

    Attributes:
        env: of which episode.
        client: which client of it.
        rows: numbers of the rows that are scored, in the `RowScorer`'s data set: members, then others of the
            same labels, then whatever else is asked about.
        members: how many of them are members; as many are others.
        drop: loss of the rows before minus after its updates, summed over rounds; `drop_sums`: before minus
            after the rounds in which it took part.
        fit: loss of the rows at the models that it sent back, summed over rounds.
    """

    env: int
    client: int
    rows: Ints32
    members: int
    drop: Floats = field(init=False)
    drop_sums: Floats = field(init=False)
    fit: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.drop, self.drop_sums, self.fit = (np.zeros(self.rows.size) for _ in range(3))

    def auc(self, drop: Floats) -> float:
        """Membership from loss drops: one half if it was never heard of."""
        return membership_auc(drop[: self.members], drop[self.members : 2 * self.members])


class RowScorer:
    """Losses of single rows at any model: training rows, rows that nobody trained on, and more.

    Args:
        data: the rows.
        model: the model.
        part: where the rows are from that nobody trained on, "val" or "test".
        attribute: a binary feature; the training rows with it turned round are scored as well.

    Attributes:
        others_at: number of the first row that nobody trained on.
        turned_at: number of the first training row with the attribute turned round.
        other_labels: of the rows that nobody trained on.
        trainer: knows the same training rows by the same numbers.
    """

    def __init__(self, data: Dataset, model: Model, part: str, attribute: int | None = None):
        others, self.other_labels = data.rows(part)
        self.others_at, self.turned_at = data.num_rows, data.num_rows + self.other_labels.size
        x, y = [data.x_train, others], [data.y_train, self.other_labels]
        if attribute is not None:
            turned, values = data.x_train.copy(), data.x_train[:, attribute]
            turned[:, attribute] = values.min() + values.max() - values
            x.append(turned)
            y.append(data.y_train)
        scored = replace(data, x_train=np.concatenate(x), y_train=np.concatenate(y), natural_client=None)
        self.trainer = make_trainer("auto", scored, model)

    def losses(self, params: AnyArray, rows: Sequence[Ints32]) -> Floats:
        """Loss of every row, one victim after the other; `rows[v]` at `params[v]`."""
        every = np.concatenate(rows)
        origin = np.repeat(np.arange(len(rows)), [each.size for each in rows])
        each = self.trainer.losses(params.astype(np.float32), origin, np.arange(every.size + 1), every)
        return each.astype(np.float64)


VictimT = TypeVar("VictimT", bound=Victim)
"""What is known of a victim."""


class MembershipListener(Generic[VictimT]):
    """Adds up what messages tell of the victims' rows; a `Listener`, which changes nothing.

    Args:
        scorer: None where clients have no rows, and nothing is scored.
        kept: which sums of `Victim` are kept; the others cost nothing.
    """

    def __init__(self, scorer: RowScorer | None, kept: Sequence[str] = _ALL):
        self._scorer, self._kept = scorer, kept
        self._victims: dict[tuple[int, int], VictimT] = {}

    @property
    def victims(self) -> list[VictimT]:
        """Who is listened to, episode by episode."""
        return list(self._victims.values())

    def hear(self, messages: Messages) -> None:
        """See `Listener.hear`."""
        jobs, heard = [], []
        for job, at in enumerate(zip(messages.env.tolist(), messages.client.tolist(), strict=True)):
            victim = self._victims.get(at)
            if victim is not None:
                jobs.append(job)
                heard.append(victim)
        if heard:
            if self._scorer is not None:
                self._add_up(self._scorer, messages, jobs, heard)
            self._note(messages, jobs, heard)

    def _note(self, messages: Messages, jobs: list[int], heard: list[VictimT]) -> None:
        """What else is made of the messages of these numbers, and whose they are."""

    def _add_up(self, scorer: RowScorer, messages: Messages, jobs: list[int], heard: list[VictimT]) -> None:
        """The sums that are kept of every victim heard."""
        rows, found = [victim.rows for victim in heard], {}
        if "drop" in self._kept or "fit" in self._kept:
            start, delta = messages.start[jobs], messages.delta[jobs]
            found["fit"] = scorer.losses(start + delta, rows)
            found["drop"] = scorer.losses(start, rows) - found["fit"]
        if "drop_sums" in self._kept:
            env = messages.env[jobs]
            before, after = messages.before[env], messages.after[env]
            found["drop_sums"] = scorer.losses(before, rows) - scorer.losses(after, rows)
        ends = np.cumsum([each.size for each in rows])[:-1]
        for name in self._kept:
            for victim, part in zip(heard, np.split(found[name], ends), strict=True):
                setattr(victim, name, getattr(victim, name) + part)
