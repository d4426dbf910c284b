"""Schedulers on the same held-out episodes, and what came of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Protocol, TypeAlias, cast

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from typing_extensions import TypeVar

from ...common.arrays import Floats, Ints
from ...common.splits import Split
from ...envs.any_world import AnyScenario, AnySource, load_any
from ...envs.contract import (
    Decider,
    Elements,
    PlayedWorld,
    Preparing,
    Scheduler,
    SimulatedWorld,
    Turn,
    rollout,
    show_episodes,
)
from ...envs.serving import ServingScheduler, ServingWorld
from ..players import AnyScheduler, adopt, make_player, origin_of
from .recording import Recorder
from .results import CLIENT_METRICS, METRICS, EvaluationResult
from .serving import ServingRecorder
from .shelf import AnyWorld, MakeWorld, WorldShelf, make_worlds
from .timelines import Timeline

__all__ = ["CLIENT_METRICS", "METRICS", "EvaluationResult", "MakeWorld", "evaluate", "play_batch"]

_Take: TypeAlias = Callable[[int], SimulatedWorld]

SituationT = TypeVar("SituationT", bound=Elements)
PlanT = TypeVar("PlanT")
OutcomeT = TypeVar("OutcomeT")


class _Watching(Protocol[SituationT, PlanT, OutcomeT]):
    """Who watches episodes of one class of worlds."""

    def record(self, turn: Turn[SituationT, PlanT, OutcomeT]) -> None:
        """Enter one decision."""
        ...


def evaluate(
    schedulers: Mapping[str, object] | Sequence[str],
    scenario: AnySource,
    episodes: int = 64,
    split: Split = "test",
    seed: int = 0,
    batch: int = 32,
    progress: bool = True,
    timeline_episode: int = 0,
    make_world: MakeWorld | None = None,
    leakage: bool = False,
) -> EvaluationResult:
    """Play every scheduler on the same episodes. Ten arguments, as it is the one call that users make.

    Args:
        schedulers: by name, or names for `make_player` with the settings tuned for this world.
        scenario: of training or of serving, or its name, its file, a mapping of the same form.
        episodes: per scheduler; the k-th is the same world for all of them.
        split: train, val or test.
        seed: of the whole evaluation.
        batch: episodes played at once; changes speed and nothing else.
        progress: whether to show a progress bar on stderr.
        timeline_episode: the episode kept as a timeline.
        make_world: builds so many worlds; None: `make_world` of the scenario and split.
        leakage: whether to measure what messages give away, see `Eavesdropper`.

    Raises:
        ValueError: bad numbers, no or unknown schedulers.
    """
    for name, value in (("episodes", episodes), ("batch", batch)):
        if value < 1:
            raise ValueError(f"{name}: {value}, expected at least 1")
    if not schedulers:
        raise ValueError("schedulers: none given, expected at least one")
    place = scenario if isinstance(scenario, str) and make_world is not None else load_any(scenario)
    named = _named(schedulers, place)
    worlds = WorldShelf(make_world or make_worlds(place, split), leakage)
    seeds = episode_seeds(seed, episodes)
    rivals = [scheduler for scheduler in named.values() if not isinstance(scheduler, Preparing)]
    parts: list[Played] = []
    with progress_bar(progress) as bar:
        task = bar.add_task("evaluation", total=len(named) * episodes)
        for name, scheduler in named.items():
            bar.update(task, description=name)
            for played in play_episodes(
                name,
                scheduler,
                worlds,
                seeds,
                batch=batch,
                timeline_episode=timeline_episode,
                rivals=rivals,
            ):
                parts.append(played)
                bar.advance(task, len(played.episodes))
    world_name = place if isinstance(place, str) else place.name
    return assemble(world_name, split, parts, worlds.take(min(batch, episodes)).zone_names)


class Played(NamedTuple):
    """Some episodes of one scheduler: rows of `EvaluationResult.episodes` and `.curves`, a timeline."""

    episodes: pd.DataFrame
    curves: pd.DataFrame
    timeline: Timeline | None


def play_episodes(
    name: str,
    scheduler: AnyScheduler,
    worlds: WorldShelf,
    seeds: Ints,
    first: int = 0,
    batch: int = 32,
    timeline_episode: int = 0,
    rivals: Sequence[AnyScheduler] = (),
) -> Iterator[Played]:
    """Play the episodes `first`, `first` + 1, ... of one scheduler, a batch at a time.

    Args:
        name: what the tables call it.
        scheduler: who plays; one that wants to `prepare` or to `adapt` is shown these seeds before.
        worlds: where to play.
        seeds: of these episodes.
        first: number of the first of them.
        batch: episodes played at once.
        timeline_episode: number of the episode whose timeline is kept, if it is among them.
        rivals: the others of the evaluation, for a scheduler that wants to `prepare`.
    """
    take, others = cast("_Take", worlds.take), cast("Sequence[Scheduler]", rivals)
    show_episodes(cast("Scheduler", scheduler), take, seeds.tolist(), batch, others)
    for start in range(0, len(seeds), batch):
        part = seeds[start : start + batch]
        row = timeline_episode - first - start
        timeline = row if 0 <= row < len(part) else None
        world = worlds.take(len(part))
        yield Played(*play_batch(name, scheduler, world, part, first + start, timeline, worlds.leakage))


def assemble(
    world: str,
    split: Split,
    parts: Sequence[Played],
    zones: tuple[str, ...] = (),
    config: Mapping[str, object] | None = None,
) -> EvaluationResult:
    """The result of all parts, in the order given."""
    frames, curves = [part.episodes for part in parts], [part.curves for part in parts]
    timelines = [part.timeline for part in parts if part.timeline is not None]
    return EvaluationResult(
        world,
        split,
        pd.concat(frames, ignore_index=True),
        pd.concat(curves, ignore_index=True),
        {timeline.scheduler: timeline for timeline in timelines},
        zones,
        config or {},
    )


def play_batch(
    name: str,
    scheduler: AnyScheduler,
    world: AnyWorld,
    seeds: Ints,
    first_episode: int = 0,
    timeline_row: int | None = None,
    leakage: bool = False,
    hindsight: bool = True,
) -> tuple[pd.DataFrame, pd.DataFrame, Timeline | None]:
    """Play one batch of episodes to their ends; the columns of `EvaluationResult.episodes` and `.curves`.

    Without `hindsight` nobody looks for the best fixed placement of a day of serving: searches and validation
    want the score only.
    """
    recorder: Recorder | ServingRecorder
    with _listening(world, seeds, leakage) as leaks:
        if isinstance(world, ServingWorld):
            serving = cast(ServingScheduler, scheduler)
            recorder = ServingRecorder(world, seeds, timeline_row, hindsight)
            decided_s, scores = _watched(world, serving, seeds, recorder), recorder.scores(serving)
        else:
            training = cast(Scheduler, scheduler)
            recorder = Recorder(world, seeds, timeline_row)
            decided_s, scores = _watched(world, training, seeds, recorder), recorder.scores(training)
    numbers = first_episode + np.arange(len(seeds))
    label = {
        "scheduler": name,
        "kind": scheduler.kind,
        "episode": numbers,
        "seed": seeds,
    }
    decision_ms = 1e3 * decided_s / max(int(recorder.decisions.sum()), 1)
    origin = origin_of(scheduler, world.scenario.name)._asdict()
    frame = pd.DataFrame(label | scores | {"decision_ms": decision_ms} | origin | leaks())
    curves = recorder.curves()
    curves.insert(0, "scheduler", name)
    curves.insert(1, "episode", curves.pop("row").to_numpy() + first_episode)
    episode = first_episode + (timeline_row or 0)
    return frame, curves, recorder.timeline(name, episode)


def _watched(
    world: PlayedWorld[SituationT, PlanT, OutcomeT],
    scheduler: Decider[SituationT, PlanT],
    seeds: Ints,
    recorder: _Watching[SituationT, PlanT, OutcomeT],
) -> float:
    """Play to the end, watched; the seconds that decisions took."""
    decided_s = 0.0
    for turn in rollout(world, scheduler, seeds):
        decided_s += turn.decided_s
        recorder.record(turn)
    return decided_s


def episode_seeds(seed: int, episodes: int) -> Ints:
    """Distinct seeds of an evaluation's episodes; longer ones begin with the episodes of shorter ones."""
    state = np.random.SeedSequence([0xE7A1, seed]).generate_state(2 * episodes + 8)
    return np.array(list(dict.fromkeys(state.tolist()))[:episodes], dtype=np.int64)


@contextmanager
def _listening(world: AnyWorld, seeds: Ints, wanted: bool) -> Iterator[Callable[[], dict[str, Floats]]]:
    """Somebody listens to the worlds meanwhile, if it is wanted; yields what gives the columns it found."""
    if not wanted:
        yield dict
        return
    # Imported late: few listen.
    from ...envs.world import FederatedWorld
    from .eavesdropping import Eavesdropper

    if not isinstance(world, FederatedWorld):
        raise ValueError(
            f"leakage: True, expected False in a {type(world).__name__}: nobody can listen there"
        )
    listener = Eavesdropper(world, seeds)
    world.eavesdrop(listener)
    try:
        yield listener.found
    finally:
        world.eavesdrop(None)


def _named(
    schedulers: Mapping[str, object] | Sequence[str], scenario: AnyScenario | str
) -> dict[str, AnyScheduler]:
    if isinstance(schedulers, Mapping):
        return {name: adopt(scheduler) for name, scheduler in schedulers.items()}
    return {name: make_player(name, scenario) for name in dict.fromkeys(schedulers)}


def progress_bar(show: bool) -> Progress:
    """Episodes played, on stderr."""
    columns = (TextColumn("{task.description:>20}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), disable=not show, transient=True)
