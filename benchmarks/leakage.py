"""Leakage: what noise, clipping and compression take from an eavesdropper, and at which accuracy.

    python benchmarks/leakage.py

Phones that train whenever they are there, with rows dealt at random: `random-m` invites so many of them in
each round and does not stop before the last. Every row plays the same episodes and listens to the same four
clients in each. Epsilon is that of a client that may answer in every round (`epsilon_bound`).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from frugalfl.agents.evaluation import evaluate
from frugalfl.agents.schedulers import make_scheduler
from frugalfl.envs.scenario import load_scenario
from frugalfl.fl_core.aggregation import epsilon_bound

CLIP = 1.0
MULTIPLIERS = (0.0, 0.1, 0.3, 1.0, 3.0)
COLUMNS = ("accuracy", "mia_auc", "mia_auc_sums")


def variants(expected: float) -> dict[str, dict[str, object]]:
    """What is changed in the world, by name."""
    found: dict[str, dict[str, object]] = {
        "plain": {},
        "8-bit": {"compression": "8-bit"},
        "top-k 10%": {"compression": {"kind": "top-k", "share": 0.1}},
        "top-k 1%": {"compression": {"kind": "top-k", "share": 0.01}},
    }
    for multiplier in MULTIPLIERS:
        mechanism = {
            "kind": "gaussian",
            "clip": CLIP,
            "noise_multiplier": multiplier,
            "expected_clients": expected,
        }
        found[f"gaussian, {multiplier:g}"] = {"aggregator": mechanism}
    return found


def main() -> None:
    """Play every variant and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--episodes", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument(
        "--steps", type=int, nargs="+", default=[5, 40], help="local steps, one table for each"
    )
    parser.add_argument("--participants", type=int, default=25, help="invited in a round")
    parser.add_argument(
        "--delta", type=float, default=1e-3, help="of the privacy; below one over the clients"
    )
    parser.add_argument("--out", type=Path, default=Path("leakage.csv"))
    args = parser.parse_args()
    rows = []
    for steps in args.steps:
        for name, changes in variants(0.8 * args.participants).items():
            scenario = load_scenario(
                "phones",
                **{
                    "partition": "iid",
                    "max_rounds": args.rounds,
                    "budgets": {"hours": 10.0 * args.rounds},
                    **changes,
                },
            )
            who = make_scheduler(
                "random-m", participants=args.participants, local_steps=steps, stop_price_power="off"
            )
            played = evaluate(
                {"random-m": who}, scenario, args.episodes, progress=False, leakage=True
            ).episodes
            row = {"steps": steps, "variant": name, **played[list(COLUMNS)].mean()}
            row |= {f"{column}_error": played[column].sem() for column in COLUMNS}
            noise = name.startswith("gaussian") and float(name.split()[1])
            row["epsilon"] = epsilon_bound(noise, args.rounds, args.delta) if noise else float("inf")
            rows.append(row)
            print(
                f"{steps:>3} {name:>14} " + " ".join(f"{row[column]:.3f}" for column in COLUMNS), flush=True
            )
    pd.DataFrame(rows).to_csv(args.out, index=False)
    print("\n| steps | | accuracy | membership by messages | by models alone | epsilon |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        figures = " | ".join(f"{row[name]:.3f} ± {row[f'{name}_error']:.3f}" for name in COLUMNS[1:])
        head = f"| {row['steps']} | {row['variant']} | {row['accuracy']:.1%} | "
        print(f"{head}{figures} | {row['epsilon']:.3g} |")
    print(f"\nWritten: {args.out}")


if __name__ == "__main__":
    main()
