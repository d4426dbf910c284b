"""Low-rank factors of several ranks beside full training, from the same base: bytes, score, how fast.

    python benchmarks/fine_tuning.py
    python benchmarks/fine_tuning.py --episodes 8 --rounds 40 --ranks 1 2 4 8

The world is Language with one change: its clients speak dialects of a language that departs from its family's
(`family`), and the base has read a text of the family. Everybody who is there takes part in every round, H =
200, 16 bits. What is charged is the nominal job, by the share of the parameters that travels.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from frugalfl.agents.schedulers import make_scheduler
from frugalfl.common.units import BYTES_PER_GB
from frugalfl.envs.scenario import load_scenario
from frugalfl.envs.world import FederatedWorld

FAMILY: dict[str, Any] = {"kind": "markov", "symbols": 12, "order": 2, "context": 8, "clients": 0.0}
DIALECTS = {**FAMILY, "num_clients": 16, "clients": 0.1, "family": 0.3}
BASE = {"steps": 1500, "dataset": {**FAMILY, "num_clients": 1, "rows": 4000}}
HEAD = ["head"]


def cases(ranks: list[int]) -> dict[str, dict[str, Any]]:
    """What is trained, by its name in the table."""
    found: dict[str, dict[str, Any]] = {"all, from nothing": {}, "all, from the base": {"pretrained": BASE}}
    for rank in ranks:
        lora = {"kind": "lora", "rank": rank}
        found[f"rank {rank}"] = {"pretrained": BASE, "trainable": lora}
        found[f"rank {rank} and the head"] = {"pretrained": BASE, "trainable": {**lora, "whole": HEAD}}
    return found


def row(changes: dict[str, Any], episodes: int, rounds: int) -> list[str]:
    """One case played: sizes, then scores at the beginning, half-way and at the end, then what was moved."""
    world = FederatedWorld(load_scenario("language", dataset=DIALECTS, **changes), episodes, "val")
    everywhere, seeds = np.ones(episodes, dtype=bool), np.arange(episodes)
    world.reset(everywhere, seeds)
    scheduler = make_scheduler("diloco-h", local_steps=16, upload_bits=16)
    scheduler.reset(everywhere, seeds, world.scenario.clients)
    situation = world.situation()
    sizes = [situation.terms.model_bytes[0], situation.terms.upload_bytes[0], world.source.setup_bytes]
    scores = [situation.run.accuracy.mean()]
    for done in range(1, rounds + 1):
        world.step(scheduler.plan(world.situation()))
        if done in (rounds // 2, rounds):
            scores.append(world.situation().run.accuracy.mean())
    cells = [f"{world.parameters().shape[1]:,}", *(f"{size / BYTES_PER_GB:.2f}" for size in sizes)]
    return [*cells, *(f"{100 * score:.1f}" for score in scores), f"{world.totals()['gigabytes'].mean():.0f}"]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--episodes", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=24)
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2, 4])
    options = parser.parse_args()
    half, end = options.rounds // 2, options.rounds
    print("| trained | parameters | down, GB | up, GB | a joiner, GB | score at first |", end="")
    print(f" after {half} rounds | after {end} | moved, GB |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name, changes in cases(options.ranks).items():
        print(f"| {name} | {' | '.join(row(changes, options.episodes, options.rounds))} |", flush=True)


if __name__ == "__main__":
    main()
