"""Data sets in Minari's folder form: written whole or not at all, read with errors of one line."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec

from ...common.arrays import AnyArray
from ...common.files import clear_drafts, write_folder
from ...common.reading import reason
from .episodes import RecordedEpisode

if TYPE_CHECKING:
    from minari import MinariDataset
    from minari.data_collector import EpisodeBuffer

DATA = "data"
"""Where Minari keeps a data set below the folder that bears its name."""
_NAME = re.compile(r"[\w-]+-v\d+")


@dataclass(frozen=True)
class DatasetCard:
    """What a data set says of itself."""

    algorithm: str  # the scheduler
    code: str  # the version of the code, a commit where one is known
    description: str
    env: EnvSpec  # what makes the environment that it was recorded in
    eval_env: EnvSpec  # and the one to validate in
    requirements: tuple[str, ...] = ()
    author: str = ""
    email: str = ""
    scores: tuple[float, float] | None = None  # mean net points of doing nothing, and of hindsight
    scored_episodes: int = 0  # episodes behind them
    about: Mapping[str, object] = field(default_factory=dict)  # JSON-able, under "frugalfl"


def check_place(out: Path) -> str:
    """The id of a data set that is to be written to a folder; refused early where it cannot be.

    Raises:
        ValueError: Minari is not installed, the folder's name is no id of Minari's, or something is there.
    """
    if importlib.util.find_spec("minari") is None or importlib.util.find_spec("h5py") is None:
        raise ValueError("record: needs minari, which is not installed: pip install 'frugalfl[offline]'")
    name = out.resolve().name
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"out: {name!r}, expected letters, digits, - and _ with a version at the end, as in "
            "volunteers-mpc-v0; it becomes the data set's id"
        )
    if out.exists():
        raise ValueError(f"out: {out} is there already, expected a new folder; choose another version")
    return name


def write_dataset(out: Path, episodes: Iterable[RecordedEpisode], card: DatasetCard) -> None:
    """Write episodes as they come; the folder appears when the last one is in it, or never.

    Args:
        out: a new folder, see `check_place`.
        episodes: in order.
        card: what is said of them.

    Raises:
        ValueError: see `check_place`.
        OSError: it could not be written.
    """
    name = check_place(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    clear_drafts(out.parent)

    def fill(folder: Path) -> None:
        from minari.dataset.minari_storage import MinariStorage

        env = gym.make(card.env)
        storage = MinariStorage.new(
            folder.resolve() / DATA,  # Minari 0.5 measures the size of absolute paths only
            observation_space=env.observation_space,
            action_space=env.action_space,
            env_spec=env.spec,
        )
        storage.update_metadata(_metadata(name, card))
        storage.update_episodes(_buffers(episodes))

    write_folder(out, fill)


def read_dataset(folder: Path | str) -> MinariDataset:
    """Open a data set by its folder, wherever it lies.

    Raises:
        ValueError: Minari is not installed, or there is no data set.
    """
    if importlib.util.find_spec("minari") is None:
        raise ValueError(f"{folder}: needs minari, which is not installed: pip install 'frugalfl[offline]'")
    from minari import MinariDataset

    try:
        return MinariDataset(Path(folder) / DATA)
    except Exception as error:  # whatever JSON, h5py and Minari make of a damaged folder
        raise ValueError(f"{folder}: no data set of Minari's ({reason(error)})") from None


def is_dataset(folder: Path | str) -> bool:
    """Whether a folder looks like one of Minari's."""
    return (Path(folder) / DATA / "metadata.json").is_file()


def seeds_of(dataset: MinariDataset) -> list[int]:
    """What to reset an environment with to meet each episode again."""
    found = dataset.storage.get_episode_metadata(dataset.episode_indices.tolist())
    return [int(each["seed"]) for each in found]


def _metadata(name: str, card: DatasetCard) -> dict[str, object]:
    from minari import __version__

    known: dict[str, object] = {
        "dataset_id": name,
        "minari_version": __version__,
        "algorithm_name": card.algorithm,
        "code_permalink": card.code,
        "description": card.description,
        "author": {card.author} if card.author else set(),
        "author_email": {card.email} if card.email else set(),
        "eval_env_spec": gym.make(card.eval_env).spec.to_json(),  # type: ignore[union-attr]
        "requirements": list(card.requirements),
        "frugalfl": dict(card.about),
    }
    if card.scores is not None:
        known["ref_min_score"], known["ref_max_score"] = card.scores
        known["num_episodes_average_score"] = card.scored_episodes
    return known


def _buffers(episodes: Iterable[RecordedEpisode]) -> Iterator[EpisodeBuffer]:
    from minari.data_collector import EpisodeBuffer

    for episode in episodes:
        steps = len(episode.rewards)
        ends = np.arange(steps) == steps - 1
        # What came before the first decision earned nothing: infos have a row per observation.
        infos: dict[str, AnyArray] = {"reward_terms": np.pad(episode.terms, ((1, 0), (0, 0)))}
        if episode.masks is not None:
            infos["action_masks"] = episode.masks
        yield EpisodeBuffer(
            seed=episode.seed,
            observations=episode.observations,
            actions=episode.actions,
            rewards=episode.rewards,  # type: ignore[arg-type]
            terminations=ends & episode.terminated,  # type: ignore[arg-type]
            truncations=ends & (not episode.terminated),  # type: ignore[arg-type]
            infos=infos,
        )
