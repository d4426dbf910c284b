"""Late updates: clients that still work when their round closes are cancelled, or awaited in later rounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ...common.arrays import AnyArray, Bools, Floats, Ints
from ...fl_core.aggregation import Aggregator
from ...fl_core.federation import TrainingOrders
from ..scenario import Late
from .work import Progress, Step


class LateRule(Protocol):
    """What happens to those who are late."""

    @property
    def busy(self) -> Bools:
        """Bool `[E, N]`, who is still at work for an earlier round and cannot be invited."""

    def reset(self, envs: Bools) -> None:
        """New episodes begin in the rows of `envs`."""

    def play(self, step: Step) -> Progress:
        """Let the step's time pass."""

    def settle(self, progress: Progress, energy_j: Floats, versions: Ints) -> tuple[Bools, Floats]:
        """Who is cancelled, and joules spent for updates that will never enter the model, each `[E, N]`.

        Args:
            progress: of the step.
            energy_j: `[E, N]`, spent in it.
            versions: int `[E]`, how often the models have changed, this step included.
        """

    def abandon(self, envs: Bools) -> tuple[Bools, Floats]:
        """The episodes of `envs` end: as `settle`, for everybody still at work in them."""


class DropLate:
    """Whoever still works when the round closes is cancelled at once."""

    def __init__(self, num_envs: int, num_clients: int):
        self._nobody = np.zeros((num_envs, num_clients), dtype=bool)
        self._cancelled = self._nobody

    @property
    def busy(self) -> Bools:
        """See `LateRule.busy`."""
        return self._nobody.copy()

    def reset(self, envs: Bools) -> None:
        """See `LateRule.reset`."""

    def play(self, step: Step) -> Progress:
        """See `LateRule.play`."""
        timeline, work = step.timeline, step.work
        completed = timeline.completed & work.invited
        self._cancelled = timeline.cancelled & work.invited
        downloaded = (work.invited | work.probed) & (timeline.down_s >= work.down_s)
        return Progress(
            completed=completed,
            lost=timeline.lost & work.invited,
            stop_s=timeline.stop_s,
            down_s=timeline.down_s,
            compute_s=timeline.compute_s,
            up_s=timeline.up_s,
            down_before_s=np.zeros_like(timeline.down_s),
            downloaded=downloaded,
            received=np.where(downloaded, work.sent, 0),
            orders=TrainingOrders(
                local_steps=np.where(completed, step.plan.local_steps, 0).astype(np.int32),
                weights=step.plan.weights,
                round_index=step.round_index.copy(),
                server_step=step.plan.server_step,
                upload_bits=_each(step.plan.upload_bits, completed),
                closes=step.closes,
            ),
        )

    def settle(self, progress: Progress, energy_j: Floats, versions: Ints) -> tuple[Bools, Floats]:
        """See `LateRule.settle`."""
        return self._cancelled, np.where(progress.completed, 0.0, energy_j)

    def abandon(self, envs: Bools) -> tuple[Bools, Floats]:
        """See `LateRule.abandon`."""
        return self._nobody, np.zeros(self._nobody.shape)


@dataclass
class _AtWork:
    """What is kept of each client at work, `[E, N]`; blank for the others."""

    working: Bools  # still at it
    delivered: Bools  # whose update has arrived and waits for a training round to close
    survives: Bools  # whose session lasts until it is done
    elapsed_s: Floats  # worked since the invitation
    quit_s: Floats  # after the invitation, when it is done or its session ends
    down_s: Floats  # of its download
    compute_s: Floats  # of its local steps
    up_s: Floats  # of its upload
    spent_j: Floats  # so far
    weight: Floats  # its coefficient by the plan; nan = the aggregator's
    steps: Ints  # local
    sent: Ints  # samples
    held: Ints  # samples it trains on
    version: Ints  # of the model it started from
    round_index: Ints  # of the round it was invited to
    upload_bits: Ints  # of its update, by the plan; 0 = the world's own

    @classmethod
    def blank(cls, num_envs: int, num_clients: int) -> _AtWork:
        """Nobody is at work."""
        shape = (num_envs, num_clients)
        flags = [np.zeros(shape, dtype=bool) for _ in range(3)]
        amounts = [np.zeros(shape) for _ in range(6)]
        counts = [np.zeros(shape, dtype=np.int64) for _ in range(6)]
        return cls(*flags, *amounts, np.full(shape, np.nan), *counts)  # type: ignore[arg-type, call-arg]

    def clear(self, gone: Bools) -> None:
        """Forget these clients `[E, N]`."""
        for name, values in vars(self).items():
            values[gone] = np.nan if name == "weight" else 0

    def enter(self, who: Bools, **values: AnyArray | float) -> None:
        """Write fields of these clients `[E, N]`."""
        for name, value in values.items():
            np.copyto(getattr(self, name), value, where=who)


