"""What an eavesdropper learns of the clients from an evaluation's messages; for evaluators only.

The attacks are passive: nothing is changed by listening. In each episode up to four victims are drawn, the
same for every scheduler; a victim that never answers gives nothing away. Somebody who sees single messages is
told apart from somebody who sees only their sums, which is what secure aggregation leaves, and what anybody
who is sent the models sees anyway.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ...common.arrays import AnyArray, Bools, Floats, Floats32, Ints, Ints32
from ...envs.world import FederatedWorld
from ...fl_core.data import ClientRows, Dataset
from ...fl_core.federation import Messages
from ...fl_core.leakage import MembershipListener, RowScorer, Victim, matched_rows
from ...fl_core.quadratics import QuadraticProblem
from ...fl_core.training import LocalJobs
from .measures import attribute_gain, reconstructed_model
from .results import FOUND

VICTIMS = 4
_MOST_MESSAGES = 32
_ALONE_STEPS = 200
_RAREST = 0.1
_STREAM = 0xEA5


@dataclass
class ModelVictim(Victim):
    """A victim whose messages are kept, since its local model may be known by them.

    Attributes:
        ideal: `[P]`, the model that it would make of its rows alone.
        start: `[P]`, the model at the beginning.
        models: that it was sent, the last of them.
        updates: its answers to these.
    """

    ideal: AnyArray
    start: AnyArray
    models: list[AnyArray] = field(default_factory=list)
    updates: list[AnyArray] = field(default_factory=list)

    def distance(self) -> float:
        """Of the reconstructed model from the ideal one, in units of the start's; 1 if nothing was heard."""
        if not self.models:
            return 1.0
        found = reconstructed_model(np.stack(self.models), np.stack(self.updates))
        before = float(np.linalg.norm(self.start.astype(np.float64) - self.ideal))
        return float(np.linalg.norm(found - self.ideal)) / max(before, 1e-30)


class Eavesdropper(MembershipListener[ModelVictim]):
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
        scorer: RowScorer | None = None
        if source.quadratic is None:
            scorer = RowScorer(data, source.model, "test", self._attribute)
        super().__init__(scorer)
        self._data, self._num_envs = data, world.num_envs
        for env, seed in enumerate(seeds.tolist()):
            draw = source.draw(seed)
            rng = np.random.default_rng([_STREAM, seed])
            if isinstance(draw.task, QuadraticProblem):
                honest, start = np.flatnonzero(~draw.liars), draw.task.start
                for client in rng.choice(honest, min(VICTIMS, honest.size), replace=False).tolist():
                    none = np.zeros(0, dtype=np.int32)
                    self._add(ModelVictim(env, client, none, 0, draw.task.centre[client], start))
            elif isinstance(draw.task, ClientRows):
                self._choose(env, draw.task, draw.liars, source.model.init(max(draw.model_seed, 0)), rng)

    def _choose(
        self, env: int, task: ClientRows, liars: Bools, start: Floats32, rng: np.random.Generator
    ) -> None:
        """The victims of an episode on data: honest clients with rows of their own."""
        scorer = self._scorer
        assert scorer is not None
        candidates = np.flatnonzero((task.own >= 2) & ~liars)
        for client in rng.choice(candidates, min(VICTIMS, candidates.size), replace=False).tolist():
            own = task.rows[task.offset[client] : task.offset[client] + task.own[client]]
            members, others = matched_rows(own, self._data.y_train, self._data.y_test, rng)
            turned = () if self._attribute is None else members + scorer.turned_at
            rows = np.concatenate([members, others + scorer.others_at, turned]).astype(np.int32)
            alone = self._alone(scorer, start, own, rng)
            self._add(ModelVictim(env, client, rows, members.size, alone, start))

    def _alone(self, scorer: RowScorer, start: Floats32, own: Ints32, rng: np.random.Generator) -> Floats32:
        """What a client's rows make of the model in many steps."""
        rows = rng.choice(own, (_ALONE_STEPS, self._training.batch_size)).astype(np.int32)
        jobs = LocalJobs(start[None], np.zeros(1, dtype=np.int64), np.array([0, _ALONE_STEPS]), rows)
        return np.asarray(start + scorer.trainer.run(jobs, self._training).delta[0])

    def _add(self, victim: ModelVictim) -> None:
        self._victims[victim.env, victim.client] = victim

    def _note(self, messages: Messages, jobs: list[int], heard: list[ModelVictim]) -> None:
        for job, victim in zip(jobs, heard, strict=True):
            victim.models = [*victim.models, messages.start[job].copy()][-_MOST_MESSAGES:]
            victim.updates = [*victim.updates, messages.delta[job].copy()][-_MOST_MESSAGES:]

    def _gain(self, victim: ModelVictim) -> float:
        """See `attribute_gain`; who was never heard of is guessed to have the frequent value."""
        if self._attribute is None:
            return float("nan")
        if not victim.models:
            return 0.0
        m = victim.members
        right = 0.5 + 0.5 * np.sign(victim.fit[2 * m :] - victim.fit[:m])
        return attribute_gain(right, self._data.x_train[victim.rows[:m], self._attribute])

    def found(self) -> dict[str, Floats]:
        """`FOUND`, each `[E]`: means over an episode's victims; nan where something makes no sense."""
        columns: dict[str, Floats] = {name: np.full(self._num_envs, np.nan) for name in FOUND}
        for env in range(self._num_envs):
            victims = [victim for victim in self.victims if victim.env == env]
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
