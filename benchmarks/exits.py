"""Early exits in Streams: what the threshold of asking the hub earns, by the price of a question.

    python benchmarks/exits.py
    python benchmarks/exits.py --prices 5 --model '{kind: exits, hidden: [64], after: [0]}'

The clients train every so many hours, whatever they are asked, so every cell has the same models, requests
and labels, and differs in nothing but who asks. The last row of the table is the rule of calibrated heads,
the hub's share of right answers less the price, as a coordinator knows them.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from frugalfl.agents.evaluation import episode_seeds
from frugalfl.agents.schedulers import make_scheduler
from frugalfl.envs.contract import RoundPlan, Situation, rollout
from frugalfl.envs.scenario import load_scenario
from frugalfl.envs.world import FederatedWorld

LEVELS = (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
RULE = "by the price"


class Threshold:
    """A scheduler that trains as another one does, and asks below one confidence or where it pays."""

    name, kind, clairvoyant = "threshold", "handcrafted", False

    def __init__(self, below: float | None, every_h: float):
        self.inner = make_scheduler("periodic", period_h=every_h, participants=6, local_steps=20)
        self.below = below

    def reset(self, envs: np.ndarray, seeds: np.ndarray, num_clients: int) -> None:
        """New episodes begin."""
        self.inner.reset(envs, seeds, num_clients)

    def plan(self, situation: Situation) -> RoundPlan:
        """Train as ever; ask as this one does."""
        plan = self.inner.plan(situation)
        if self.below is None:
            return plan
        return replace(plan, ask_below=np.full(situation.num_envs, self.below))


def play(world: FederatedWorld, below: float | None, args: argparse.Namespace) -> dict[str, float]:
    """Net points, right answers and questions, in the mean of the episodes."""
    asked, requests = 0, 0
    for turn in rollout(world, Threshold(below, args.every_h), episode_seeds(0, args.episodes)):
        served = turn.result.outcome.served
        asked, requests = asked + served.asked.count.sum(), requests + served.requests.sum()
    net = world.totals()["net_points"]
    return {
        "net": float(net.mean()),
        "right": 100 * float(world.test_scores()[0].mean()),
        "asked": 100 * asked / requests,
    }


def draw(table: pd.DataFrame, path: Path) -> None:
    """Net points above never asking, by threshold, one line for each price; dotted: the rule's."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    for price, rows in table.groupby("price"):
        fixed, rule = rows[rows["below"] != RULE], rows[rows["below"] == RULE]
        gain = fixed["net"] - fixed["net"].iloc[0]
        (line,) = axes.plot(fixed["below"].astype(float), gain, marker="o", label=f"{price:g}")
        axes.axhline(float(rule["net"].iloc[0] - fixed["net"].iloc[0]), color=line.get_color(), ls=":")
    axes.axhline(0.0, color="0.7", lw=0.8)
    axes.set_xlabel("confidence below which the hub is asked")
    axes.set_ylabel("net points above never asking")
    axes.legend(title="price of a question,\n% of a right answer", frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Play every cell, print the table and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--episodes", type=int, default=16)
    parser.add_argument("--prices", type=float, nargs="+", default=[5.0, 20.0, 40.0])
    parser.add_argument("--every-h", type=float, default=1.0, help="hours between rounds")
    parser.add_argument("--refresh", default="none", help="who is sent new models: none, participants, ...")
    parser.add_argument("--model", default="{kind: exits}", help="YAML")
    parser.add_argument("--training", default="{learning_rate: 0.5, batch_size: 16}", help="YAML")
    parser.add_argument("--out", type=Path, default=Path("exits.png"))
    args = parser.parse_args()
    rows = []
    for price in args.prices:
        world = FederatedWorld(
            load_scenario(
                "streams",
                model=yaml.safe_load(args.model),
                training=yaml.safe_load(args.training),
                serving={"refresh": [args.refresh]},
                exits={"price": price},
                levels={"ask_below": list(LEVELS)},
            ),
            args.episodes,
            "val",
        )
        for below in (*LEVELS, None):
            name = RULE if below is None else f"{below:g}"
            rows.append({"price": price, "below": name, **play(world, below, args)})
            row = rows[-1]
            print(
                f"{price:6g} {name:>12}  net {row['net']:6.2f}  right {row['right']:5.1f} %  "
                f"asked {row['asked']:5.1f} %",
                flush=True,
            )
    draw(pd.DataFrame(rows), args.out)
    print(f"\nWritten: {args.out}")


if __name__ == "__main__":
    main()
