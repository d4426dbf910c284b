"""Explanation of a trained scheduler: counterfactuals, habits and one episode beside a handcrafted one's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ...common.arrays import AnyArray, Ints
from ...common.files import write_file
from ...envs.adapters import Viewer
from ...envs.contract import Scheduler, rollout
from ...envs.mixture import MixtureWorld, make_world
from ...envs.scenario import Scenario, load_scenario
from ...envs.serving import ServingScenario
from ...envs.world import FederatedWorld
from ..evaluation import episode_seeds, play_batch
from ..learned.scheduler import LearnedScheduler
from ..learning.run_folder import load_world, read_config
from ..players import make_player, run_folder, scenario_of
from ..reports import plot_timeline
from ..schedulers import best_tuned
from ..zoo import CARD, find_card
from .explain import counterfactual, encounter, questions, wait_by_carbon
from .explain_plots import film, plot_counterfactuals, plot_habits, plot_waiting, side_by_side

_CARBON_FACTORS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0)


class Pair(NamedTuple):
    """A trained scheduler, a handcrafted one beside it, and the world that both play."""

    learned: LearnedScheduler
    rival: Scheduler
    scenario: Scenario


def find_pair(scheduler: str, env: str | None = None, rival: str | None = None) -> Pair:
    """Whom to explain, beside whom and where.

    Args:
        scheduler: folder of a run, or name of a trained scheduler that comes with the package.
        env: the world; None: the one it was trained in.
        rival: handcrafted scheduler beside it; None: the one that did best when tuned in this world.

    Raises:
        ValueError: one line naming what is wrong.
    """
    scenario = _world_of(scheduler) if env is None else scenario_of(env)
    learned = make_player(scheduler, scenario)
    if not isinstance(learned, LearnedScheduler):
        raise ValueError(f"scheduler: {scheduler!r} is not a trained one, there is nothing to explain")
    return Pair(learned, make_player(rival or best_tuned(scenario.name) or "random-m", scenario), scenario)


def explain(
    pair: Pair, out: Path, episodes: int = 16, seed: int = 0, episode: int = 0, animate: bool = False
) -> Iterator[str]:
    """Play a trained scheduler on test episodes and write tables and pictures of how it decides.

    Args:
        pair: the scheduler and the one beside it.
        out: folder of what is written.
        episodes: to play.
        seed: of the episodes.
        episode: which episode is drawn.
        animate: draw the episode as an animated PNG too.

    Yields:
        What it does next; the work is done when the iterator ends.

    Raises:
        ValueError: one line naming what is wrong.
    """
    if episodes < 1 or not 0 <= episode < episodes:
        raise ValueError(f"episode: {episode} of {episodes}, expected 0 <= episode < episodes")
    out.mkdir(parents=True, exist_ok=True)
    yield from _write_figures(pair, episodes, seed, out)
    yield from _draw_episode(pair, episode_seeds(seed, episodes)[[episode]], episode, animate, out)


def _world_of(scheduler: str) -> Scenario:
    """The world a scheduler was trained in."""
    folder = run_folder(scheduler)
    if folder is not None and not (folder / CARD).is_file():
        world = load_world(read_config(folder)[0])
        if isinstance(world, ServingScenario):
            raise ValueError(f"scheduler: {scheduler!r} was trained in a world of serving, expected training")
        return world
    return load_scenario(find_card(scheduler)[1].scenario)


def _write_figures(pair: Pair, episodes: int, seed: int, out: Path) -> Iterator[str]:
    learned, rival, scenario = pair
    yield learned.name
    met = encounter(learned, scenario, episodes, "test", seed)
    asked, tables = questions(met), {}
    for each in asked:
        yield f"had {each.name} been another"
        tables[each.name] = counterfactual(learned, met, each)
    _write_table(tables, "question", out / "counterfactuals.csv")
    plot_counterfactuals(tables, asked, learned.name, out / "invitations.png")
    yield "had the grid been another"
    by_carbon = wait_by_carbon(learned, met, _CARBON_FACTORS)
    plot_waiting(met.habits, by_carbon, learned.name, out / "waiting.png")
    yield rival.name
    theirs = encounter(rival, scenario, episodes, "test", seed)
    habits = {learned.name: met.habits, rival.name: theirs.habits}
    plot_habits(habits, out / "along_the_run.png")
    _write_table(habits, "scheduler", out / "habits.csv")


def _write_table(tables: dict[str, pd.DataFrame], column: str, path: Path) -> None:
    """Tables one below the other, each with its name in a column."""
    whole = pd.concat([table.assign(**{column: name}) for name, table in tables.items()])
    write_file(path, lambda draft: whole.to_csv(draft, index=False))


def _draw_episode(pair: Pair, seeds: Ints, episode: int, animate: bool, out: Path) -> Iterator[str]:
    """The same episode, decided by each."""
    both, scenario = (pair.learned, pair.rival), pair.scenario
    world = make_world(scenario, 1, "test")
    pictures: list[Path] = []
    yield "one episode"
    for each in both:
        _, _, timeline = play_batch(each.name, each, world, seeds, episode, 0)
        assert timeline is not None
        pictures.append(out / f"episode_{len(pictures)}.png")
        plot_timeline(timeline, scenario.name, pictures[-1], world.zone_names)
    side_by_side(pictures[0], pictures[1], out / "episode.png")
    for picture in pictures:
        picture.unlink()
    if animate:
        yield "its film"
        films = [_frames(world, each, seeds) for each in both]
        length = max(map(len, films))
        padded = [frames + [frames[-1]] * (length - len(frames)) for frames in films]
        frames = [np.concatenate(images, axis=1) for images in zip(*padded, strict=True)]
        film(frames, out / "film.png")


def _frames(world: FederatedWorld | MixtureWorld, scheduler: Scheduler, seeds: Ints) -> list[AnyArray]:
    """One image per decision."""
    world.reset(np.ones(1, dtype=bool), seeds)  # the viewer looks at it before the first decision
    viewer, frames = Viewer(world), []
    for turn in rollout(world, scheduler, seeds):
        viewer.record(turn.result)
        frames.append(viewer.image()[::2, ::2])
    return frames
