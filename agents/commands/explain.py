"""`frugalfl explain`: pictures of what a trained scheduler does and why."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from .running import run_command

if TYPE_CHECKING:
    from ...common.arrays import AnyArray, Ints
    from ...envs.contract import Scheduler
    from ...envs.scenario import Scenario
    from ...envs.world import FederatedWorld
    from ..insight.explain import Encounters
    from ..learned.scheduler import LearnedScheduler


@dataclass(frozen=True)
class ExplainOptions:
    """Draw how a trained scheduler decides.

    The folder then holds counterfactuals.csv and invitations.png (how the chance to be invited moves with
    carbon, remaining session, loss, speed and staleness), waiting.png, along_the_run.png, habits.csv, and one
    episode beside a handcrafted scheduler's: episode.png, and film.png, an animated one, with --film.
    """

    scheduler: Annotated[str, tyro.conf.Positional]
    """folder of a run, or name of a trained scheduler that comes with the package"""
    out: Path
    """folder of the pictures"""
    env: str | None = None
    """the world, as in evaluate; by default the one it was trained in"""
    rival: str | None = None
    """handcrafted scheduler beside it; by default the one that did best when tuned in this world"""
    episodes: int = 16
    """test episodes to play"""
    seed: int = 0
    """of the episodes"""
    episode: int = 0
    """which episode is drawn"""
    film: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """draw the episode as an animated PNG too"""


def main(argv: Sequence[str] | None = None) -> int:
    """`frugalfl explain`; returns the exit code."""
    return run_command(ExplainOptions, _explain, "frugalfl explain", argv)


def _explain(options: ExplainOptions) -> None:
    # Imported late: --help should not wait for torch.
    import pandas as pd

    from ..insight.explain import counterfactual, encounter, questions, wait_by_carbon
    from ..insight.explain_plots import plot_counterfactuals, plot_habits, plot_waiting

    if options.episodes < 1 or not 0 <= options.episode < options.episodes:
        raise ValueError(
            f"episode: {options.episode} of {options.episodes}, expected 0 <= episode < episodes"
        )
    scenario = _world(options)
    player, rival = _players(options, scenario)
    options.out.mkdir(parents=True, exist_ok=True)
    met = encounter(player, scenario, options.episodes, "test", options.seed)
    asked = questions(met)
    tables = {each.name: counterfactual(player, met, each) for each in asked}
    frames = [table.assign(question=name) for name, table in tables.items()]
    pd.concat(frames).to_csv(options.out / "counterfactuals.csv", index=False)
    plot_counterfactuals(tables, asked, player.name, options.out / "invitations.png")
    by_carbon = wait_by_carbon(player, met, (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0))
    plot_waiting(met.habits, by_carbon, player.name, options.out / "waiting.png")
    theirs: Encounters = encounter(rival, scenario, options.episodes, "test", options.seed)
    habits = {player.name: met.habits, rival.name: theirs.habits}
    plot_habits(habits, options.out / "along_the_run.png")
    every = [table.assign(scheduler=name) for name, table in habits.items()]
    pd.concat(every).to_csv(options.out / "habits.csv", index=False)
    _draw_episode(options, scenario, player, rival)
    sys.stdout.write(f"Written: {options.out}\n")


def _world(options: ExplainOptions) -> Scenario:
    from ...envs.scenario import load_scenario
    from ..learning.run_folder import load_world, read_config
    from ..players import run_folder, scenario_of
    from ..zoo import CARD, find_card

    if options.env is not None:
        return scenario_of(options.env)
    folder = run_folder(options.scheduler)
    if folder is not None and not (folder / CARD).is_file():
        return load_world(read_config(folder)[0])
    return load_scenario(find_card(options.scheduler)[1].scenario)


def _players(options: ExplainOptions, scenario: Scenario) -> tuple[LearnedScheduler, Scheduler]:
    from ..learned.scheduler import LearnedScheduler
    from ..players import make_player
    from ..schedulers import best_tuned

    player = make_player(options.scheduler, scenario)
    if not isinstance(player, LearnedScheduler):
        raise ValueError(
            f"scheduler: {options.scheduler!r} is not a trained one, there is nothing to explain"
        )
    rival = options.rival or best_tuned(scenario.name) or "random-m"
    return player, make_player(rival, scenario)


def _draw_episode(options: ExplainOptions, scenario: Scenario, player: Scheduler, rival: Scheduler) -> None:
    """The same episode, decided by each."""
    import numpy as np

    from ...envs.world import FederatedWorld
    from ..evaluation import episode_seeds, play_batch
    from ..insight.explain_plots import film, side_by_side
    from ..reports import plot_timeline

    seeds = episode_seeds(options.seed, options.episodes)[[options.episode]]
    world = FederatedWorld(scenario, 1, "test")
    pictures: list[Path] = []
    for each in (player, rival):
        _, _, story = play_batch(each.name, each, world, seeds, options.episode, 0)
        assert story is not None
        pictures.append(options.out / f"episode_{len(pictures)}.png")
        plot_timeline(story, scenario.name, pictures[-1], world.zone_names)
    side_by_side(pictures[0], pictures[1], options.out / "episode.png")
    for picture in pictures:
        picture.unlink()
    if options.film:
        films = [_frames(world, each, seeds) for each in (player, rival)]
        length = max(map(len, films))
        padded = [frames + [frames[-1]] * (length - len(frames)) for frames in films]
        both = [np.concatenate(pair, axis=1) for pair in zip(*padded, strict=True)]
        film(both, options.out / "film.png")


def _frames(world: FederatedWorld, scheduler: Scheduler, seeds: Ints) -> list[AnyArray]:
    import numpy as np

    from ...envs.adapters import Viewer
    from ...envs.contract import rollout

    world.reset(np.ones(1, dtype=bool), seeds)
    viewer = Viewer(world)  # looks at the start of the episode, which the rollout begins once more
    frames: list[AnyArray] = []
    for turn in rollout(world, scheduler, seeds):
        viewer.record(turn.result)
        frames.append(viewer.image()[::2, ::2])
    return frames


if __name__ == "__main__":
    sys.exit(main())
