"""`frugalfl theory`: what a scheduler's participation predicts, beside what training came to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from rich.console import Console
from rich.table import Table

from ...common.arrays import AnyArray, Floats, Ints
from ...envs.contract import RoundOutcome, RoundPlan, Scheduler, Situation, rollout
from ...envs.registration import find_entry
from ...envs.scenario import Scenario, load_scenario
from ...envs.world import FederatedWorld
from ...fl_core.aggregation import Arrivals, Weighting, make_weighting
from ...fl_core.quadratics import QuadraticProblem
from ...fl_core.theory import (
    ObservedPrediction,
    ParticipationSummary,
    RoundHistory,
    predict,
    summarise_participation,
)
from ..evaluation import episode_seeds
from ..schedulers import make_scheduler

_SHOWN = 8


@dataclass(frozen=True)
class Options:
    """Predict bias and variance from a scheduler's participation and compare with the simulation.

    The scheduler plays episodes of a world; who took part in them, with which weights, is summarised as
    effective weights and their distance from the target. On frugalfl/Quadratic-v0 the excess loss F - F* is
    predicted from that summary and set beside the exact one of the trained models; elsewhere the optimum is
    unknown, and only the participation and the factors of the bias bounds are shown.

    Attributes:
        env: id of the world.
        scheduler: name of a handcrafted scheduler, or package.module:Class.
        episodes: played together, each its own population.
        rounds: decisions per episode; the hour budget grows along. By default the world's.
        learning_rate: of the clients; by default the world's.
        aggregator: a plain weighting such as by-samples, uniform or unbiased; by default the world's.
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


def show(options: Options, console: Console) -> None:
    """Play, predict and print."""
    scenario = scenario_of(options)
    world = FederatedWorld(scenario, options.episodes, options.split)
    seeds = episode_seeds(options.seed, options.episodes)
    scheduler = make_scheduler(options.scheduler, scenario.name if options.tuned else None)
    recorded = play(world, scheduler, seeds)
    episodes = [episode for episode in recorded if len(episode.history.omega) >= 2]
    if not episodes:
        raise ValueError(
            f"scheduler: {options.scheduler!r} never trained in 2 rounds; nothing to predict from"
        )
    summaries = [
        summarise_participation(each.alpha, each.history.coefficients(each.alpha), each.history.participated)
        for each in episodes
    ]
    console.print(
        f"{options.env}, {options.scheduler}: {len(episodes)} of {options.episodes} episodes with "
        f"{np.mean([len(each.history.omega) for each in episodes]):.0f} training rounds on average; "
        "mean and standard error over the episodes",
        highlight=False,
    )
    console.print(participation_table(summaries))
    console.print(client_table(episodes[0], summaries[0]))
    if episodes[0].problem is not None:
        console.print(gap_table(world, episodes))
    else:
        console.print(bound_table(world, summaries))


def scenario_of(options: Options) -> Scenario:
    """The world of the options, with what they change.

    Raises:
        ValueError: one line naming the option, its value and what was expected.
    """
    for name, value in (("episodes", options.episodes), ("rounds", options.rounds)):
        if value is not None and value < 1:
            raise ValueError(f"{name}: {value}, expected at least 1")
    scenario = load_scenario(find_entry(options.env).kwargs["scenario"])
    changes: dict[str, Any] = {}
    if options.learning_rate is not None:
        changes["training"] = {"learning_rate": options.learning_rate}
    if options.aggregator is not None:
        changes["aggregator"] = options.aggregator
    if options.rounds is not None:
        work = scenario.workload
        hours = options.rounds * (work.deadline_s + work.overhead_s) / 3600.0
        changes |= {"max_rounds": options.rounds, "budgets": {"hours": max(scenario.budgets.hours, hours)}}
    scenario = load_scenario(scenario, **changes)
    make_weighting(scenario.aggregator)
    return scenario


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
    sent = np.round(outcome.sample_bytes / world.source.sample_bytes).astype(np.int64)
    held, steps = before.clients.samples_held + sent, np.where(arrived, plan.local_steps, 0).astype(np.int64)
    arrived &= (held > 0) & (steps > 0)
    env, client = np.nonzero(arrived)
    rates = np.minimum((before.clients.completions + 1.0) / (before.run.round_index[:, None] + 1.0), 1.0)
    arrivals = Arrivals(
        env=env,
        client=client,
        span=np.searchsorted(env, np.arange(world.num_envs + 1)),
        steps=steps[env, client],
        held=held[env, client].astype(np.int64),
        target_weight=before.clients.target_weight[env, client],
        rate=rates[env, client],
        given=None if plan.weights is None else plan.weights[env, client],
        staleness=np.zeros(env.size, dtype=np.int64),
        delta=np.zeros((env.size, 0)),
        num_clients=arrived.shape[1],
        training=world.source.training,
    )
    omega = np.zeros(arrived.shape)
    omega[env, client] = weighting.omega(arrivals)
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


