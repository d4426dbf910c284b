"""What an eavesdropper learns of the clients from an evaluation's messages; for evaluators only.

The attacks are passive: nothing is changed by listening. In each episode up to four victims are drawn, the
same for every scheduler; a victim that never answers gives nothing away. Somebody who sees single messages is
told apart from somebody who sees only their sums, which is what secure aggregation leaves, and what anybody
who is sent the models sees anyway.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from ...common.arrays import AnyArray, Bools, Floats, Floats32, Ints, Ints32
from ...envs.world import FederatedWorld
from ...fl_core.data import ClientRows, Dataset
from ...fl_core.federation import Messages
from ...fl_core.quadratics import QuadraticProblem
from ...fl_core.training import LocalJobs, LocalTrainer, make_trainer
from .measures import attribute_gain, membership_auc, reconstructed_model
from .results import LEAKS

VICTIMS = 4
_MOST_ROWS = 200
_MOST_MESSAGES = 32
_ALONE_STEPS = 200
_RAREST = 0.1
_STREAM = 0xEA5


@dataclass
class Victim:
    """One client that somebody would like to know more of.

    Attributes:
        env: of which episode.
        client: which client of it.
        rows: numbers of the rows that are scored, in the eavesdropper's data set: members, then others of the
            same labels, then members with the binary attribute turned round.
        members: how many of them are members; as many are others.
        ideal: `[P]`, the model that it would make of its rows alone.
        start: `[P]`, the model at the beginning.
        drop: loss of the rows before minus after its updates, summed over rounds; `drop_sums`: before minus
            after the rounds in which it took part.
        fit: loss of the rows at the models that it sent back, summed over rounds.
    """

    env: int
    client: int
    rows: Ints32
    members: int
    ideal: AnyArray
    start: AnyArray
    drop: Floats = field(init=False)
    drop_sums: Floats = field(init=False)
    fit: Floats = field(init=False)
    models: list[AnyArray] = field(default_factory=list)
    updates: list[AnyArray] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.drop, self.drop_sums, self.fit = (np.zeros(self.rows.size) for _ in range(3))

    def auc(self, drop: Floats) -> float:
        """Membership from loss drops: one half if it was never heard of."""
        return membership_auc(drop[: self.members], drop[self.members : 2 * self.members])

    def distance(self) -> float:
        """Of the reconstructed model from the ideal one, in units of the start's; 1 if nothing was heard."""
        if not self.models:
            return 1.0
        found = reconstructed_model(np.stack(self.models), np.stack(self.updates))
        before = float(np.linalg.norm(self.start.astype(np.float64) - self.ideal))
        return float(np.linalg.norm(found - self.ideal)) / max(before, 1e-30)


