"""Tables of predicted and simulated bias and variance of a scheduler's participation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import SupportsFloat

import numpy as np
from rich.console import Console
from rich.table import Table

from ...common.arrays import Ints
from ...envs.world import FederatedWorld
from ...fl_core.theory import ParticipationSummary, summarise_participation
from ..evaluation import episode_seeds
from ..schedulers import make_scheduler
from .privacy import no_privacy, privacy_table, reads_reports, spread
from .theory import Episode, Options, play, predictions, scenario_of
from .tracking import follow, tracking_table
from .upper_bound import upper_bounds

_SHOWN = 8


def show(options: Options, console: Console) -> None:
    """Play, predict and print."""
    scenario = scenario_of(options)
    world = FederatedWorld(scenario, options.episodes, options.split)
    seeds = episode_seeds(options.seed, options.episodes)
    tuned_for = scenario.name if options.tuned else None
    scheduler = make_scheduler(options.scheduler, tuned_for)
    private = options.noise_multiplier is not None
    reads = private and reads_reports(world, scheduler, make_scheduler(options.scheduler, tuned_for), seeds)
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
        markup=False,
        highlight=False,
    )
    console.print(participation_table(summaries))
    console.print(client_table(episodes[0], summaries[0]))
    if options.noise_multiplier is not None:
        rounds, privacy = world.ledger.rounds, (options.noise_multiplier, options.delta)
        console.print(
            no_privacy(options.scheduler) if reads else privacy_table(recorded, rounds, *privacy),
            highlight=False,
        )
    if episodes[0].problem is not None and scenario.arrivals is not None:
        followed = follow(world, make_scheduler(options.scheduler, tuned_for), seeds)
        console.print(tracking_table(followed, options.scheduler))
    elif episodes[0].problem is not None:
        console.print(gap_table(world, episodes))
        console.print(net_table(world, seeds), highlight=False)
    else:
        console.print(bound_table(world, summaries))


def participation_table(summaries: Sequence[ParticipationSummary]) -> Table:
    """What was recorded, over the episodes."""
    table = Table("participation", "recorded", title="Who took part")
    rows: tuple[tuple[str, Callable[[ParticipationSummary], SupportsFloat]], ...] = (
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


def gap_table(world: FederatedWorld, episodes: Sequence[Episode]) -> Table:
    """Predicted and exact excess losses on quadratics."""
    predicted_of = predictions(world, episodes)
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
        ("long-run bias, small steps", [t.bounds.exact for t in predicted_of], []),
        ("  bound by total variation", [t.bounds.by_total_variation for t in predicted_of], []),
        ("  bound by chi-square", [t.bounds.by_chi_square for t in predicted_of], []),
        ("long-run bias, with client drift", [t.drift_gap for t in predicted_of], []),
        ("long-run variance", [t.variance for t in predicted_of], []),
        ("price of unbiased weights", [t.price for t in predicted_of], []),
        ("bias: gap of the average model", [t.average_gap for t in predicted_of], average),
        ("average gap of the models", [t.mean_gap for t in predicted_of], mean),
        (
            "variance: the difference",
            [t.mean_gap - t.average_gap for t in predicted_of],
            [a - b for a, b in zip(mean, average, strict=True)],
        ),
        ("after the last round", [t.final_gap for t in predicted_of], final),
    )
    for label, predicted, simulated in rows:
        table.add_row(label, spread(predicted), spread(simulated) if simulated else "")
    return table


def net_table(world: FederatedWorld, seeds: Ints) -> Table | str:
    """Net points of the episodes just played, and what no scheduler exceeds; or why no bound is known."""
    try:
        bounds = upper_bounds(world, seeds)
    except ValueError as error:
        return f"Net points that no scheduler exceeds: {error}"
    table = Table("net points", "proved", "simulated", title="Net points, all episodes")
    table.add_row("of this scheduler", "", spread(world.totals()["net_points"].tolist()))
    table.add_row("no scheduler exceeds", spread(bounds.tolist()), "")
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
