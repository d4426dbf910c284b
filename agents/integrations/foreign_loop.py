"""A scheduler in somebody else's training loop: pfl-research, NVFlare, FedML, or one of one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from ...common.arrays import Bools, Floats
from ...common.settings import Settings
from ...common.units import BYTES_PER_GB, SECONDS_PER_HOUR
from ...envs.contract import PAST, Scheduler, Situation, scheduler_seeds

_LEADS_S = np.array([SECONDS_PER_HOUR])
_FIRST = np.ones(1, dtype=bool)


Positive = Annotated[float, Field(gt=0)]
PerClient = Positive | tuple[Positive, ...]


class LoopFacts(Settings):
    """What a loop knows of its clients and its costs; one number stands for all clients."""

    step_s: PerClient = 1.0
    bytes_per_s: PerClient = 1e6
    compute_watts: PerClient = 10.0
    network_j_per_byte: float = Field(default=3e-8, ge=0)
    g_per_kwh: float = Field(default=300.0, ge=0)
    model_bytes: float = Field(default=1e6, gt=0)
    overhead_s: float = Field(default=0.0, ge=0)
    deadline_s: float = Field(default=3600.0, gt=0)
    max_rounds: int = Field(default=100, ge=1)
    price_per_hour: float = Field(default=0.0, ge=0)
    price_per_gb: float = Field(default=0.0, ge=0)
    price_per_kg: float = Field(default=0.0, ge=0)


@dataclass(frozen=True)
class LoopOrders:
    """What a loop should do next."""

    local_steps: dict[int, int]  # of each client that is to train; empty: nobody now
    answers: int  # to wait for before the round is closed
    wait_s: float  # to pass before the next question; infinity: the run is over


class ForeignLoop:
    """Asks a scheduler before every round of a loop that it does not run, and tells it what came of it.

    Example:
        >>> loop = ForeignLoop(make_scheduler("oort", participants=2), samples=[100, 50, 80])
        >>> orders = loop.ask(available=[True, True, False])
        >>> loop.tell(losses={0: 1.9, 1: 2.1}, accuracy=0.3, loss=1.8, hours=0.1)

    Args:
        scheduler: any that needs no future.
        samples: rows that each client trains on, `[N]`.
        facts: of clients and costs; what is left out is the same for all.
        accuracy: of the model before the first round, 0 to 1.
        loss: of it.
        seed: of the scheduler's random numbers.

    Raises:
        ValueError: one line: no clients, or facts that do not fit.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        samples: Sequence[int],
        facts: LoopFacts | None = None,
        accuracy: float = 0.0,
        loss: float = float("nan"),
        seed: int = 0,
    ):
        if not len(samples) or min(samples) < 1:
            raise ValueError(f"samples: {list(samples)}, expected a positive number of rows for each client")
        if scheduler.clairvoyant:
            raise ValueError(f"scheduler: {scheduler.name!r} needs the future, which a loop cannot show it")
        self._scheduler, self._facts = scheduler, facts or LoopFacts()
        self._samples = np.array(samples, dtype=np.int64)
        n = self._samples.size
        self._per_client = {
            name: self._spread(name, n) for name in ("step_s", "bytes_per_s", "compute_watts")
        }
        self._last_loss, self._completed_at = np.full(n, np.nan), np.full(n, -1, dtype=np.int64)
        self._invitations, self._completions = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        self._sightings, self._looks = np.zeros(n, dtype=np.int64), 0
        self._round, self._hours, self._gigabytes = 0, 0.0, 0.0
        self._asked = np.zeros(n, dtype=bool)
        self._scores = [(accuracy, loss)]
        scheduler.reset(_FIRST, scheduler_seeds(np.array([seed])), n)

    def ask(self, available: Sequence[bool] | None = None, utc_hour: float = 0.0) -> LoopOrders:
        """Who is to train now.

        Args:
            available: who could be invited, `[N]`; None: everybody.
            utc_hour: hour of the day, for schedulers that look at it.

        Raises:
            ValueError: not a truth value for each client, or a scheduler that wants to be told losses first.
        """
        here = np.ones(self._samples.size, dtype=bool) if available is None else np.asarray(available, bool)
        if here.shape != self._samples.shape:
            raise ValueError(
                f"available: {here.size} values, expected one for each of {self._samples.size} clients"
            )
        self._looks += 1
        self._sightings += here
        plan = self._scheduler.plan(self._situation(here, utc_hour))
        if plan.is_probe.any():
            raise ValueError(
                f"scheduler: {self._scheduler.name!r} asks clients for their losses before a round; "
                "expected one that needs only what rounds report"
            )
        self._asked = plan.invited[0] & here
        steps = {int(client): int(plan.local_steps[0, client]) for client in np.flatnonzero(self._asked)}
        self._invitations += self._asked
        return LoopOrders(steps, int(np.ceil(plan.quorum[0] * len(steps) - 1e-9)), float(plan.wait_s[0]))

    def tell(
        self,
        losses: Mapping[int, float],
        accuracy: float,
        loss: float,
        hours: float,
        samples: Mapping[int, int] | None = None,
    ) -> None:
        """What came of a round.

        Args:
            losses: mean training loss of each client whose update entered the model.
            accuracy: of the model now, 0 to 1.
            loss: of it.
            hours: that the round took.
            samples: rows that clients train on, where they have said so by now.
        """
        for client, count in (samples or {}).items():
            self._samples[client] = count
        arrived = np.array(sorted(losses), dtype=np.int64)
        self._completions[arrived] += 1
        self._completed_at[arrived] = self._round
        self._last_loss[arrived] = [losses[int(client)] for client in arrived]
        self._gigabytes += self._facts.model_bytes * (self._asked.sum() + arrived.size) / BYTES_PER_GB
        self._round += 1
        self.wait(hours)
        self._scores.append((accuracy, loss))

    def wait(self, hours: float) -> None:
        """So many hours have passed without a round."""
        self._hours += hours

    def _spread(self, name: str, num_clients: int) -> Floats:
        value = np.asarray(getattr(self._facts, name), dtype=np.float64)
        if value.ndim and value.size != num_clients:
            raise ValueError(f"{name}: {value.size} values, expected one for each of {num_clients} clients")
        return np.broadcast_to(value, (num_clients,)).copy()

    def _situation(self, here: Bools, utc_hour: float) -> Situation:
        facts, n = self._facts, self._samples.size
        past = np.array([self._scores[0]] * PAST + self._scores)[-PAST:]
        one, row = np.ones(1), np.ones((1, n))
        return Situation.of(
            available=here[None],
            zone=np.zeros((1, n), dtype=np.int64),
            session_age_s=0.0 * row,
            announced_left_s=np.inf * row,
            forecast_leads_s=_LEADS_S,
            available_forecast=(self._sightings / self._looks)[None, :, None],
            step_s=self._per_client["step_s"][None],
            down_bytes_per_s=self._per_client["bytes_per_s"][None],
            up_bytes_per_s=self._per_client["bytes_per_s"][None],
            compute_watts=self._per_client["compute_watts"][None],
            network_j_per_byte=facts.network_j_per_byte * row,
            samples_held=self._samples[None].copy(),
            samples_sent=np.zeros((1, n), dtype=np.int64),
            storage_left=np.zeros((1, n), dtype=np.int64),
            target_weight=(self._samples / self._samples.sum())[None],
            last_loss=self._last_loss[None].copy(),
            last_norm=np.nan * row,
            rounds_since=(self._round - self._completed_at)[None],
            invitations=self._invitations[None].copy(),
            completions=self._completions[None].copy(),
            sightings=self._sightings[None].copy(),
            local_hour=np.array([[utc_hour]]),
            carbon_g_per_kwh=np.array([[facts.g_per_kwh]]),
            carbon_leads_s=_LEADS_S,
            carbon_forecast=np.array([[[facts.g_per_kwh]]]),
            time_s=self._hours * SECONDS_PER_HOUR * one,
            utc_hour=utc_hour * one,
            round_index=np.array([self._round]),
            rounds_left=np.array([facts.max_rounds - self._round]),
            looks=np.array([self._looks]),
            accuracy=past[-1:, 0],
            loss=past[-1:, 1],
            recent_gain=past[-1:, 0] - past[:1, 0],
            best_accuracy=np.array([max(accuracy for accuracy, _ in self._scores)]),
            past_accuracy=past[None, :, 0],
            past_loss=past[None, :, 1],
            hours=self._hours * one,
            gigabytes=self._gigabytes * one,
            kilograms=0.0 * one,
            price_per_hour=facts.price_per_hour * one,
            price_per_gb=facts.price_per_gb * one,
            price_per_kg=facts.price_per_kg * one,
            budget_left=np.full((1, 3), np.inf),
            model_bytes=facts.model_bytes,
            sample_bytes=0.0 * one,
            overhead_s=facts.overhead_s * one,
            deadline_s=facts.deadline_s * one,
        )
