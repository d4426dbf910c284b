"""Partial dependence and habits of a trained scheduler, on situations that it met.

The counterfactuals are partial dependence (Friedman 2001): one number of one client is exchanged in a
situation that really came up, everything else stays, and the policy is asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...common.arrays import AnyArray, Bools, Floats, Ints
from ...common.splits import Split
from ...envs.contract import RoundPlan, Scheduler, Situation, rollout
from ...envs.mixture import make_world
from ...envs.scenario import Scenario
from ..evaluation import episode_seeds
from ..learned.scheduler import LearnedScheduler

Change = Callable[[Situation, Ints, Ints, float], Situation]
"""Situation, rows, one client for each row, new value."""


@dataclass(frozen=True)
class Question:
    """One counterfactual.

    Attributes:
        name: column of the table.
        label: of the axis, with the unit.
        values: what to put in.
        change: puts it in.
        logarithmic: whether the axis is.
    """

    name: str
    label: str
    values: Sequence[float]
    change: Change
    logarithmic: bool = False


@dataclass(frozen=True)
class Encounters:
    """What came up while a scheduler played.

    Attributes:
        situations: one batch per decision.
        running: bool `[E]` for each, which episodes were not over.
        habits: one row per decision and episode: episode, decision, hours, accuracy, available, invited,
            local_steps (mean of the invited; nan if none), server_step (factor; nan if none), upload_bits (0
            if no decision), waits, stops, carbon_ahead (best forecast relative to now, -1 to 1).
        local_steps: the menu's levels.
    """

    situations: list[Situation]
    running: list[Bools]
    habits: pd.DataFrame
    local_steps: tuple[int, ...]


def encounter(
    scheduler: Scheduler, scenario: Scenario, episodes: int = 16, split: Split = "test", seed: int = 0
) -> Encounters:
    """Let a scheduler play and remember what it met and did."""
    world = make_world(scenario, episodes, split)
    situations, were_running, habits = [], [], []
    for turn in rollout(world, scheduler, episode_seeds(seed, episodes)):
        situations.append(turn.situation)
        were_running.append(turn.running)
        habits.append(_habits(turn.situation, turn.plan, len(situations) - 1)[turn.running])
    table = pd.concat(habits, ignore_index=True)
    return Encounters(situations, were_running, table, scenario.levels.local_steps)


def counterfactual(
    player: LearnedScheduler, met: Encounters, question: Question, most: int = 400, seed: int = 0
) -> pd.DataFrame:
    """Ask what it would have done, had one number of one client been another.

    Args:
        player: whom to ask.
        met: its encounters.
        question: what to exchange.
        most: situations asked about, at most; each with one available client drawn at random.
        seed: of these draws.

    Returns:
        One row per value: value, invited (mean probability that the client is invited), its quartiles
        invited_low and invited_high, and local_steps (expected, if invited).
    """
    rng = np.random.default_rng([seed, 0xE4])
    total = sum(int(running.sum()) for running in met.running)
    share = min(1.0, most / max(total, 1))
    invited: list[list[Floats]] = [[] for _ in question.values]
    steps: list[list[Floats]] = [[] for _ in question.values]
    menu = met.local_steps if player.home is None else player.home.levels.local_steps
    sizes = np.array(menu[1:], dtype=np.float64)
    for situation, running in zip(met.situations, met.running, strict=True):
        asked = running & situation.clients.available.any(axis=1) & (rng.random(running.size) < share)
        noise = rng.random(situation.clients.available.shape)
        clients = np.where(situation.clients.available, noise, -1.0).argmax(axis=1)
        rows = np.flatnonzero(asked)
        if rows.size == 0:
            continue
        for index, value in enumerate(question.values):
            changed = question.change(situation, rows, clients[rows], float(value))
            levels = player.probabilities(changed, rows)[1][np.arange(rows.size), clients[rows]]
            chance = 1.0 - levels[:, 0]
            invited[index].append(chance)
            steps[index].append(levels[:, 1:] @ sizes / np.maximum(chance, 1e-9))
    if not invited[0]:
        raise ValueError(f"{question.name}: nobody was available in any situation, expected at least one")
    return pd.DataFrame([_row(v, *parts) for v, *parts in zip(question.values, invited, steps, strict=True)])


def wait_by_carbon(player: LearnedScheduler, met: Encounters, factors: Sequence[float]) -> pd.DataFrame:
    """Chance to wait and to end the run, had every grid been so many times as dirty now, forecasts unchanged.

    Returns:
        One row per factor: factor, waits, stops.
    """
    rows = []
    for factor in factors:
        waits, stops = [], []
        for situation, running in zip(met.situations, met.running, strict=True):
            now = situation.zones.carbon_g_per_kwh * factor
            chances = player.probabilities(situation.changed(carbon_g_per_kwh=now), np.flatnonzero(running))[
                0
            ]
            waits.append(chances[:, 1:-1].sum(axis=1))
            stops.append(chances[:, -1])
        rows.append((factor, np.concatenate(waits).mean(), np.concatenate(stops).mean()))
    return pd.DataFrame(rows, columns=["factor", "waits", "stops"])


def questions(met: Encounters) -> list[Question]:
    """Carbon, remaining session, loss, speed and staleness, over the ranges that were met."""
    carbon = np.concatenate([s.zones.carbon_g_per_kwh[r].ravel() for s, r in _pairs(met)])
    step = np.concatenate([s.clients.step_s[r].ravel() for s, r in _pairs(met)])
    losses = np.concatenate([s.clients.last_loss[r].ravel() for s, r in _pairs(met)])
    losses = losses[np.isfinite(losses)]
    top_loss = float(np.quantile(losses, 0.98)) if losses.size else 2.5
    return [
        Question(
            "carbon",
            "intensity of its grid now [g/kWh]",
            np.linspace(np.quantile(carbon, 0.02), np.quantile(carbon, 0.98), 9).tolist(),
            _set_carbon,
        ),
        Question(
            "session",
            "announced end of its session in [h]",
            [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 24.0],
            _set_session,
            logarithmic=True,
        ),
        Question("loss", "its last loss", np.linspace(0.02, top_loss, 9).tolist(), _set_loss),
        Question(
            "speed",
            "seconds per local step",
            np.geomspace(np.quantile(step, 0.02), np.quantile(step, 0.98), 9).tolist(),
            _set_speed,
            logarithmic=True,
        ),
        Question("staleness", "rounds since it last took part", [0, 1, 2, 4, 8, 16, 32], _set_staleness),
    ]


def _pairs(met: Encounters) -> Iterator[tuple[Situation, Bools]]:
    return zip(met.situations, met.running, strict=True)


def _set(values: AnyArray, rows: Ints, columns: Ints, value: float) -> AnyArray:
    changed = values.copy()
    changed[rows, columns] = value
    return changed


def _set_carbon(s: Situation, rows: Ints, clients: Ints, value: float) -> Situation:
    return s.changed(
        carbon_g_per_kwh=_set(s.zones.carbon_g_per_kwh, rows, s.clients.zone[rows, clients], value)
    )


def _set_session(s: Situation, rows: Ints, clients: Ints, hours: float) -> Situation:
    return s.changed(announced_left_s=_set(s.clients.announced_left_s, rows, clients, 3600.0 * hours))


def _set_loss(s: Situation, rows: Ints, clients: Ints, value: float) -> Situation:
    return s.changed(last_loss=_set(s.clients.last_loss, rows, clients, value))


def _set_speed(s: Situation, rows: Ints, clients: Ints, value: float) -> Situation:
    return s.changed(step_s=_set(s.clients.step_s, rows, clients, value))


def _set_staleness(s: Situation, rows: Ints, clients: Ints, value: float) -> Situation:
    return s.changed(rounds_since=_set(s.clients.rounds_since, rows, clients, value))


def _row(value: float, invited: list[AnyArray], steps: list[AnyArray]) -> dict[str, float]:
    chance = np.concatenate(invited)
    low, high = np.quantile(chance, [0.25, 0.75])
    # Whoever is hardly ever invited should not speak for how much the invited do.
    mean_steps = float(np.average(np.concatenate(steps), weights=np.maximum(chance, 1e-9)))
    return {
        "value": float(value),
        "invited": float(chance.mean()),
        "invited_low": float(low),
        "invited_high": float(high),
        "local_steps": mean_steps,
    }


def _habits(s: Situation, plan: RoundPlan, decision: int) -> pd.DataFrame:
    invited = (plan.local_steps > 0) & (plan.wait_s <= 0)[:, None]
    count = invited.sum(axis=1)
    steps = np.where(invited, plan.local_steps, 0).sum(axis=1) / np.maximum(count, 1)
    ahead = s.zones.carbon_forecast.min(axis=2)
    relative = ((ahead - s.zones.carbon_g_per_kwh) / np.maximum(ahead + s.zones.carbon_g_per_kwh, 1e-9)).min(
        axis=1
    )
    return pd.DataFrame(
        {
            "episode": np.arange(s.num_envs),
            "decision": decision,
            "hours": s.run.hours,
            "accuracy": s.run.accuracy,
            "available": s.clients.available.sum(axis=1),
            "invited": count,
            "local_steps": np.where(count > 0, steps, np.nan),
            "server_step": np.where(count > 0, 1.0 if plan.server_step is None else plan.server_step, np.nan),
            "upload_bits": np.zeros(s.num_envs, int) if plan.upload_bits is None else plan.upload_bits,
            "waits": (plan.wait_s > 0) & np.isfinite(plan.wait_s),
            "stops": np.isinf(plan.wait_s),
            "carbon_ahead": relative,
        }
    )