class Eavesdropper:
    """Listens to the worlds of a batch of episodes, from their reset to the end of the last.

    Args:
        world: the worlds; the next episodes are those of `seeds`.
        seeds: `[E]`.
    """

    def __init__(self, world: FederatedWorld, seeds: Ints) -> None:
        source = world.source
        if source.scenario.arrivals is not None:
            raise ValueError(
                "leakage: True, expected False with arrivals: what a client trains on changes all the time"
            )
        data = source.dataset
        self._training = source.training
        self._attribute = None if source.quadratic is not None else binary_attribute(data)
        self._trainer: LocalTrainer | None = None
        if source.quadratic is None:
            self._trainer = make_trainer("auto", _scored(data, self._attribute), source.model)
        self._data, self._num_envs = data, world.num_envs
        self._victims: dict[tuple[int, int], Victim] = {}
        for env, seed in enumerate(seeds.tolist()):
            draw = source.draw(seed)
            rng = np.random.default_rng([_STREAM, seed])
            if isinstance(draw.task, QuadraticProblem):
                honest, start = np.flatnonzero(~draw.liars), draw.task.start
                for client in rng.choice(honest, min(VICTIMS, honest.size), replace=False).tolist():
                    none = np.zeros(0, dtype=np.int32)
                    self._add(Victim(env, client, none, 0, draw.task.centre[client], start))
            elif isinstance(draw.task, ClientRows):
                self._choose(env, draw.task, draw.liars, source.model.init(max(draw.model_seed, 0)), rng)

    def _choose(
        self, env: int, task: ClientRows, liars: Bools, start: Floats32, rng: np.random.Generator
    ) -> None:
        """The victims of an episode on data: honest clients with rows of their own."""
        candidates = np.flatnonzero((task.own >= 2) & ~liars)
        for client in rng.choice(candidates, min(VICTIMS, candidates.size), replace=False).tolist():
            own = task.rows[task.offset[client] : task.offset[client] + task.own[client]]
            members, others = self._matched(own, rng)
            turned = () if self._attribute is None else members + _turned_from(self._data)
            rows = np.concatenate([members, others + self._data.num_rows, turned]).astype(np.int32)
            self._add(Victim(env, client, rows, members.size, self._alone(start, own, rng), start))

    def _matched(self, own: Ints32, rng: np.random.Generator) -> tuple[Ints, Ints]:
        """As many rows of its own and of the test set, label by label: only membership tells them apart."""
        own = rng.permutation(own)[:_MOST_ROWS]
        labels, test = self._data.y_train[own], rng.permutation(self._data.y_test.size)
        members, others = [], []
        for label in np.unique(labels):
            mine, theirs = own[labels == label], test[self._data.y_test[test] == label]
            count = min(mine.size, theirs.size)
            members.append(mine[:count])
            others.append(theirs[:count])
        return np.concatenate(members).astype(np.int64), np.concatenate(others).astype(np.int64)

    def _alone(self, start: Floats32, own: Ints32, rng: np.random.Generator) -> Floats32:
        """What a client's rows make of the model in many steps."""
        assert self._trainer is not None
        rows = rng.choice(own, (_ALONE_STEPS, self._training.batch_size)).astype(np.int32)
        jobs = LocalJobs(start[None], np.zeros(1, dtype=np.int64), np.array([0, _ALONE_STEPS]), rows)
        return np.asarray(start + self._trainer.run(jobs, self._training).delta[0])

    def _add(self, victim: Victim) -> None:
        self._victims[victim.env, victim.client] = victim

    @property
    def victims(self) -> list[Victim]:
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
        for job, victim in zip(jobs, heard, strict=True):
            victim.models = [*victim.models, messages.start[job].copy()][-_MOST_MESSAGES:]
            victim.updates = [*victim.updates, messages.delta[job].copy()][-_MOST_MESSAGES:]
        if self._trainer is None or not jobs:
            return
        env = messages.env[jobs]
        start, delta = messages.start[jobs], messages.delta[jobs]
        local = self._losses(start + delta, heard)
        found = {
            "drop": self._losses(start, heard) - local,
            "drop_sums": self._losses(messages.before[env], heard) - self._losses(messages.after[env], heard),
            "fit": local,
        }
        ends = np.cumsum([victim.rows.size for victim in heard])[:-1]
        for name, values in found.items():
            for victim, part in zip(heard, np.split(values, ends), strict=True):
                setattr(victim, name, getattr(victim, name) + part)

    def _losses(self, params: AnyArray, heard: list[Victim]) -> Floats:
        """Loss of every row of the victims heard, one after the other, at their rows of `params`."""
        assert self._trainer is not None
        rows = np.concatenate([victim.rows for victim in heard])
        origin = np.repeat(np.arange(len(heard)), [victim.rows.size for victim in heard])
        each = self._trainer.losses(params.astype(np.float32), origin, np.arange(rows.size + 1), rows)
        return each.astype(np.float64)

    def _gain(self, victim: Victim) -> float:
        """See `attribute_gain`; who was never heard of is guessed to have the frequent value."""
        if self._attribute is None:
            return float("nan")
        if not victim.models:
            return 0.0
        m = victim.members
        right = 0.5 + 0.5 * np.sign(victim.fit[2 * m :] - victim.fit[:m])
        return attribute_gain(right, self._data.x_train[victim.rows[:m], self._attribute])

    def found(self) -> dict[str, Floats]:
        """`LEAKS`, each `[E]`: means over an episode's victims; nan where something makes no sense."""
        columns: dict[str, Floats] = {name: np.full(self._num_envs, np.nan) for name in LEAKS}
        for env in range(self._num_envs):
            victims = [victim for victim in self._victims.values() if victim.env == env]
            for name, values in (
                ("mia_auc", [victim.auc(victim.drop) for victim in victims]),
                ("mia_auc_sums", [victim.auc(victim.drop_sums) for victim in victims]),
                ("reconstruction", [victim.distance() for victim in victims]),
                ("aia_gain", [self._gain(victim) for victim in victims]),
            ):
                known = [value for value in values if value == value]
                columns[name][env] = np.mean(known) if known else np.nan
        return columns


def binary_attribute(data: Dataset) -> int | None:
    """The feature with two values that are most evenly shared, if one has them and none is rare."""
    best, share = None, _RAREST
    for column, values in enumerate(data.x_train.T):
        counts = np.unique(values, return_counts=True)[1]
        if counts.size == 2 and counts.min() / counts.sum() >= share:
            best, share = column, float(counts.min() / counts.sum())
    return best


def _turned_from(data: Dataset) -> int:
    """Where, in what is scored, the training rows with the attribute turned round begin."""
    return data.num_rows + data.y_test.size


def _scored(data: Dataset, attribute: int | None) -> Dataset:
    """A data set whose training rows are those that are scored: training, test, training turned round."""
    x, y = [data.x_train, data.x_test], [data.y_train, data.y_test]
    if attribute is not None:
        turned = data.x_train.copy()
        values = data.x_train[:, attribute]
        turned[:, attribute] = values.min() + values.max() - values
        x.append(turned)
        y.append(data.y_train)
    return replace(data, x_train=np.concatenate(x), y_train=np.concatenate(y), natural_client=None)
