"""The Pareto front of one policy that observes its prices, beside policies trained for one price each.

    for kg in 5.59 44.72 357.77; do
        python train_agent.py --rivals none --out runs/pareto/kg$kg --reward.price-per-hour 0.1 \
            --reward.price-per-gb 0.2236 --reward.price-per-kg $kg
    done
    python benchmarks/pareto.py --policy volunteers-ppo --handcrafted linear-rule mpc \
        --single runs/pareto/kg5.59 runs/pareto/kg44.72 runs/pareto/kg357.77

The prices are the middles of what episodes of Volunteers draw, and an eighth and eight times as much per kg.
The policy and the handcrafted schedulers play under every factor of --factors times the price; a policy
trained for one price gives one point, played under that price. Writes points.csv, front.md and front.png.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from frugalfl.agents.evaluation import OBJECTIVES, front_figures, saved_at_equal_accuracy, trace_front
from frugalfl.agents.learning.run_folder import read_config
from frugalfl.agents.players import make_player
from frugalfl.envs.episode import PRICES
from frugalfl.envs.scenario import load_scenario

SINGLE = "one policy per price"


def main() -> None:
    """Play, write the table and the figure."""
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    varied = PRICES if args.price == "all" else (args.price,)
    settings = [dict.fromkeys(varied, factor) for factor in args.factors]
    world = load_scenario(args.world)
    parts = []
    for source in [*args.policy, *args.handcrafted]:
        parts.append(
            trace_front(
                Path(source).name, lambda w, s=source: make_player(s, w), world, settings, args.episodes
            )
        )
        print(parts[-1].to_string(index=False), flush=True)
    for source in args.single:
        priced = load_scenario(world, preferences=read_config(Path(source))[0].world.get("preferences", {}))
        parts.append(trace_front(SINGLE, lambda w, s=source: make_player(s, w), priced, [{}], args.episodes))
        print(parts[-1].to_string(index=False), flush=True)
    points = pd.concat(parts, ignore_index=True)
    points.to_csv(args.out / "points.csv", index=False)
    write_page(points, args)
    draw(points, args.out / "front.png")
    print(f"Written: {args.out}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--world", default="volunteers")
    parser.add_argument("--policy", nargs="*", default=[], help="runs or names that observe their prices")
    parser.add_argument("--single", nargs="*", default=[], help="runs trained for one price each")
    parser.add_argument("--handcrafted", nargs="*", default=["drift-plus-penalty", "power-of-choice"])
    parser.add_argument("--price", default="price_per_kg", choices=[*PRICES, "all"], help="which one varies")
    parser.add_argument("--factors", nargs="*", type=float, default=[0.125, 0.25, 0.5, 1, 2, 4, 8])
    parser.add_argument("--episodes", type=int, default=64, help="paired test episodes of each point")
    parser.add_argument("--out", type=Path, default=Path("runs/pareto/front"))
    return parser.parse_args()


def write_page(points: pd.DataFrame, args: argparse.Namespace) -> None:
    lines = [f"# {args.world}: trade-offs while {args.price} varies", ""]
    for title, objectives in (
        ("error and kg CO2e", ("error", "kilograms")),
        ("error, hours, GB and kg CO2e", OBJECTIVES),
    ):
        lines += [f"Hypervolume of {title}, share of the box around all points:", ""]
        lines += ["| scheduler | points | not dominated | hypervolume |", "|---|---:|---:|---:|"]
        for name, count, kept, volume in front_figures(points, objectives).itertuples(index=False):
            lines.append(f"| {name} | {count} | {kept} | {volume:.3f} |")
        lines.append("")
    for source in args.policy if args.handcrafted else []:
        lines += [
            f"CO2e of {Path(source).name} at equal accuracy, against the best of the handcrafted ones:",
            "",
        ]
        lines += ["| accuracy [%] | kg CO2e | handcrafted | saved |", "|---:|---:|---:|---:|"]
        saved = saved_at_equal_accuracy(points, Path(source).name, args.handcrafted)
        for accuracy, spent, needed, share in saved.itertuples(index=False):
            other = "| not reached | |" if math.isnan(needed) else f"| {needed:.3f} | {share:.0%} |"
            lines.append(f"| {100 * accuracy:.1f} | {spent:.3f} {other}")
        lines.append("")
    text = "\n".join(lines)
    (args.out / "front.md").write_text(text, encoding="utf-8")
    print(text)


def draw(points: pd.DataFrame, path: Path) -> None:
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for name, rows in points.groupby("scheduler", sort=False):
        ordered = rows.sort_values("kilograms")
        style = "o" if name == SINGLE else "o-"
        axes.plot(1000 * ordered["kilograms"], 100 * (1 - ordered["error"]), style, label=name)
    axes.set(xlabel="g CO2e per run", ylabel="test accuracy [%]")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


if __name__ == "__main__":
    main()