def spread(values: Sequence[float]) -> str:
    """Mean and standard error of the finite values, and how many are not."""
    all_values = np.asarray(values, dtype=np.float64)
    finite = all_values[np.isfinite(all_values)]
    if not finite.size:
        return "none finite"
    error = f" ± {finite.std(ddof=1) / math.sqrt(finite.size):.1g}" if finite.size > 1 else ""
    rest = all_values.size - finite.size
    return f"{finite.mean():.4g}{error}" + (f" ({rest} infinite)" if rest else "")


def participation_table(summaries: Sequence[ParticipationSummary]) -> Table:
    """What was recorded, over the episodes."""
    table = Table("participation", "recorded", title="Who took part")
    rows: tuple[tuple[str, Any], ...] = (
        ("total variation of effective and target weights", lambda s: s.total_variation),
        ("chi-square(target || effective)", lambda s: s.chi_square),
        ("share of the rounds a client took part in", lambda s: s.rate.mean()),
        ("Jain's index of these shares", lambda s: s.fairness),
        ("correlation from round to round", lambda s: s.memory.mean()),
        ("clients that never took part", lambda s: (s.rate == 0).sum()),
        ("variance factor of unbiased weights", lambda s: s.variance_factor),
    )
    for label, value in rows:
        table.add_row(label, spread([float(value(each)) for each in summaries]))
    return table


def client_table(episode: Episode, summary: ParticipationSummary) -> Table:
    """The clients of one episode whose effective weight is furthest from their target."""
    table = Table("client", "target", "effective", "took part", "memory", title="First episode, furthest off")
    far = np.argsort(-np.abs(episode.alpha - summary.weights), kind="stable")[:_SHOWN]
    for k in far.tolist():
        table.add_row(
            str(k),
            f"{episode.alpha[k]:.4f}",
            f"{summary.weights[k]:.4f}",
            f"{summary.rate[k]:.0%}",
            f"{summary.memory[k]:.2f}",
        )
    return table


def predictions(world: FederatedWorld, episodes: Sequence[Episode]) -> list[ObservedPrediction]:
    """What the theory says of each episode on quadratics."""
    training, quadratic = world.source.training, world.source.quadratic
    noise = 0.0 if quadratic is None else quadratic.gradient_noise**2
    rates = (training.learning_rate, training.server_learning_rate)
    return [predict(each.problem, each.history, *rates, noise) for each in episodes if each.problem]


def gap_table(world: FederatedWorld, episodes: Sequence[Episode]) -> Table:
    """Predicted and exact excess losses on quadratics."""
    told = predictions(world, episodes)
    final, mean, average = [], [], []
    for each in episodes:
        if each.problem is not None and each.models is not None:
            gaps = [each.problem.gap(w) for w in each.models]
            late = len(gaps) // 2
            final.append(gaps[-1])
            mean.append(float(np.mean(gaps[late:])))
            average.append(each.problem.gap(each.models[late:].mean(axis=0)))
    table = Table("F - F*", "predicted", "simulated", title="Excess loss; averages are over the second half")
    table.columns[0].no_wrap = True
    rows: tuple[tuple[str, list[float], list[float]], ...] = (
        ("long-run bias, small steps", [t.bounds.exact for t in told], []),
        ("  bound by total variation", [t.bounds.by_total_variation for t in told], []),
        ("  bound by chi-square", [t.bounds.by_chi_square for t in told], []),
        ("long-run bias, with client drift", [t.drift_gap for t in told], []),
        ("long-run variance", [t.variance for t in told], []),
        ("price of unbiased weights", [t.price for t in told], []),
        ("bias: gap of the average model", [t.average_gap for t in told], average),
        ("average gap of the models", [t.mean_gap for t in told], mean),
        (
            "variance: the difference",
            [t.mean_gap - t.average_gap for t in told],
            [a - b for a, b in zip(mean, average, strict=True)],
        ),
        ("after the last round", [t.final_gap for t in told], final),
    )
    for label, predicted, simulated in rows:
        table.add_row(label, spread(predicted), spread(simulated) if simulated else "")
    return table


def bound_table(world: FederatedWorld, summaries: Sequence[ParticipationSummary]) -> Table:
    """Factors of the bias bounds where the optimum is unknown, and the test scores."""
    title = "Bias: bounds only, for strongly convex losses of condition number kappa; optimum unknown"
    table = Table("", "predicted", "simulated", title=title)
    variation = [4 * each.total_variation**2 for each in summaries]
    table.add_row("F - F* per kappa max_k (F_k(w_B) - F_k*)", f"at most {spread(variation)}", "")
    chi = [each.chi_square for each in summaries]
    table.add_row("F - F* per kappa (F_B* - sum p_k F_k*)", f"at most {spread(chi)}", "")
    accuracy, loss = world.test_scores()
    table.add_row("test accuracy, untrained", "", spread(world.initial_test_accuracy.tolist()))
    table.add_row("test accuracy, final model", "", spread(accuracy.tolist()))
    table.add_row("test loss, final model", "", spread(loss.tolist()))
    return table
