"""Robust aggregation: test accuracy by attack and aggregator, and how often a rule had too few updates.

    python benchmarks/robust.py
    python benchmarks/robust.py --partition '{kind: zone, zone_alpha: 0.2, client_alpha: 0.2}'

Phones that train whenever they are there: `random-m` invites so many of them in each round and does not stop
before the last. A fifth of the phones lie. Every cell plays the same episodes, so differences between cells
are not differences between phones.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from frugalfl.agents.evaluation import episode_seeds
from frugalfl.agents.schedulers import make_scheduler
from frugalfl.common.settings import Spec
from frugalfl.envs.contract import rollout
from frugalfl.envs.scenario import Scenario, load_scenario
from frugalfl.envs.world import FederatedWorld

ATTACKS: dict[str, Spec | None] = {
    "none": None,
    "sign-flip": "sign-flip",
    "label-flip": "label-flip",
    "scale -10": {"kind": "scale", "factor": -10.0},
    "alie": "alie",
    "ipm 0.5": "ipm",
    "ipm 5": {"kind": "ipm", "epsilon": 5.0},
    "mimic": "mimic",
}
LOCAL_STEPS = 10


def aggregators(f: int) -> dict[str, Spec]:
    """What is compared, told of f liars where a rule wants to know."""
    return {
        "by-samples": "by-samples",
        "clip": {"kind": "clip", "length": 0.5},
        "krum": {"kind": "krum", "f": f},
        "multi-krum": {"kind": "multi-krum", "f": f},
        "trimmed-mean": {"kind": "trimmed-mean", "f": f},
        "median": "median",
        "geometric-median": "geometric-median",
        "centred-clipping": {"kind": "centred-clipping", "tau": 0.5},
        "nnm, trimmed-mean": {"kind": "nnm", "f": f},
        "nnm, median": {"kind": "nnm", "f": f, "then": "median"},
    }


def scenario_of(args: argparse.Namespace, attack: Spec | None, aggregator: Spec) -> Scenario:
    """The world of one cell."""
    return load_scenario(
        "phones",
        malicious=None if attack is None else {"share": args.share, "attack": attack},
        aggregator={"kind": "fedavgm", "momentum": 0.5, "weighting": aggregator},
        partition=yaml.safe_load(args.partition),
        max_rounds=args.rounds,
        budgets={"hours": 10.0 * args.rounds},
    )


def play(scenario: Scenario, args: argparse.Namespace) -> dict[str, float]:
    """Mean test accuracy, its standard error, rounds in which nothing moved, updates in a round."""
    world = FederatedWorld(scenario, args.episodes, "test")
    scheduler = make_scheduler(
        "random-m", participants=args.participants, local_steps=LOCAL_STEPS, stop_price_power="off"
    )
    rounds, moved, arrived = 0, 0, 0
    before = None
    for turn in rollout(world, scheduler, episode_seeds(0, args.episodes)):
        now, running = world.parameters(), turn.running & turn.plan.is_round
        if before is not None:
            rounds += int(running.sum())
            moved += int(((now != before).any(axis=1) & running).sum())
            arrived += int(turn.result.outcome.completed[running].sum())
        before = now
    accuracy = world.test_scores()[0]
    return {
        "accuracy": float(accuracy.mean()),
        "error": float(accuracy.std(ddof=1) / np.sqrt(accuracy.size)),
        "stood_still": 1.0 - moved / max(rounds, 1),
        "arrivals": arrived / max(rounds, 1),
    }


def main() -> None:
    """Play every cell and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--episodes", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--share", type=float, default=0.2, help="of the clients that lie")
    parser.add_argument(
        "--participants", type=int, default=25, help="invited in a round, if so many are there"
    )
    parser.add_argument("--f", type=int, default=5, help="liars in a round that the rules are told of")
    parser.add_argument("--partition", default="iid", help="YAML")
    parser.add_argument("--out", type=Path, default=Path("robust.csv"))
    args = parser.parse_args()
    rows = []
    for name, aggregator in aggregators(args.f).items():
        for attack, spec in ATTACKS.items():
            found = play(scenario_of(args, spec, aggregator), args)
            rows.append({"aggregator": name, "attack": attack, **found})
            print(f"{name:>18} {attack:>10}  {found['accuracy']:.3f} +- {found['error']:.3f}", flush=True)
    table = pd.DataFrame(rows)
    table.to_csv(args.out, index=False)
    wide = table.pivot(index="aggregator", columns="attack", values="accuracy")
    shown = wide.loc[list(aggregators(args.f)), list(ATTACKS)].map(lambda value: f"{100 * value:.0f}")
    still = table.groupby("aggregator")["stood_still"].mean()
    shown["stood still"] = [f"{100 * still[name]:.0f}" for name in shown.index]
    arrivals = f"{table['arrivals'].mean():.1f} updates in a round"
    print(f"\n{arrivals}; test accuracy in %, rounds without a step in %\n")
    print("| | " + " | ".join(shown.columns) + " |\n|---|" + "---|" * len(shown.columns))
    for name, row in shown.iterrows():
        print(f"| {name} | " + " | ".join(row) + " |")
    print(f"\nWritten: {args.out}")


if __name__ == "__main__":
    main()
