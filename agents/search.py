"""Search over a scheduler's declared knobs: repeatable, and resumed from its log after an interruption."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..envs.scenario import Scenario, load_scenario
from .evaluation import MakeWorld, episode_seeds, make_worlds, play_batch
from .knobs import OFF, Knob, knobs_of, settings_of
from .schedulers import make_scheduler
from .schedulers.rule import Rule
from .statistics import interquartile_mean
from .stopping import STOP_KNOBS, best_stop, run_logs

_EXPLORED_SHARE = 0.4
"""Share of the trials drawn afresh; the rest are steps from the best ones so far."""
_ELITE = 3


@dataclass(frozen=True)
class Trial:
    """One setting and what it earned.

    Attributes:
        number: 0 is the declared defaults.
        settings: knobs that differ from the defaults.
        score: interquartile mean of the validation net points over the episodes.
    """

    number: int
    settings: dict[str, Any]
    score: float


@dataclass(frozen=True)
class Tuned:
    """All trials of one scheduler in one world."""

    scheduler: str
    trials: list[Trial]

    @property
    def best(self) -> Trial:
        """The best trial, the first of equals."""
        return max(self.trials, key=lambda trial: trial.score)


def tune(
    name: str,
    scenario: Scenario | str | Mapping[str, Any],
    trials: int = 60,
    seed: int = 0,
    episodes: int = 32,
    split: str = "val",
    starts: Sequence[Mapping[str, Any]] = (),
    log: Path | None = None,
    make_world: MakeWorld | None = None,
    done: Callable[[Trial], None] = lambda trial: None,
) -> Tuned:
    """Search the knobs of one scheduler: the defaults, random draws, then steps from the best so far.

    Every trial is played without stopping, and given the stopping knobs that suit it best (`best_stop`); no
    client is ever given more local steps than a learning agent's menu in this world offers. The same
    arguments give the same trials, interrupted or not: trial k's random numbers come from the seed, the
    scheduler's name and k.

    Args:
        name: a scheduler of `TUNABLE`, or a dotted name of one's own with knobs.
        scenario: the world, as `load_scenario` takes it.
        trials: how many settings to play.
        seed: of the episodes and of the search.
        episodes: per trial, the same for all trials and all schedulers.
        split: where to tune; test is refused.
        starts: settings to try first, instead of the defaults and the random draws; knobs that the
            scheduler does not have are passed over.
        log: JSON lines, one per trial; trials found there are not played again.
        make_world: builds so many worlds; None: of the scenario and split.
        done: called after each new trial.

    Raises:
        ValueError: bad numbers, an unknown scheduler, or a log of another search.
    """
    check_budget(trials, episodes, split)
    world_scenario = load_scenario(scenario) if make_world is None else scenario
    build = make_world or make_worlds(world_scenario, split)
    seeds, most_rounds = episode_seeds(seed, episodes), int(getattr(world_scenario, "max_rounds", 0))
    search = _Search(name, seed, trials, *_limits(world_scenario), starts)
    what = {"scheduler": name, "seed": seed, "episodes": episodes, "split": split, "trials": trials}
    what |= {"world": fingerprint(world_scenario), "starts": fingerprint(search.starts)}
    past = _read_log(log, what) if log is not None else []
    found, world = past[:trials], None
    for number in range(len(found), trials):
        world = world if world is not None else build(episodes)
        scheduler = make_scheduler(name, **search.propose(number, found))
        frame, curves, _ = play_batch(name, scheduler, world, seeds)
        stop: dict[str, Any] = {}
        score = float(interquartile_mean(frame["val_net_points"].to_numpy()))
        if isinstance(scheduler, Rule):
            stop, score = best_stop(run_logs(curves), most_rounds)
        found.append(Trial(number, search.changes(scheduler) | stop, score))
        if log is not None:
            _append(log, {"trial": number, "settings": found[-1].settings, "score": score})
        done(found[-1])
    return Tuned(name, found)


def fingerprint(scenario: Any) -> str:
    """Short hash of all settings of a world, so that results are not mistaken for another version's."""
    text = scenario.model_dump_json() if isinstance(scenario, Scenario) else str(scenario)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


