"""The price of leakage: what schedulers earn when an eavesdropper's knowledge is charged, and how to hide.

    python benchmarks/price_of_leakage.py

Four hospitals train with plain updates, with secure aggregation (only sums are heard) and with the Gaussian
mechanism on top of it. One, two or all of them are invited to every round. Every row plays the same episodes;
only the price, what is heard and the noise differ. A multiplier of 10,000 drowns everything: what is charged
there is chance.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from frugalfl.agents.evaluation import evaluate
from frugalfl.agents.schedulers import make_scheduler
from frugalfl.envs.scenario import load_scenario

SUMS: dict[str, object] = {"overheard": "sums"}


def mechanism(multiplier: float, invited: float) -> dict[str, object]:
    """The Gaussian mechanism for so many expected answers, with what its sums leave to hear."""
    noise = {"kind": "gaussian", "clip": 1.0, "noise_multiplier": multiplier, "expected_clients": invited}
    return {"aggregator": noise, **SUMS}


def worlds(multipliers: list[float], invited: int) -> dict[str, dict[str, object]]:
    """What is changed in the world, by name."""
    plain: dict[str, dict[str, object]] = {"updates": {}, "sums": SUMS}
    return plain | {f"sums, noise {each:g}": mechanism(each, invited) for each in multipliers}


def main() -> None:
    """Play everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--world", default="hospitals")
    parser.add_argument("--partition", help="another one than the world's")
    parser.add_argument("--invited", type=int, nargs="+", default=[1, 2, 4], help="clients in a round")
    parser.add_argument("--episodes", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=5, help="local steps")
    parser.add_argument("--prices", type=float, nargs="+", default=[2.0, 10.0], help="per point of area")
    parser.add_argument("--noise", type=float, nargs="+", default=[0.1, 1e4], help="multipliers")
    parser.add_argument("--out", type=Path, default=Path("price_of_leakage.csv"))
    args = parser.parse_args()
    rows = []
    for heard in worlds(args.noise, 1):
        for invited in args.invited:
            changes = worlds(args.noise, invited)[heard]
            if args.partition is not None:
                changes = {**changes, "partition": args.partition}
            row: dict[str, object] = {"heard": heard, "invited": invited}
            for price in (0.0, *args.prices):
                unpriced = {name: value for name, value in changes.items() if price or name != "overheard"}
                scenario = load_scenario(
                    args.world, max_rounds=args.rounds, preferences={"price_per_auc": price}, **unpriced
                )
                scheduler = make_scheduler(
                    "random-m", participants=invited, local_steps=args.steps, stop_price_power="off"
                )
                played = evaluate({"random-m": scheduler}, scenario, args.episodes, progress=False).episodes
                row[f"net {price:g}"] = played["net_points"].mean()
                row[f"net {price:g} error"] = played["net_points"].sem()
            row |= {"accuracy": played["accuracy"].mean(), "charged": played["mia_auc_charged"].mean()}
            row["charged error"] = played["mia_auc_charged"].sem()
            rows.append(row)
    pd.DataFrame(rows).to_csv(args.out, index=False)
    prices = [f"net {price:g}" for price in (0.0, *args.prices)]
    print("\n| heard | invited | accuracy | charged area | " + " | ".join(prices) + " |")
    print("|---|---|---|---|" + "---|" * len(prices))
    for row in rows:
        nets = " | ".join(f"{row[name]:.1f} ± {row[f'{name} error']:.1f}" for name in prices)
        charged = f"{row['charged']:.3f} ± {row['charged error']:.3f}"
        print(f"| {row['heard']} | {row['invited']} | {row['accuracy']:.1%} | {charged} | {nets} |")
    print(f"\nWritten: {args.out}")


if __name__ == "__main__":
    main()
