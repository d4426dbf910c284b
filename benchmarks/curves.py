"""Training curves: net points on the validation episodes, one line per run, one panel per world.

    python benchmarks/curves.py runs/volunteers/s* runs/phones/s* runs/spotmarket/s* --out training.png

The dashed line is what the best handcrafted scheduler reached on `val` when it was tuned.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from frugalfl.agents.learning.run_folder import CURVE, load_world, read_config
from frugalfl.agents.schedulers import best_tuned, tuned_file


def main() -> None:
    """Draw the curves of the runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="folders of training runs")
    parser.add_argument("--out", type=Path, default=Path("training.png"))
    args = parser.parse_args()
    worlds: dict[str, list[Path]] = {}
    for run in args.runs:
        worlds.setdefault(load_world(read_config(run)[0]).name, []).append(run)
    figure, axes = plt.subplots(
        1, len(worlds), figsize=(4.2 * len(worlds), 3.4), layout="constrained", squeeze=False
    )
    for axis, (world, runs) in zip(axes[0], worlds.items(), strict=True):
        draw(axis, world, runs)
    axes[0][0].set_ylabel("net points on val")
    figure.savefig(args.out, dpi=120)
    print(f"Written: {args.out}")


def draw(axis: plt.Axes, world: str, runs: list[Path]) -> None:
    """One world's runs and the best tuned handcrafted scheduler."""
    for run in runs:
        curve = pd.read_csv(run / CURVE).dropna(subset=["val_net_points"])
        axis.plot(curve["rounds_trained"] / 1000, curve["val_net_points"], label=run.name)
    best = best_tuned(world)
    if best is not None:
        axis.axhline(
            tuned_file(world)["schedulers"][best]["score"],
            color="gray",
            linestyle="--",
            label=f"{best}, tuned",
        )
    axis.set(title=world, xlabel="thousand rounds of training")
    axis.grid(alpha=0.3)
    axis.legend(frameon=False, fontsize=8)


if __name__ == "__main__":
    main()
