"""Policies of serving: regret of placements on sequences with its bounds, and the table of everybody.

    python benchmarks/serving.py [--episodes 8] [--steps 50 200 800] [--figure serving_regret.png]

Sequences are requests to the slots of one situation of Serving-v0: drawn anew around the same means in every
step ("stationary"), or three times the load of one task, another in every step ("adversarial"). Regret is
that of the distributions y against the best fixed one (infida-oma, oga); of what was best for the last step
it is that of the placements against the best fixed placement found. About ten minutes for eight episodes,
most of them for the clairvoyant; `--episodes 0` leaves the table out.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import matplotlib.pyplot as plt

from frugalfl.agents.evaluation import evaluate
from frugalfl.agents.reports.palette import BLUE, GREY, RED
from frugalfl.agents.schedulers.serving import (
    Ascent,
    gain_of,
    ladder_of,
    look_back,
    make_policy,
    marginals,
)
from frugalfl.envs.serving import NOTHING, ServingSituation, ServingWorld, load_serving
from frugalfl.envs.serving_view import fill_greedily, joined_rows

ASCENTS = {"infida-oma": BLUE, "oga": RED}
POLICIES = (
    *("hub-only", "cheapest-local", "static-greedy", "online-greedy", "survival-greedy", "infida-oma", "oga"),
    *("tbgrd", "lfu", "lru", "spothedge", "proteus-milp", "clover-mix"),
    *("ask-below", "calibrated", "hi-lcb", "h2t2", "hi-exp", "edf", "threshold-defer", "lp-defer"),
    *("survival-greedy+hi-lcb", "proteus-milp+hi-lcb", "online-greedy+hi-lcb+lp-defer"),
    *("clairvoyant+hi-lcb+at-once", "clairvoyant"),
)
"""A part that is not named is the usual one: online-greedy, never-ask, at-once."""


def first_situation(envs: int) -> ServingSituation:
    """Where the sequences are asked: the first situation of some episodes."""
    world = ServingWorld(load_serving("serving"), envs, "val")
    world.reset(np.ones(envs, dtype=bool), np.arange(envs))
    return world.situation()


def sequence(situation: ServingSituation, kind: str, steps: int) -> np.ndarray:
    """Requests `[T, E, Z, I]`."""
    mean = situation.tasks.mean_rate
    if kind == "stationary":
        return mean * np.random.default_rng(0).gamma(1.0, 1.0, (steps, *mean.shape))
    task = np.arange(steps) % mean.shape[2]
    return 3.0 * mean * (np.arange(mean.shape[2]) == task[:, None])[:, None, None, :]


def of_ascent(name: str, situation: ServingSituation, requests: np.ndarray) -> tuple[float, float]:
    """Mean regret of y, and its bound."""
    policy = make_policy(name)
    envs = situation.num_envs
    policy.reset(np.ones(envs, dtype=bool), np.arange(envs), situation.num_slots)
    terms = replace(situation.terms, steps=len(requests))
    for each in requests:
        policy.plan(replace(situation, terms=terms, tasks=replace(situation.tasks, requests_last=each)))
    assert isinstance(policy.placement, Ascent)
    regret, bound = policy.placement.regret(), policy.placement.regret_bound()
    assert (regret <= bound).all(), f"{name}: regret {regret} above its bound {bound}"
    return float(regret.mean()), float(bound.mean())


def of_greedy(situation: ServingSituation, requests: np.ndarray) -> float:
    """Regret of what was best for the last step against the best fixed placement, in the first row."""
    ladders = [ladder_of(situation, each) for each in requests]
    episode = joined_rows(ladders, 0)
    empty = np.full(episode.cost.shape[:2], NOTHING)
    greedy = fill_greedily(lambda content: marginals(episode, content), empty, empty == NOTHING)
    placed = np.concatenate([empty[:1], greedy[:-1]])
    return look_back(episode, 20).best - float(gain_of(episode, placed).sum())


def growth(steps: list[int], figure: Path) -> None:
    """Regret and bounds by the number of steps, printed and drawn."""
    situation = first_situation(4)
    canvas, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained", sharey=True)
    print("| sequence | policy | " + " | ".join(f"T = {t}" for t in steps) + " | growth |")
    print("|---|---|" + "---|" * (len(steps) + 1))
    for axis, kind in zip(axes, ("stationary", "adversarial"), strict=True):
        asked = [sequence(situation, kind, t) for t in steps]
        scale = float(situation.tasks.mean_rate[0].sum())
        for name, colour in ASCENTS.items():
            pairs = np.array([of_ascent(name, situation, each) for each in asked]) / scale
            axis.loglog(steps, np.maximum(pairs[:, 0], 1e-3), "o-", color=colour, label=name)
            axis.loglog(steps, pairs[:, 1], "--", color=colour, label=f"{name}, bound")
            cells = [f"{regret:.0f} of {bound:.0f}" for regret, bound in pairs]
            print(f"| {kind} | {name} | " + " | ".join(cells) + f" | T^{exponent(steps, pairs[:, 0]):.2f} |")
        values = np.array([of_greedy(situation, each) for each in asked]) / scale
        axis.loglog(steps, np.maximum(values, 1e-3), "s:", color=GREY, label="best for the last step")
        cells = [f"{value:.0f}" for value in values]
        print(
            f"| {kind} | best for the last step | "
            + " | ".join(cells)
            + f" | T^{exponent(steps, values):.2f} |"
        )
        axis.set(title=kind, xlabel="steps")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("regret, points of a mean step")
    axes[1].legend(fontsize=7)
    figure.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(figure, dpi=110)


def exponent(steps: list[int], values: np.ndarray) -> float:
    """Slope in the logarithms."""
    return float(np.polyfit(np.log(steps), np.log(np.maximum(values, 1e-3)), 1)[0])


def table(episodes: int) -> None:
    """Everybody on the same validation episodes."""
    players = {name: make_policy(name) for name in POLICIES}
    result = evaluate(players, "serving", episodes=episodes, split="val", batch=episodes, progress=False)
    print(result.summary().to_markdown())


def main() -> None:
    """Print tables, draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--episodes", type=int, default=8)
    parser.add_argument("--steps", type=int, nargs="+", default=[50, 200, 800])
    parser.add_argument("--figure", type=Path, default=Path("serving_regret.png"))
    args = parser.parse_args()
    growth(args.steps, args.figure)
    if args.episodes:
        table(args.episodes)


if __name__ == "__main__":
    main()
