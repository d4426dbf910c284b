"""How far is the best known in hindsight from what more search would find? Net points against search effort.

    python benchmarks/ceiling.py --world volunteers phones --mutations 800 --out ceiling.png

Each world's search (`clairvoyant`) plays candidates, looks ahead, splices and mutates; every line printed
is a doubling of the plays spent on each episode. The gain of the last doubling says how far the figure is
from settled: it is a lower bound of the optimum, and while a doubling still gains, a loose one. With
`--rivals` others take part: they are among the candidates. In worlds of quadratics the certified upper
bound is printed beside it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt

from frugalfl.agents.evaluation import episode_seeds
from frugalfl.agents.insight import upper_bounds
from frugalfl.agents.players import make_player
from frugalfl.agents.schedulers import make_scheduler
from frugalfl.agents.schedulers.parts import Tape
from frugalfl.agents.schedulers.planning import Clairvoyant, Progress
from frugalfl.envs.contract import rollout
from frugalfl.envs.scenario import load_scenario
from frugalfl.envs.world import FederatedWorld

Curve = npt.NDArray[np.float64]


def main() -> None:
    """Search in every world, print the curves and draw them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--world", nargs="+", default=["volunteers", "phones", "spotmarket", "quadratic"])
    parser.add_argument("--episodes", type=int, default=16)
    parser.add_argument("--split", choices=("train", "val", "test"), default="val")
    parser.add_argument("--candidates", type=int, default=24)
    parser.add_argument("--splices", type=int, default=60)
    parser.add_argument("--mutations", type=int, default=400)
    parser.add_argument("--rivals", nargs="*", default=[], help="schedulers whose plays take part")
    parser.add_argument("--out", type=Path, help="PNG of the curves")
    args = parser.parse_args()
    curves: dict[str, Curve] = {}
    for world in args.world:
        print(f"{world}, {args.episodes} {args.split} episodes")
        history = search(world, args)
        curves[world] = np.array([[each.plays, each.net_points] for each in history])
        print_doublings(curves[world])
    if args.out is not None:
        draw(curves, args.out)
        print(f"Written: {args.out}")


def search(name: str, args: argparse.Namespace) -> list[Progress]:
    """One world's search and what it ends with; its history."""
    scenario, seeds = load_scenario(name), episode_seeds(0, args.episodes)
    effort = {"max_candidates": args.candidates, "splices": args.splices, "mutations": args.mutations}
    best = make_scheduler("clairvoyant", scenario.name, **effort)
    assert isinstance(best, Clairvoyant)
    best.watch = show
    rivals = [make_player(source, scenario) for source in args.rivals]
    best.prepare(lambda size: FederatedWorld(scenario, size, args.split), seeds.tolist(), rivals=rivals)
    plays = [best.plays[seed] for seed in seeds.tolist()]
    world = FederatedWorld(scenario, len(seeds), args.split)
    costs = np.zeros(len(seeds))
    for turn in rollout(world, Tape([play.orders for play in plays], scenario.clients), seeds):
        costs += turn.result.terms[:, 1:].sum(axis=1)
    on_test = 100.0 * (world.test_scores()[0] - world.initial_test_accuracy) + costs
    on_val = np.array([play.net_points for play in plays])
    print(f"  best known in hindsight: {on_val.mean():.2f} on validation, {on_test.mean():.2f} on test rows")
    if scenario.quadratic is not None:
        print(f"  no scheduler exceeds, proved: {upper_bounds(world, seeds).mean():.2f}")
    return best.history


def show(progress: Progress) -> None:
    """How far the search has come, on one line of stderr."""
    plays, of_plays, points = progress
    end = "\n" if plays == of_plays else "\r"
    print(f"  {plays} of {of_plays} plays, {points:.2f}", end=end, file=sys.stderr, flush=True)


def print_doublings(curve: Curve) -> None:
    """Mean net points at every halving of the effort, the most first; and what the last doubling gained."""
    marks = curve[-1, 0] / 2.0 ** np.arange(8)
    marks = marks[marks >= curve[0, 0]][::-1]
    net = np.interp(marks, curve[:, 0], curve[:, 1])
    for plays, points in zip(marks, net, strict=True):
        print(f"  {plays:6.0f} plays an episode: {points:6.2f}")
    if net.size > 1:
        print(f"  the last doubling gained {net[-1] - net[-2]:+.2f}")


def draw(curves: dict[str, Curve], out: Path) -> None:
    """Net points against plays, one panel per world."""
    figure, axes = plt.subplots(
        1, len(curves), figsize=(3.6 * len(curves), 3.2), layout="constrained", squeeze=False
    )
    for axis, (world, curve) in zip(axes[0], curves.items(), strict=True):
        axis.semilogx(curve[:, 0], curve[:, 1], base=2)
        axis.set(title=world, xlabel="plays an episode")
        axis.grid(alpha=0.3)
    axes[0][0].set_ylabel("net points, best known")
    figure.savefig(out, dpi=120)


if __name__ == "__main__":
    main()
