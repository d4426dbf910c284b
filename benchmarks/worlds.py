"""Are the worlds worth playing? The figures that their scenario files promise, on the validation split.

    python benchmarks/worlds.py --world volunteers

For each world: what the reference (random 10, 10 local steps) pays and loses, which rule is best on a grid
of how many, how long and when to stop, and how far the best handcrafted and the
best known in hindsight are ahead.
"""

from __future__ import annotations

import argparse
import itertools

import numpy as np

from frugalfl.agents.evaluation import EvaluationResult, evaluate
from frugalfl.agents.schedulers import SCHEDULERS, TUNABLE, make_scheduler
from frugalfl.envs.contract import Scheduler
from frugalfl.envs.scenario import load_scenario, scenario_names

WHO = ("random-m", "fastest-m", "greenest-m", "round-robin", "power-of-choice", "f3ast")
PARTICIPANTS, LOCAL_STEPS, STOP_AFTER = (2, 5, 10), (10, 40), (15, "off")


def mean(result: EvaluationResult, name: str, column: str) -> float:
    """Mean over the episodes of one scheduler."""
    return float(np.mean(result.values(name, column)))


def reference_figures(world: str, episodes: int) -> float:
    """Print what the reference pays; returns its net points."""
    scheduler = make_scheduler("random-m", participants=10, local_steps=10)
    result = evaluate({"reference": scheduler}, world, episodes, "val", progress=False)
    prices = load_scenario(world).preferences
    paid = {
        "time": mean(result, "reference", "hours") * float(np.mean(prices.price_per_hour)),
        "communication": mean(result, "reference", "gigabytes") * float(np.mean(prices.price_per_gb)),
        "emissions": mean(result, "reference", "kilograms") * float(np.mean(prices.price_per_kg)),
    }
    net = mean(result, "reference", "net_points")
    gain = net + sum(paid.values())
    shares = ", ".join(f"{name} {100 * points / gain:.0f} %" for name, points in paid.items())
    lost = mean(result, "reference", "lost") / mean(result, "reference", "invitations")
    print(
        f"  reference: net {net:.1f} of {gain:.1f} points gained; "
        f"costs {100 * (1 - net / gain):.0f} % ({shares})"
    )
    print(f"  withdrawals took {100 * lost:.1f} % of its updates")
    return net


def grid_winners(world: str, episodes: int) -> None:
    """Print the best of `WHO` in every cell of the grid."""
    cells = list(itertools.product(PARTICIPANTS, LOCAL_STEPS, STOP_AFTER))
    players: dict[str, Scheduler] = {}
    for who, (m, steps, stop) in itertools.product(WHO, cells):
        settings = {"participants": m, "local_steps": steps, "stop_after_rounds": stop}
        players[f"{who}/{m}/{steps}/{stop}"] = make_scheduler(who, **settings)
    result = evaluate(players, world, episodes, "val", progress=False)
    winners = []
    for m, steps, stop in cells:
        net = {who: mean(result, f"{who}/{m}/{steps}/{stop}", "net_points") for who in WHO}
        winners.append(max(net, key=lambda who: net[who]))
        row = ", ".join(f"{who} {points:.1f}" for who, points in sorted(net.items(), key=lambda kv: -kv[1]))
        print(f"  m {m:>2}, {steps} steps, stop after {stop}: {row}")
    print(f"  {len(set(winners))} different rules win somewhere: {', '.join(sorted(set(winners)))}")


def hindsight_figures(world: str, episodes: int, reference: float) -> None:
    """Print how far the tuned schedulers and the best known in hindsight are ahead."""
    fair = [name for name in TUNABLE if SCHEDULERS[name].kind == "handcrafted"]
    result = evaluate([*fair, "clairvoyant"], world, episodes, "val", progress=False)
    net = {name: mean(result, name, "net_points") for name in (*fair, "clairvoyant")}
    hindsight = net.pop("clairvoyant")
    best = max(net, key=lambda name: net[name])
    print(
        f"  best handcrafted: {best} {net[best]:.1f}, "
        f"{100 * (net[best] / reference - 1):+.0f} % on the reference"
    )
    print(
        f"  best known in hindsight: {hindsight:.1f}, "
        f"{100 * (hindsight / net[best] - 1):+.0f} % on the best handcrafted"
    )


def main() -> None:
    """Print the figures of the chosen worlds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--world", nargs="*", default=scenario_names())
    parser.add_argument("--episodes", type=int, default=32)
    parser.add_argument("--grid", action=argparse.BooleanOptionalAction, default=True)
    args = parser.parse_args()
    for world in args.world:
        print(world, flush=True)
        reference = reference_figures(world, args.episodes)
        if args.grid:
            grid_winners(world, args.episodes)
        hindsight_figures(world, args.episodes, reference)


if __name__ == "__main__":
    main()
