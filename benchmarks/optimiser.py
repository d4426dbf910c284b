"""Is a world's training tuned? What every change of its optimiser gains a scheduler.

    python benchmarks/optimiser.py --world volunteers
    python benchmarks/optimiser.py --world mine.yaml --schedulers random-m mpc --episodes 32

For each world: rates, server and batch are changed one at a time, and several schedulers play the same
validation episodes with and without the change, each time with the stop that suits them best. What is
printed is the mean of "changed minus the world's own" with its 95% interval, paired by episode. A change
whose mean is above half a point is one that tuning should have found; of many changes some are there by
chance, as their intervals tell.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

import numpy as np

from frugalfl.agents.evaluation.measures import Interval, mean, paired_difference
from frugalfl.agents.execution import Engine, make_engine
from frugalfl.agents.schedulers import tuned_schedulers
from frugalfl.agents.schedulers.base import Setting
from frugalfl.agents.tuning import net_points, optimiser_of, with_optimiser
from frugalfl.envs.scenario import Scenario, load_scenario, scenario_names

PLAIN = ("random-m", "mpc", "linear-rule")
BEST_TUNED = 3
MOST_GAIN = 0.5


def changes(scenario: Scenario) -> dict[str, dict[str, Setting]]:
    """Changes of a world's optimiser by label; without those that change nothing or leave their range."""
    own = optimiser_of(scenario)
    wanted: dict[str, dict[str, Setting]] = {
        "rate x 0.5": {"learning_rate": 0.5 * own["learning_rate"]},
        "rate x 2": {"learning_rate": 2.0 * own["learning_rate"]},
        "decay 0.98": {"learning_rate_decay": 0.98},
        "decay 0.95": {"learning_rate_decay": 0.95},
        "server rate x 0.7": {"server_learning_rate": 0.7 * own["server_learning_rate"]},
        "server rate x 1.5": {"server_learning_rate": 1.5 * own["server_learning_rate"]},
        "momentum 0": {"server": "mean"},
        "momentum 0.3": {"server": "momentum", "momentum": 0.3},
        "momentum 0.7": {"server": "momentum", "momentum": 0.7},
        "adam": {"server": "adam", "momentum": 0.9},
        "adam, server rate 0.25": {"server": "adam", "momentum": 0.9, "server_learning_rate": 0.25},
    }
    if "batch_size" in own:
        wanted["batch half"] = {"batch_size": own["batch_size"] // 2}
        wanted["batch double"] = {"batch_size": 2 * own["batch_size"]}
    return {label: settings for label, settings in wanted.items() if _is_another(scenario, settings)}


def _is_another(scenario: Scenario, settings: Mapping[str, Setting]) -> bool:
    try:
        return with_optimiser(scenario, settings) != scenario
    except ValueError:  # beyond the range that is searched
        return False


def schedulers(world: str) -> list[str]:
    """Who plays: a plain one, a planner, the linear rule, and those with the best tuned scores."""
    tuned = tuned_schedulers(world)
    ranked = sorted(set(tuned) - set(PLAIN), key=lambda name: (-tuned[name]["score"], name))
    return [*PLAIN, *ranked[:BEST_TUNED]]


def gains(
    scenario: Scenario, players: Sequence[str], episodes: int, seed: int, engine: Engine
) -> dict[str, dict[str, Interval]]:
    """Mean of "changed minus own" net points by change and scheduler."""
    worlds = {"own": scenario}
    worlds |= {label: with_optimiser(scenario, settings) for label, settings in changes(scenario).items()}
    work = {
        f"{label}: {name}": (name, world, episodes, seed)
        for label, world in worlds.items()
        for name in players
    }
    points = {landed.key: np.array(landed.result()[0]) for landed in engine.run(net_points, work)}
    return {
        label: {
            name: paired_difference(points[f"{label}: {name}"], points[f"own: {name}"], mean)
            for name in players
        }
        for label in worlds
        if label != "own"
    }


def table(found: Mapping[str, Mapping[str, Interval]]) -> list[str]:
    """One row per change, one column per scheduler."""
    players = list(next(iter(found.values())))
    lines = ["| change | " + " | ".join(players) + " |", "|---|" + "---:|" * len(players)]
    for label, row in found.items():
        cells = ["{:+.2f} [{:+.2f}, {:+.2f}]".format(*row[name]) for name in players]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return lines


def verdict(found: Mapping[str, Mapping[str, Interval]]) -> str:
    """Whether the world's training is tuned."""
    failures = [
        "{} for {} {:+.2f} [{:+.2f}, {:+.2f}]".format(label, name, *gain)
        for label, row in found.items()
        for name, gain in row.items()
        if gain.value > MOST_GAIN
    ]
    outcome = f"FAILS: {'; '.join(failures)}" if failures else "holds"
    return f"no change gains any scheduler more than {MOST_GAIN}: {outcome}"


def main() -> None:
    """Print the tables of the chosen worlds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--world", nargs="*", default=scenario_names(), help="packaged names or YAML files")
    parser.add_argument("--schedulers", nargs="*", help="none: three plain, three tuned")
    parser.add_argument("--episodes", type=int, default=128, help="of the validation split")
    parser.add_argument("--seed", type=int, default=1, help="of the episodes; searches have 0")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    args = parser.parse_args()
    for source in args.world:
        scenario = load_scenario(source)
        players = args.schedulers or schedulers(scenario.name)
        with make_engine("local", args.jobs) as engine:
            found = gains(scenario, players, args.episodes, args.seed, engine)
        print(f"### {scenario.name}\n")
        print("\n".join(table(found)), "\n")
        print(verdict(found), "\n", flush=True)


if __name__ == "__main__":
    main()
