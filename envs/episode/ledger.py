"""The ledger of a batch of episodes: what every client did and what everything cost so far."""

from __future__ import annotations

import numpy as np

from ...common.arrays import Bools, Floats, Ints
from ...common.units import BYTES_PER_GB, GRAMS_PER_KG, JOULES_PER_KWH, SECONDS_PER_HOUR
from ..contract import PAST, RoundOutcome

_ROUNDING = 1e-6
"""What differences of sums may come to below zero."""

_PER_CLIENT_COUNTS = ("invitations", "completions", "lost", "cancelled", "sightings", "probes")
_PER_ENV_COUNTS = ("rounds", "decisions", "looks", "repairs")
_LAST = ("last_hours", "last_gigabytes", "last_kilograms", "last_invited", "last_completed")
_PER_ENV_SUMS = ("hours", "gigabytes", "kilowatt_hours", "kilograms", "wasted_kilowatt_hours")


class Ledger:
    """Running counts and sums of E episodes with N clients; arrays only, one row per environment.

    Attributes:
        invitations, completions, lost, cancelled, sightings, probes: int64 `[E, N]`, how often.
        last_loss, last_norm: float64 `[E, N]`, as last reported; nan if never.
        probed_loss: float64 `[E, N]`, loss at the present model of clients asked since it changed; else nan.
        last_round: int64 `[E, N]`, index of the last training round it completed; -1 if never.
        rounds: int64 `[E]`, training rounds so far, those to which nobody could be invited included.
        decisions: int64 `[E]`, steps so far: rounds, waits and probes.
        looks: int64 `[E]`, how often `sightings` was counted.
        repairs: int64 `[E]`, orders that could not be carried out.
        hours, gigabytes, kilowatt_hours, kilograms, wasted_kilowatt_hours: float64 `[E]`, sums so far.
        last_hours, last_gigabytes, last_kilograms, last_invited, last_completed: float64 `[E]`, of the last
            training round; 0 before the first.
        accuracy, loss: float64 `[E]`, validation scores now.
        best_accuracy: float64 `[E]`, the largest validation accuracy so far.
        past_accuracy, past_loss: float64 `[E, PAST]`, before each of the last training rounds, and now.
        accuracy_start: float64 `[E]`, validation accuracy of the untrained model.
        net_points: float64 `[E]`, sum of rewards.
    """

    def __init__(self, num_envs: int, num_clients: int):
        for name in _PER_CLIENT_COUNTS:
            setattr(self, name, np.zeros((num_envs, num_clients), dtype=np.int64))
        for name in (*_PER_ENV_SUMS, *_LAST):
            setattr(self, name, np.zeros(num_envs))
        self.last_loss = np.full((num_envs, num_clients), np.nan)
        self.last_norm = np.full((num_envs, num_clients), np.nan)
        self.probed_loss = np.full((num_envs, num_clients), np.nan)
        self.last_round = np.full((num_envs, num_clients), -1, dtype=np.int64)
        for name in _PER_ENV_COUNTS:
            setattr(self, name, np.zeros(num_envs, dtype=np.int64))
        self.accuracy = np.zeros(num_envs)
        self.loss = np.zeros(num_envs)
        self.best_accuracy = np.zeros(num_envs)
        self.past_accuracy = np.zeros((num_envs, PAST))
        self.past_loss = np.zeros((num_envs, PAST))
        self.accuracy_start = np.zeros(num_envs)
        self.net_points = np.zeros(num_envs)
        self._closed = np.zeros(num_envs, dtype=bool)

    invitations: Ints
    completions: Ints
    lost: Ints
    cancelled: Ints
    sightings: Ints
    probes: Ints
    rounds: Ints
    decisions: Ints
    looks: Ints
    repairs: Ints
    hours: Floats
    gigabytes: Floats
    kilowatt_hours: Floats
    kilograms: Floats
    wasted_kilowatt_hours: Floats
    last_hours: Floats
    last_gigabytes: Floats
    last_kilograms: Floats
    last_invited: Floats
    last_completed: Floats

    def open(self, envs: Bools, accuracy: Floats, loss: Floats) -> None:
        """Begin new episodes in the rows of `envs` with the scores of their untrained models."""
        for name in (*_PER_CLIENT_COUNTS, *_PER_ENV_COUNTS, *_PER_ENV_SUMS, *_LAST, "net_points"):
            getattr(self, name)[envs] = 0
        self.last_loss[envs] = np.nan
        self.last_norm[envs] = np.nan
        self.probed_loss[envs] = np.nan
        self.last_round[envs] = -1
        self._closed[envs] = False
        self.accuracy[envs] = accuracy[envs]
        self.accuracy_start[envs] = accuracy[envs]
        self.loss[envs] = loss[envs]
        self.best_accuracy[envs] = accuracy[envs]
        self.past_accuracy[envs] = accuracy[envs, None]
        self.past_loss[envs] = loss[envs, None]

    def look(self, available: Bools, envs: Bools) -> None:
        """Count who is available `[E, N]` before a round or a wait of the environments `envs` `[E]`."""
        self.sightings += available & envs[:, None]
        self.looks += envs

    def record(self, outcome: RoundOutcome, trained: Bools, active: Bools, rounds: Bools) -> None:
        """Enter one step. Rows that are not `active` carry zeros and stay as they are.

        Args:
            outcome: what the step did.
            trained: bool `[E]`, whose model changed.
            active: bool `[E]`, whose episode was running.
            rounds: bool `[E]`, where the step was a training round (`RoundPlan.is_round`).
        """
        self.invitations += outcome.invited
        self.completions += outcome.completed
        self.lost += outcome.lost
        self.cancelled += outcome.cancelled
        self.last_loss = np.where(outcome.completed, outcome.reported_loss, self.last_loss)
        self.last_norm = np.where(outcome.completed, outcome.update_norm, self.last_norm)
        self.last_round = np.where(outcome.completed, self.rounds[:, None], self.last_round)
        self.rounds += active & rounds
        self.decisions += active
        self.probes += outcome.probed
        if self.probes.any():
            known = np.where(outcome.answered, outcome.probed_loss, self.probed_loss)
            self.probed_loss = np.where(trained[:, None], np.nan, known)
        self.repairs += outcome.repairs
        costs = {
            "hours": outcome.duration_s / SECONDS_PER_HOUR,
            "gigabytes": round_gigabytes(outcome),
            "kilowatt_hours": outcome.energy_j.sum(axis=1) / JOULES_PER_KWH,
            "kilograms": round_kilograms(outcome),
            "wasted_kilowatt_hours": outcome.wasted_j.sum(axis=1) / JOULES_PER_KWH,
        }
        _check_costs(costs)
        for name, cost in costs.items():
            total = getattr(self, name)
            total += cost
        counts = {"invited": outcome.invited.sum(axis=1), "completed": outcome.completed.sum(axis=1)}
        for name in _LAST:
            now = (costs | counts)[name.removeprefix("last_")]
            setattr(self, name, np.where(active & rounds, now, getattr(self, name)))
        self.accuracy = outcome.accuracy.copy()
        self.loss = outcome.loss.copy()
        self.best_accuracy = np.fmax(self.best_accuracy, np.where(active, outcome.accuracy, 0.0))
        self.past_accuracy = _shifted(self.past_accuracy, outcome.accuracy, trained)
        self.past_loss = _shifted(self.past_loss, outcome.loss, trained)
        if outcome.served is not None:  # what is known goes on while nobody trains
            self.past_accuracy[:, -1], self.past_loss[:, -1] = self.accuracy, self.loss

    def extend(self, outcome: RoundOutcome, whole: RoundOutcome) -> None:
        """Enter what happened after a step that was recorded as `outcome`, until it was `whole`."""
        self.hours += (whole.duration_s - outcome.duration_s) / SECONDS_PER_HOUR
        self.gigabytes += round_gigabytes(whole) - round_gigabytes(outcome)
        self.kilowatt_hours += (whole.energy_j - outcome.energy_j).sum(axis=1) / JOULES_PER_KWH
        self.kilograms += round_kilograms(whole) - round_kilograms(outcome)
        self.accuracy, self.loss = whole.accuracy.copy(), whole.loss.copy()
        self.past_accuracy[:, -1], self.past_loss[:, -1] = self.accuracy, self.loss

    def abandon(self, cancelled: Bools, wasted_j: Floats) -> None:
        """Enter clients `[E, N]` whose work the end of their episode made vain, and what it had cost."""
        self.cancelled += cancelled
        self.wasted_kilowatt_hours += wasted_j.sum(axis=1) / JOULES_PER_KWH

    def charge(
        self,
        moved_bytes: Floats,
        energy_j: Floats,
        emissions_g: Floats,
        prices: Floats,
    ) -> None:
        """Enter costs beyond training, each `[E, N]`, at the prices `[E, 3]`; once per episode."""
        due = ~self._closed
        gigabytes = np.where(due, moved_bytes.sum(axis=1) / BYTES_PER_GB, 0.0)
        kilograms = np.where(due, emissions_g.sum(axis=1) / GRAMS_PER_KG, 0.0)
        self.gigabytes += gigabytes
        self.kilograms += kilograms
        self.kilowatt_hours += np.where(due, energy_j.sum(axis=1) / JOULES_PER_KWH, 0.0)
        self.net_points -= prices[:, 1] * gigabytes + prices[:, 2] * kilograms
        self._closed[:] = True

    @property
    def recent_gain(self) -> Floats:
        """`[E]`, validation accuracy gained over the training rounds that `past_accuracy` spans."""
        return self.past_accuracy[:, -1] - self.past_accuracy[:, 0]

    def totals(self) -> dict[str, Floats]:
        """What every episode came to so far, by name, fresh arrays `[E]`."""
        spent = self.kilowatt_hours
        wasted_share = np.divide(self.wasted_kilowatt_hours, spent, out=np.zeros_like(spent), where=spent > 0)
        totals = {name: getattr(self, name).copy() for name in _PER_ENV_SUMS}
        counts = {name: getattr(self, name).sum(axis=1) for name in _PER_CLIENT_COUNTS if name != "sightings"}
        return {
            "rounds": self.rounds.copy(),
            **totals,
            "wasted_share": wasted_share,
            **counts,
            "repairs": self.repairs.copy(),
            "accuracy_start": self.accuracy_start.copy(),
            "accuracy": self.accuracy.copy(),
            "net_points": self.net_points.copy(),
        }