class _Search:
    """Proposes settings; all its randomness comes from seed, name and trial number."""

    def __init__(
        self,
        name: str,
        seed: int,
        trials: int,
        highs: Mapping[str, float],
        pinned: Mapping[str, Any],
        starts: Sequence[Mapping[str, Any]] = (),
    ):
        self._default = make_scheduler(name)
        declared = knobs_of(self._default)
        self._knobs: dict[str, Knob] = {
            key: knob for key, knob in declared.items() if key not in {*STOP_KNOBS, *pinned}
        }
        known = [{key: value for key, value in start.items() if key in self._knobs} for start in starts]
        self.starts = [start for index, start in enumerate(known) if start not in known[:index]]
        self._root = [0x7E57, seed, zlib.crc32(name.encode()), len(self.starts)]
        self._explored = 0 if starts else max(1, round(_EXPLORED_SHARE * trials))
        self._highs = highs
        self._pinned = {key: value for key, value in pinned.items() if key in declared}

    def propose(self, number: int, found: list[Trial]) -> dict[str, Any]:
        """Settings of one trial, given all earlier ones; without the knobs of stopping."""
        return self._free(number, found) | self._pinned

    def _free(self, number: int, found: list[Trial]) -> dict[str, Any]:
        if number < len(self.starts):
            return self.starts[number]
        if number == 0 or not self._knobs:
            return {}
        rng = np.random.default_rng([*self._root, number])
        if number <= self._explored:
            # Half of the knobs stay at their defaults: a draw of all of them at once is hardly ever good.
            drawn = {key: declared.draw(rng, self._highs.get(key)) for key, declared in self._knobs.items()}
            return {key: value for key, value in drawn.items() if rng.random() < 0.5}
        elite = sorted(found, key=lambda trial: -trial.score)[:_ELITE]
        return self._step_from(elite[int(rng.integers(len(elite)))].settings, rng)

    def _step_from(self, start: Mapping[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        moved = rng.random(len(self._knobs)) < 2.5 / len(self._knobs)
        moved[int(rng.integers(len(self._knobs)))] = True
        settings = {}
        for (key, declared), move in zip(self._knobs.items(), moved, strict=True):
            value = start.get(key, getattr(self._default, key))
            value = declared.off if value == OFF and declared.off is not None else value
            settings[key] = declared.nudge(rng, value, self._highs.get(key)) if move else value
        return settings

    def changes(self, scheduler: Any) -> dict[str, Any]:
        """The scheduler's settings that differ from the defaults, JSON-able."""
        plain = settings_of(self._default)
        return {key: value for key, value in settings_of(scheduler).items() if value != plain[key]}


def _limits(scenario: Any) -> tuple[dict[str, float], dict[str, Any]]:
    """Upper ends of ranges in this world, and knobs that its menu of actions fixes."""
    highs, pinned = {"participants": float(scenario.clients)}, {}
    storage = getattr(getattr(scenario, "hub", None), "rows_per_client", 0)
    if storage:
        highs["transfer_samples"] = float(storage)
    menu = getattr(getattr(scenario, "levels", None), "local_steps", ())
    if menu:
        highs["local_steps"], pinned["most_steps"] = float(menu[-1]), int(menu[-1])
    return highs, pinned


def check_budget(trials: int, episodes: int, split: str) -> None:
    """Refuse searches without trials or episodes, and tuning on the test split; ValueError."""
    for name, value in (("trials", trials), ("episodes", episodes)):
        if value < 1:
            raise ValueError(f"{name}: {value}, expected at least 1")
    if split not in ("train", "val"):
        raise ValueError(
            f"split: {split!r}, expected 'val' or 'train': the test split is for the final comparison"
        )


def _read_log(path: Path, head: dict[str, Any]) -> list[Trial]:
    """Trials of an interrupted search; begins the file if there is none."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(head) + "\n", encoding="utf-8")
        return []
    text = path.read_text(encoding="utf-8")
    if not text.endswith("\n"):  # killed while it was writing: that trial is played again
        text = text[: text.rfind("\n") + 1]
        path.write_text(text, encoding="utf-8")
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            rows.append(json.loads(line))
        except ValueError:
            raise ValueError(
                f"{path}:{number}: not JSON, expected one trial per line; delete this line"
            ) from None
    if not rows or rows[0] != head:
        raise ValueError(
            f"{path}:1: {rows[:1]}, expected {head}; choose another --log folder or delete the file"
        )
    return [Trial(row["trial"], row["settings"], row["score"]) for row in rows[1:]]


def _append(path: Path, row: dict[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, allow_nan=False) + "\n")
