"""Policies of serving on the same held-out episodes; the tables are those of all evaluations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ...common.arrays import AnyArray, Ints
from ...common.splits import Split
from ...common.units import SECONDS_PER_HOUR
from ...envs.contract import REWARD_TERMS, rollout
from ...envs.serving import ServingScheduler, ServingSource, ServingWorld, load_serving
from ..schedulers.serving import make_policy
from .episodes import episode_seeds, progress_bar
from .results import EvaluationResult

_SHARES = ("dropped", "hub", "asked", "retried")
_SUMS = ("hours", "gigabytes", "kilowatt_hours", "kilograms", "loads", "lost", "repairs")


def evaluate_serving(
    policies: Mapping[str, ServingScheduler] | Sequence[str],
    scenario: ServingSource = "serving",
    episodes: int = 64,
    split: Split = "test",
    seed: int = 0,
    batch: int = 32,
    progress: bool = True,
) -> EvaluationResult:
    """Play every policy on the same episodes.

    The table of episodes has net_points (the sum of the rewards: requests of a split are rows that models
    were not trained on, so that no other score is needed), accuracy (right answers over answers), the terms
    points_answers, points_time, points_communication and points_emissions, what was moved and emitted, loads
    begun and lost, and dropped_share, hub_share, asked_share and retried_share of the requests. The curves
    have hours, net points and accuracy so far.

    Args:
        policies: by the name that the tables call them, or names for `make_policy`, such as
            `online-greedy+hi-lcb`.
        scenario: anything `load_serving` takes.
        episodes: per policy; the k-th is the same world for all of them.
        split: train, val or test.
        seed: of the whole evaluation.
        batch: episodes played at once; changes speed and nothing else.
        progress: whether to show a progress bar on stderr.

    Raises:
        ValueError: bad numbers, or no or unknown policies.
    """
    for name, value in (("episodes", episodes), ("batch", batch)):
        if value < 1:
            raise ValueError(f"{name}: {value}, expected at least 1")
    if not policies:
        raise ValueError("policies: none given, expected at least one")
    named = policies if isinstance(policies, Mapping) else {name: make_policy(name) for name in policies}
    loaded, seeds = load_serving(scenario), episode_seeds(seed, episodes)
    frames: list[pd.DataFrame] = []
    curves: list[pd.DataFrame] = []
    worlds: dict[int, ServingWorld] = {}
    with progress_bar(progress) as bar:
        task = bar.add_task("evaluation", total=len(named) * episodes)
        for name, policy in named.items():
            bar.update(task, description=name)
            for start in range(0, episodes, batch):
                part = seeds[start : start + batch]
                if part.size not in worlds:
                    worlds[part.size] = ServingWorld(loaded, part.size, split)
                world = worlds[part.size]
                frame, curve = _played(name, policy, world, part, start)
                frames.append(frame)
                curves.append(curve)
                bar.advance(task, part.size)
    zones = next(iter(worlds.values())).zone_names
    tables = (pd.concat(each, ignore_index=True) for each in (frames, curves))
    return EvaluationResult(loaded.name, split, *tables, zones=zones)


def _played(
    name: str, policy: ServingScheduler, world: ServingWorld, seeds: Ints, first: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One batch of episodes, to their ends."""
    terms, decided_s, decisions = np.zeros((seeds.size, len(REWARD_TERMS))), 0.0, 0
    numbers = first + np.arange(seeds.size)
    points: list[pd.DataFrame] = []
    for turn in rollout(world, policy, seeds):
        terms += turn.result.terms
        decided_s += turn.decided_s
        decisions += int(turn.running.sum())
        now = turn.after.terms
        row = {"hours": now.time_s / SECONDS_PER_HOUR, "accuracy": turn.result.outcome.accuracy}
        points.append(pd.DataFrame({"scheduler": name, "episode": numbers, **row, "net": now.net_points}))
    totals = world.totals()
    asked = np.maximum(totals["requests"], 1.0)
    scores: dict[str, AnyArray | float] = {
        "net_points": totals["net_points"],
        "accuracy": totals["accuracy"],
        "points_answers": terms[:, 0],
        **{f"points_{term}": terms[:, 1 + k] for k, term in enumerate(REWARD_TERMS[1:])},
        **{each: totals[each] for each in _SUMS},
        **{f"{each}_share": totals[each] / asked for each in _SHARES},
        "decision_ms": 1e3 * decided_s / max(decisions, 1),
    }
    label = {"scheduler": name, "kind": policy.kind, "episode": numbers, "seed": seeds}
    curve = pd.concat(points).sort_values("episode", kind="stable", ignore_index=True)
    return pd.DataFrame(label | scores), curve
