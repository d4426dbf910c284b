"""Bias and variance that theory predicts from the participation under a scheduler, episode by episode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...common.arrays import AnyArray, Floats, Ints
from ...common.settings import Spec
from ...envs.contract import RoundOutcome, RoundPlan, Scheduler, Situation, rollout
from ...envs.episode import participation_rates
from ...envs.registration import find_entry
from ...envs.round import step_shares
from ...envs.scenario import Scenario, load_scenario
from ...envs.world import FederatedWorld
from ...fl_core.aggregation import AGGREGATORS, Arrivals, Weighting, make_weighting
from ...fl_core.quadratics import QuadraticProblem
from ...fl_core.theory import (
    ObservedPrediction,
    RoundHistory,
    predict,
)


@dataclass(frozen=True)
class Options:
    """Predict bias and variance from a scheduler's participation and compare with the simulation.

    The scheduler plays episodes of a world; who took part in them, with which weights, is summarised as
    effective weights and their distance from the target. On frugalfl/Quadratic-v0 the excess loss F - F* is
    predicted from that summary and set beside the exact one of the trained models; on
    frugalfl/QuadraticStreams-v0, where the optimum moves, the scheduler is set beside the best fixed pace in
    closed form, with its dynamic regret and, where its method has one, its own regret and the bound;
    elsewhere the optimum is unknown, and only the participation and the factors of the bias bounds are shown.

    Attributes:
        env: id of the world.
        scheduler: name of a handcrafted scheduler, or package.module:Class.
        episodes: played together, each its own population.
        rounds: training rounds per episode; the hour budget grows along. By default the world's.
        learning_rate: of the clients; by default the world's. It stays constant: the theory has no decay.
        aggregator: a plain weighting such as by-samples, uniform or unbiased; by default the world's, without
            the server optimiser over it.
        noise_multiplier: of a Gaussian mechanism at the server; shows the privacy that the recorded
            participation would leave. By default none is shown.
        delta: of that privacy.
        tuned: use the settings tuned for the world, which may stop early, instead of the defaults.
        split: train, val or test.
        seed: of the episodes.
    """

    env: str = "frugalfl/Quadratic-v0"
    scheduler: str = "random-m"
    episodes: int = 16
    rounds: int | None = None
    learning_rate: float | None = None
    aggregator: str | None = None
    noise_multiplier: float | None = None
    delta: float = 1e-5
    tuned: bool = False
    split: Literal["train", "val", "test"] = "test"
    seed: int = 0


@dataclass(frozen=True)
class Episode:
    """One recorded episode.

    Attributes:
        alpha: `[N]`, target weights.
        history: the T rounds in which somebody's update arrived.
        models: `[T, P]`, the model after each of them; None where there is no exact optimum to compare with.
        problem: the quadratics, or None.
    """

    alpha: Floats
    history: RoundHistory
    models: Floats | None
    problem: QuadraticProblem | None


def scenario_of(options: Options) -> Scenario:
    """The world of the options, with what they change.

    Raises:
        ValueError: one line naming the option, its value and what was expected.
    """
    for name, value in (("episodes", options.episodes), ("rounds", options.rounds)):
        if value is not None and value < 1:
            raise ValueError(f"{name}: {value}, expected at least 1")
    scenario = load_scenario(find_entry(options.env).scenario)
    training: dict[str, object] = {"learning_rate_decay": 1.0}
    if options.learning_rate is not None:
        training["learning_rate"] = options.learning_rate
    changes: dict[str, object] = {"training": training, "aggregator": options.aggregator}
    if options.aggregator is None:
        changes["aggregator"] = _weighting_under(scenario.aggregator)
    if options.rounds is not None:
        work = scenario.workload
        hours = options.rounds * work.longest_round_s / 3600.0
        changes |= {
            "max_rounds": options.rounds,
            "budgets": {"hours": max(scenario.budgets.largest[0], hours)},
        }
    scenario = load_scenario(scenario, **changes)
    make_weighting(scenario.aggregator)
    return scenario


def _weighting_under(spec: Spec) -> Spec:
    """What a server optimiser goes over; any other aggregator as it is."""
    weighting: Spec = getattr(AGGREGATORS.choose(spec).options, "weighting", spec)
    return weighting


def play(world: FederatedWorld, scheduler: Scheduler, seeds: Ints) -> list[Episode]:
    """Play one episode per seed and record who took part, with which weights."""
    weighting = make_weighting(world.scenario.aggregator)
    weighting.bind(world.num_envs, world.scenario.clients, 0, np.dtype(np.float64))
    exact = world.source.quadratic is not None
    alpha: Floats = np.zeros((world.num_envs, world.scenario.clients))
    pages: list[dict[str, AnyArray]] = []
    for turn in rollout(world, scheduler, seeds):
        alpha = alpha if pages else turn.situation.clients.target_weight
        pages.append(_page(world, weighting, turn.situation, turn.plan, turn.result.outcome))
        if exact:
            pages[-1]["models"] = world.parameters()
    book = {name: np.stack([page[name] for page in pages]) for name in pages[0]}
    return [_episode(world, book, env, int(seeds[env]), alpha[env]) for env in range(world.num_envs)]


def _page(
    world: FederatedWorld, weighting: Weighting, before: Situation, plan: RoundPlan, outcome: RoundOutcome
) -> dict[str, AnyArray]:
    """Coefficients, steps and shares of hub rows of one step, each `[E, N]`."""
    arrived = outcome.completed & ~outcome.diverged[:, None]
    sent = np.round(outcome.sample_bytes / before.terms.sample_bytes[:, None]).astype(np.int64)
    held, steps = before.clients.samples_held + sent, np.where(arrived, plan.local_steps, 0).astype(np.int64)
    arrived &= (held > 0) & (steps > 0)
    env, client = np.nonzero(arrived)
    shares = step_shares(plan.weights, arrived)
    rates = participation_rates(before.clients.completions, before.run.round_index, outcome.completed)
    arrivals = Arrivals(
        env=env,
        client=client,
        span=np.searchsorted(env, np.arange(world.num_envs + 1)),
        steps=steps[env, client],
        held=held[env, client].astype(np.int64),
        target_weight=before.clients.target_weight[env, client],
        rate=rates[env, client],
        given=None if shares is None else shares[env, client],
        staleness=np.zeros(env.size, dtype=np.int64),
        delta=np.zeros((env.size, 0)),
        num_clients=arrived.shape[1],
        training=world.source.training,
        decay=np.ones(env.size),
        round_decay=np.ones(world.num_envs),
    )
    omega = np.zeros(arrived.shape)
    omega[env, client] = weighting.omega(arrivals)
    if plan.server_step is not None:
        omega *= plan.server_step[:, None]
    shared = (before.clients.samples_sent + sent) / np.maximum(1, held)
    return {"omega": omega, "steps": steps * arrived, "shared": np.where(arrived, shared, 0.0)}


def _episode(
    world: FederatedWorld, book: Mapping[str, AnyArray], env: int, seed: int, alpha: Floats
) -> Episode:
    """The rounds of one row in which the model moved."""
    moved = (book["steps"][:, env] > 0).any(axis=1)
    history = RoundHistory(*(book[name][moved, env] for name in ("omega", "steps", "shared")))
    task = world.source.draw(seed).task
    problem = task if isinstance(task, QuadraticProblem) else None
    models = book["models"][moved, env] if "models" in book else None
    return Episode(alpha, history, models, problem)


def predictions(world: FederatedWorld, episodes: Sequence[Episode]) -> list[ObservedPrediction]:
    """What the theory says of each episode on quadratics."""
    training, quadratic = world.source.training, world.source.quadratic
    noise = 0.0 if quadratic is None else quadratic.gradient_noise**2
    rates = (training.learning_rate, training.server_learning_rate)
    return [predict(each.problem, each.history, *rates, noise) for each in episodes if each.problem]