def _shifted(past: Floats, newest: Floats, envs: Bools) -> Floats:
    """The window `[E, PAST]` moved on by one in the rows of `envs`."""
    moved = np.concatenate([past[:, 1:], newest[:, None]], axis=1)
    found: Floats = np.where(envs[:, None], moved, past)
    return found


def _check_costs(costs: dict[str, Floats]) -> None:
    """Nothing enters the books that is negative or not finite: it would stay there for good."""
    added = np.array(list(costs.values()))
    if not (added.min() >= -_ROUNDING and added.max() < np.inf):
        right = (added >= -_ROUNDING).all(axis=1) & (added < np.inf).all(axis=1)
        name = list(costs)[int(np.argmin(right))]
        raise ValueError(f"ledger: {name}: {costs[name].tolist()}, expected finite numbers, not negative")


def round_gigabytes(outcome: RoundOutcome) -> Floats:
    """`[E]`, GB that one step moved in both directions."""
    gigabytes: Floats = (outcome.down_bytes.sum(axis=1) + outcome.up_bytes.sum(axis=1)) / BYTES_PER_GB
    return gigabytes


def round_kilograms(outcome: RoundOutcome) -> Floats:
    """`[E]`, kg CO2e that one step emitted."""
    kilograms: Floats = outcome.emissions_g.sum(axis=1) / GRAMS_PER_KG
    return kilograms
