"""Federated learning on quadratics whose optimum moves, and whose clients answer requests meanwhile."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...common.arrays import Bools, Floats, Ints
from ...common.settings import Spec
from ..aggregation import Aggregator, Compression
from ..federation import Answers, RequestSpans, Task
from ..numerics import uniform_bits
from ..training import LocalTraining
from .core import QuadraticCore
from .moving_kernels import along, losses_along, shifted
from .problem import QuadraticProblem, QuadraticSettings

_REQUEST_STREAM = np.uint64(0x0A115)


class MovingQuadraticCore(QuadraticCore):
    """A `QuadraticCore` whose objective is that of the moment, F(w - o(t)); a `StreamEngine`.

    Local training goes down the clients' objectives of the moment that `be_in` was last told. A request is
    answered rightly with the accuracy that the model has at its moment (see `evaluate`): by a uniform number
    of its own, so that a better model is right wherever a worse one is. The optimum is always right.
    Clients hold no samples that could be old: what they learn is whether they were right.

    Args:
        settings: see `QuadraticCore`, as for all others.
        num_envs: E.
        num_clients: N.
        training: likewise.
        aggregator: likewise.
        history: likewise.
        compression: likewise.
        labelled: share of the requests whose label is ever known.
    """

    _STATE = (*QuadraticCore._STATE, "still_linear", "still_constant", "change_s", "moves", "place",
              "path_linear", "path_constant", "path_best")  # fmt: skip
    _GROWS = ("change_s", "moves", "path_linear", "path_constant", "path_best")
    _follows = True

    def __init__(
        self,
        settings: QuadraticSettings | Mapping[str, object],
        num_envs: int,
        num_clients: int,
        training: LocalTraining | Mapping[str, object] | None = None,
        aggregator: Spec | Aggregator = "by-samples",
        history: int = 0,
        compression: Spec | Compression | None = None,
        labelled: float = 1.0,
    ) -> None:
        super().__init__(settings, num_envs, num_clients, training, aggregator, history, compression)
        d = self.settings.dimension
        self._labelled = labelled
        self._still_linear, self._still_constant = np.zeros_like(self._linear), np.zeros_like(self._constant)
        self._place = np.zeros(num_envs, dtype=np.int64)  # [E] how often the minimisers have moved
        self._change_s = np.zeros((num_envs, 0))  # [E, T] when they do; inf = no more
        self._moves = np.zeros((num_envs, 0, 1, d))  # [E, T, M, d] the offsets then
        self._path_linear = np.zeros((num_envs, 1, d))  # [E, T + 1, d] F's tables on the way
        self._path_constant, self._path_best = np.zeros((num_envs, 1)), np.zeros((num_envs, 1))

    def reset(self, env: int, task: Task, seed: int) -> None:
        """See `RoundEngine.reset`; the problem may have a path, along which its minimisers move."""
        super().reset(env, task, seed)
        assert isinstance(task, QuadraticProblem)
        path = task.path
        times_s = np.zeros(0) if path is None else path.times_s[1:]
        offset = np.zeros((0, 1, self.settings.dimension)) if path is None else path.offset[1:]
        self._widen(*offset.shape[:2])
        self._place[env], self._change_s[env], self._moves[env] = 0, np.inf, 0.0
        self._change_s[env, : times_s.size], self._moves[env, : times_s.size] = times_s, offset
        self._still_linear[env], self._still_constant[env] = self._linear[env], self._constant[env]
        tables = self._path_linear[env], self._path_constant[env], self._path_best[env]
        along(*self._still(env), self._moves[env], *tables)

    def be_in(self, concept: Ints, time_s: Floats) -> None:
        """See `StreamEngine.be_in`: the minimisers are where they are at that time."""
        place = self._places(np.arange(self.num_envs), time_s)
        for env in np.flatnonzero(place != self._place).tolist():
            here = self._moves[env, place[env] - 1] if place[env] else np.zeros((1, self.settings.dimension))
            shifted(*self._still(env), here, self._linear[env], self._constant[env])
            self._best[env] = self._path_best[env, place[env]]
        self._place = place

    def answer(self, spans: RequestSpans) -> Answers:
        """See `StreamEngine.answer`; the loss is F's."""
        env, place = spans.env, self._places(spans.env, spans.moment_s)
        models = np.ascontiguousarray(spans.models, dtype=np.float64)
        tables = self._hessian, self._path_linear, self._path_constant
        loss = losses_along(env, place, spans.origin, models, *tables)
        accuracy = self._accuracy(env, loss - self._path_best[env, place])
        first, count = spans.first, spans.end - spans.begin
        number = np.arange(first[-1]) - np.repeat(first[:-1] - spans.begin, count)
        luck = self._uniforms(np.repeat(env, count), np.repeat(spans.client, count), number, 0)
        right = luck < np.repeat(accuracy, count)
        return Answers(right, np.repeat(loss, count).astype(np.float32), np.ones(right.shape, dtype=bool))

    def labelled(self, env: Ints, client: Ints, number: Ints) -> Ints:
        """See `StreamEngine.labelled`."""
        return np.flatnonzero(self._uniforms(env, client, number, 1) < self._labelled)

    def learn(self, env: Ints, client: Ints, number: Ints, concept: Ints, moments_s: Floats) -> None:
        """See `StreamEngine.learn`: nothing is kept."""

    def forget(self, who: Bools) -> None:
        """See `StreamEngine.forget`: nothing was kept."""

    def memory_age_s(self, time_s: Floats) -> Floats:
        """See `StreamEngine.memory_age_s`: what clients train on is always of the moment."""
        return np.zeros(self._held.shape)

    def _places(self, env: Ints, time_s: Floats) -> Ints:
        """How often the minimisers of environments `[J]` have moved by moments `[J]`."""
        return np.asarray((self._change_s[env] <= time_s[:, None]).sum(axis=1))

    def _uniforms(self, env: Ints, client: Ints, number: Ints, what: int) -> Floats:
        """Numbers in [0, 1) `[R]`, one of each request."""
        bits = uniform_bits(self._seed[env] ^ _REQUEST_STREAM, client, number, what)
        return np.asarray((bits >> np.uint64(11)) * 2.0**-53)

    def _still(self, env: int) -> tuple[Floats, Floats, tuple[Floats, Floats]]:
        """What an environment's tables are made from."""
        tables = self._still_linear[env], self._still_constant[env]
        return self._hessian[env], self._target_weight[env], tables

    def _widen(self, moves: int, movers: int) -> None:
        """Make room for so many moves of so many movers."""
        room = max(0, moves - self._change_s.shape[1])
        if room:
            wide = ((0, 0), (0, room))
            self._change_s = np.pad(self._change_s, wide, constant_values=np.inf)
            self._moves = np.pad(self._moves, (*wide, (0, 0), (0, 0)))
            self._path_linear = np.pad(self._path_linear, (*wide, (0, 0)))
            self._path_constant = np.pad(self._path_constant, wide)
            self._path_best = np.pad(self._path_best, wide)
        if movers > self._moves.shape[2]:
            self._moves = np.repeat(self._moves, movers, axis=2)
