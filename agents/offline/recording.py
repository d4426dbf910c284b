"""`frugalfl record`: who plays where, and the data set that comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec

from ... import __version__
from ...common.splits import Split
from ...envs.agent_view import AgentView
from ...envs.contract import Scheduler, show_episodes
from ...envs.registration import entries, find_entry
from ...envs.scenario import Scenario, scenario_names
from ..evaluation import WorldShelf, episode_seeds, evaluate, make_worlds
from ..players import describe, make_player, plain, scenario_of
from .episodes import RecordedEpisode, episode_seed, record_episodes
from .minari_files import DatasetCard, check_place, write_dataset

ActionName: TypeAlias = Literal["levels", "discrete", "scores"]


@dataclass(frozen=True)
class RecordOptions:
    """Write what a scheduler does as a data set for offline learning, in Minari's form.

    The scheduler's plans are carried out as the nearest legal actions of the environment, so that the
    rewards belong to the actions that are stored. The recorded seed and actions give the same rewards
    again, to the last bit. Stopped with Ctrl-C or killed, nothing is left behind but a draft that the next
    recording removes.
    """

    out: Path
    """the data set's folder, new; its name is the id, such as runs/offline/volunteers-mpc-v0"""
    scheduler: str
    """a name, package.module:Class, or the folder of a trained run"""
    env: str = "frugalfl/Volunteers-v0"
    """the world: an id, the name of a packaged scenario, or a YAML file"""
    episodes: int = 256
    """how many; each has a seed of its own"""
    split: Split = "train"
    """which part of the populations and traces"""
    action: ActionName | None = None
    """the action space that is recorded; by default that of the id, levels for a scenario"""
    seed: int = 0
    """of the whole recording; the same seed gives the same episodes"""
    batch: int = 32
    """episodes played at once; changes speed and nothing else"""
    reference_episodes: int = 0
    """episodes for Minari's reference scores, those of doing nothing and of the best known in hindsight;
    0 leaves them out, for the search in hindsight takes long"""
    author: str = ""
    """who recorded it"""
    author_email: str = ""
    """and how to reach them"""


@dataclass(frozen=True)
class RecordSummary:
    """What was recorded."""

    dataset: str  # its id
    episodes: int
    decisions: int
    net_points: float  # mean sum of an episode's rewards


def record(
    options: RecordOptions, code: str | None = None, progress: Callable[[int], None] | None = None
) -> RecordSummary:
    """Play, and write the data set.

    Args:
        options: who, where, how often.
        code: the commit of the sources; None: the version alone.
        progress: called with the number of episodes played so far.

    Raises:
        ValueError: one line naming the field, the value and what was expected.
        OSError: it could not be written.
    """
    for name, value in (("episodes", options.episodes), ("batch", options.batch)):
        if value < 1:
            raise ValueError(f"{name}: {value}, expected at least 1")
    if options.reference_episodes < 0:
        raise ValueError(f"reference_episodes: {options.reference_episodes}, expected 0 or more")
    if options.seed < 0:
        raise ValueError(f"seed: {options.seed}, expected 0 or more")
    name = check_place(options.out)
    spec, scenario, action = _place(options)
    scheduler = make_player(options.scheduler, scenario)
    seeds = episode_seeds(options.seed, options.episodes)
    played: list[tuple[int, float]] = []

    def counted(episodes: Iterable[RecordedEpisode]) -> Iterator[RecordedEpisode]:
        for episode in episodes:
            played.append((len(episode.rewards), episode.net_points))
            if progress is not None:
                progress(len(played))
            yield episode

    _prepare(scheduler, scenario, options, [episode_seed(seed) for seed in seeds.tolist()])
    view = AgentView(scenario, min(options.batch, options.episodes), options.split, action)
    episodes = counted(record_episodes(view, scheduler, seeds))
    write_dataset(options.out, episodes, _card(options, spec, scenario, scheduler, code))
    steps, points = np.array(played).T
    return RecordSummary(name, len(played), int(steps.sum()), float(points.mean()))


def _place(options: RecordOptions) -> tuple[EnvSpec, Scenario, str]:
    """What makes the single environment, its scenario, and its action mode."""
    scenario, env_id = scenario_of(options.env), options.env
    if "/" not in env_id and env_id in scenario_names():
        env_id = next((each.id for each in entries() if each.scenario == env_id), env_id)
    if env_id in gym.registry:
        kwargs: dict[str, object] = dict(find_entry(env_id).kwargs)
        if kwargs.get("vector_reward"):
            scalar = env_id.replace("mo-", "")
            raise ValueError(
                f"env: {env_id!r} has a vector reward; use {scalar!r}, reward_terms are recorded"
            )
    else:  # the whole document, so that the data set can be replayed where its file is not
        env_id, kwargs = f"frugalfl/{scenario.name}", {"scenario": plain(scenario.model_dump())}
    action = options.action or str(kwargs.get("action", "levels"))
    kwargs |= {"split": options.split, "action": action}
    return replace(gym.spec(next(entries()).id), id=env_id, kwargs=kwargs), scenario, action


def _prepare(scheduler: Scheduler, scenario: Scenario, options: RecordOptions, seeds: list[int]) -> None:
    """Let a search in hindsight see its episodes before."""
    worlds = WorldShelf(make_worlds(scenario, options.split))
    show_episodes(scheduler, worlds.take, seeds, options.batch)


def _card(
    options: RecordOptions, spec: EnvSpec, scenario: Scenario, scheduler: Scheduler, code: str | None
) -> DatasetCard:
    version = f"frugalfl {__version__}" + (f", commit {code}" if code else "")
    about = {
        "world": scenario.name,
        "scenario": plain(scenario.model_dump()),
        "split": options.split,
        "seed": options.seed,
        "scheduler": plain(describe(options.scheduler, scheduler)),
    }
    return DatasetCard(
        algorithm=scheduler.name,
        code=version,
        description=(
            f"{options.episodes} episodes of the scheduler {scheduler.name} in the world {scenario.name}, "
            f"{options.split} split: coordinating federated training on volatile machines. Rewards are "
            "accuracy points net of costs."
        ),
        env=spec,
        eval_env=replace(spec, kwargs={**spec.kwargs, "split": "val"}),
        requirements=(f"frugalfl>={__version__}",),
        author=options.author,
        email=options.author_email,
        scores=_reference_scores(scenario, options),
        scored_episodes=options.reference_episodes,
        about=about,
    )


def _reference_scores(scenario: Scenario, options: RecordOptions) -> tuple[float, float] | None:
    """Mean sums of rewards of doing nothing and of the best known in hindsight."""
    if not options.reference_episodes:
        return None
    result = evaluate(
        ["never", "clairvoyant"],
        scenario,
        options.reference_episodes,
        options.split,
        options.seed,
        options.batch,
        progress=False,
    )
    never, best = (float(result.values(name, "val_net_points").mean()) for name in ("never", "clairvoyant"))
    return never, best