class KeepLate:
    """Whoever still works when the round closes goes on, and its update enters a later round.

    A client is busy, and cannot be invited, until its update has entered the model, its session has ended or
    it is cancelled: when the model has changed more than `max_rounds` times since it was invited, or with the
    episode. Updates enter at the close of training rounds: those that come in while the coordinator waits,
    probes or sums up are kept for the next one. Each second of work is charged in the step in which it is
    done, and counts as wasted in the step in which it turns out to have been for nothing.

    Args:
        num_envs: E.
        num_clients: N.
        max_rounds: most changes of the model between invitation and arrival.
    """

    def __init__(self, num_envs: int, num_clients: int, max_rounds: int):
        self._max_rounds = max_rounds
        self._table = _AtWork.blank(num_envs, num_clients)

    @property
    def busy(self) -> Bools:
        """See `LateRule.busy`."""
        return np.asarray(self._table.working | self._table.delivered)

    def reset(self, envs: Bools) -> None:
        """See `LateRule.reset`."""
        self._table.clear(np.broadcast_to(envs[:, None], self._table.working.shape))

    def play(self, step: Step) -> Progress:
        """See `LateRule.play`."""
        self._enrol(step)
        t = self._table
        working, survives, before_s, finish_s = t.working, t.survives, t.elapsed_s, self._finish_s()
        until_s = before_s + step.duration_s[:, None]
        after_s = np.where(working, np.minimum(t.quit_s, until_s), before_s)
        finished = working & survives & (finish_s <= until_s)
        in_time = working & survives & (finish_s <= before_s + step.timeline.duration_s[:, None])
        entering = step.closes[:, None] & (t.delivered | in_time)
        lost = working & ~survives & (t.quit_s <= until_s)
        earlier, now = self._phases(before_s), self._phases(after_s)
        got_it = (working | t.delivered) & (before_s < t.down_s) & (after_s >= t.down_s)
        probed, alone = step.work.probed, step.timeline
        progress = Progress(
            completed=entering,
            lost=lost,
            stop_s=np.where(probed, alone.stop_s, after_s - before_s),
            down_s=np.where(probed, alone.down_s, now[0] - earlier[0]),
            compute_s=np.where(probed, alone.compute_s, now[1] - earlier[1]),
            up_s=np.where(probed, alone.up_s, now[2] - earlier[2]),
            down_before_s=np.where(working, earlier[0], 0.0),
            downloaded=got_it | (probed & (alone.down_s >= step.work.down_s)),
            received=np.where(got_it, t.sent, 0),
            orders=self._orders(step, entering),
            held=np.where(entering, t.held, step.held),
        )
        t.elapsed_s = after_s
        t.delivered = (t.delivered | finished) & ~entering
        t.working = working & ~finished & ~lost
        return progress

    def settle(self, progress: Progress, energy_j: Floats, versions: Ints) -> tuple[Bools, Floats]:
        """See `LateRule.settle`."""
        t = self._table
        ended = progress.completed | progress.lost
        t.spent_j += np.where(self.busy | ended, energy_j, 0.0)
        cancelled = self.busy & (versions[:, None] - t.version > self._max_rounds)
        wasted_j = np.where(cancelled | progress.lost, t.spent_j, 0.0)
        self._table.clear(ended | cancelled)
        return cancelled, wasted_j

    def abandon(self, envs: Bools) -> tuple[Bools, Floats]:
        """See `LateRule.abandon`."""
        cancelled = self.busy & envs[:, None]
        wasted_j = np.where(cancelled, self._table.spent_j, 0.0)
        self._table.clear(cancelled)
        return cancelled, wasted_j

    def _enrol(self, step: Step) -> None:
        """Whoever was invited begins to work."""
        work, plan = step.work, step.plan
        finish_s = work.down_s + work.compute_s + work.up_s
        self._table.enter(
            work.invited,
            working=True,
            survives=step.session_left_s >= finish_s,
            quit_s=np.minimum(finish_s, step.session_left_s),
            down_s=work.down_s,
            compute_s=work.compute_s,
            up_s=work.up_s,
            weight=np.nan if plan.weights is None else plan.weights,
            steps=plan.local_steps,
            sent=work.sent,
            held=step.held + work.sent,
            version=step.versions[:, None],
            round_index=step.round_index[:, None],
            upload_bits=0 if plan.upload_bits is None else plan.upload_bits[:, None],
        )

    def _finish_s(self) -> Floats:
        return np.asarray(self._table.down_s + self._table.compute_s + self._table.up_s)

    def _phases(self, worked_s: Floats) -> tuple[Floats, Floats, Floats]:
        """Of the seconds worked since the invitation: downloading, computing, uploading."""
        down_s = np.minimum(worked_s, self._table.down_s)
        compute_s = np.minimum(worked_s - down_s, self._table.compute_s)
        return down_s, compute_s, np.minimum(worked_s - down_s - compute_s, self._table.up_s)

    def _orders(self, step: Step, entering: Bools) -> TrainingOrders:
        """What the core is to do: every update starts from the model it was sent, with its own draws."""
        t = self._table
        weights = np.where(entering, t.weight, np.nan)
        return TrainingOrders(
            local_steps=np.where(entering, t.steps, 0).astype(np.int32),
            weights=None if np.isnan(weights).all() else weights,
            round_index=np.where(entering, t.round_index, step.round_index[:, None]),
            staleness=np.where(entering, step.versions[:, None] - t.version, 0),
            server_step=step.plan.server_step,
            upload_bits=t.upload_bits.copy() if t.upload_bits.any() else None,
            closes=step.closes,
        )


def _each(per_env: Ints | None, like: Bools) -> Ints | None:
    """`[E, N]` from `[E]`."""
    return None if per_env is None else np.broadcast_to(per_env[:, None], like.shape)


def make_late_rule(late: Late, aggregator: Aggregator, num_envs: int, num_clients: int) -> LateRule:
    """The rule that a scenario's `late` says; ValueError where its aggregator cannot use late updates."""
    if late.kind == "drop":
        return DropLate(num_envs, num_clients)
    if not aggregator.accepts_late:
        raise ValueError(
            f"late: {late.kind!r}: aggregator {aggregator.name!r} cannot use late updates; "
            "expected late: {kind: drop} or an aggregator such as 'stale'"
        )
    return KeepLate(num_envs, num_clients, late.max_rounds)
