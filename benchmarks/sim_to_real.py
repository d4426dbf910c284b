"""One federation twice: on real Flower nodes, one of which is killed and comes back, and in the simulator.

    python benchmarks/sim_to_real.py --rounds 12 --kill-in 5 --back-in 9

Starts a SuperLink and three SuperNodes on this machine, lets `frugalfl deploy` drive them, sends one of them
SIGKILL during a round and starts it again later. Then plays the recorded plans in `FederatedWorld`, whose
clients leave and return in the same rounds, and prints both side by side. Needs the extra `flower`. With
`--model transformer` a language is learnt: AdamW on the nodes, whose moments die with the one that is killed,
updates rounded to 16 bits on their way, DiLoCo's outer step on the server; with `--rank 8` low-rank factors
beside a base that every node makes for itself.
"""

from __future__ import annotations

import argparse
import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from killed_node import Disturbance, run_disturbed

from frugalfl.agents.deploy.federation import charge_actual
from frugalfl.agents.deploy.rehearsal import LocalCluster
from frugalfl.agents.deploy.run import load_round, load_state
from frugalfl.envs.contract import RoundOutcome, RoundPlan, Situation
from frugalfl.envs.scenario import Scenario, load_scenario
from frugalfl.envs.world import FederatedWorld
from frugalfl.traces.availability import Sessions

NODES = {"desk": 0.10, "lamp": 0.20, "oven": 0.30}
"""Names of the nodes and the seconds that a local step takes them."""
SEED, KILL_AFTER_S = 3, 1.0
FAR = 1e6


def lab(arguments: argparse.Namespace) -> dict[str, Any]:
    """The scenario of both runs."""
    own = {
        "name": "lab",
        "clients": len(NODES),
        "workload": {"deadline_s": arguments.deadline_s, "overhead_s": 0.0},
        "max_rounds": arguments.rounds,
    }
    if arguments.model == "mlp":
        model = {"kind": "mlp", "hidden": [64]}
        return own | {"base": "volunteers", "model": model, "hub": {"share": 0.0}}
    base = {"steps": 200, "learning_rate": 1e-3, "batch_size": 8}
    factors = {"pretrained": base, "trainable": {"kind": "lora", "rank": arguments.rank}}
    size = {"layers": arguments.layers, "width": arguments.width, "heads": 4}
    return (
        own
        | (factors if arguments.rank else {})
        | {
            "base": "language",
            "dataset": {"kind": "markov", "num_clients": len(NODES), "context": 32},
            "model": {"kind": "transformer", **size},
            "training": {"optimiser": "adamw", "learning_rate": 1e-3, "batch_size": 8},
        }
    )


def run_real(folder: Path, arguments: argparse.Namespace) -> Path:
    """The run on real nodes; returns its folder."""

    def start(cluster: LocalCluster, name: str) -> None:
        cluster.start_node(name, partition_id=list(NODES).index(name), seconds_per_step=NODES[name])

    options = ["--scheduler", "all-available", "--seed", str(SEED)]
    disturbance = Disturbance(arguments.kill_in, KILL_AFTER_S, arguments.back_in)
    return run_disturbed(folder, lab(arguments), options, list(NODES), start, disturbance)


Recorded = tuple[Situation, RoundPlan, RoundOutcome]


def recorded(out: Path) -> list[Recorded]:
    """Situation, plan and outcome of every round on real nodes."""
    return [load_round(out, number) for number in range(load_state(out)[1])]


def overhead_of(rounds: list[Recorded]) -> float:
    """Seconds that a round takes beyond computing: the mean of the first two after the first."""
    extra = [float(o.duration_s[0] - o.compute_s.max()) for _, _, o in rounds[1:3]]
    return float(np.mean(extra))


def gaps_of(rounds: list[Recorded], client: int) -> list[tuple[int, int]]:
    """Rounds in which a node failed, each with the first later one at which it was available again."""
    gaps, again = [], 0
    for number, (_, _, outcome) in enumerate(rounds):
        if number < again or not outcome.invited[0, client] or outcome.completed[0, client]:
            continue
        later = [n for n in range(number + 1, len(rounds)) if rounds[n][0].clients.available[0, client]]
        again = later[0] if later else len(rounds)
        gaps.append((number, again))
    return gaps


def sessions_of(starts_s: list[float], rounds: list[Recorded]) -> Sessions:
    """Everybody is there but for the rounds in which they failed or were still away."""
    lists = []
    for client in range(len(NODES)):
        begins, ends = [-FAR], []
        for lost, back in gaps_of(rounds, client):
            ends.append(starts_s[lost] + KILL_AFTER_S)
            begins.append(starts_s[back] - 1e-3 if back < len(rounds) else FAR / 2)
        lists.append((begins, [*ends, FAR]))
    return Sessions.from_lists(lists)


def simulate(
    scenario: Scenario, rounds: list[Recorded], sessions: Sessions, overhead_s: float
) -> tuple[list[RoundOutcome], list[float], np.ndarray]:
    """The recorded plans in the simulator: outcomes, times at which rounds began, the model."""
    work = scenario.workload.model_copy(update={"overhead_s": overhead_s})
    world = FederatedWorld(charge_actual(scenario.model_copy(update={"workload": work})), 1, "test")
    draw = world.source.draw(SEED)
    devices = {**draw.devices, "step_s": np.array(list(NODES.values()))}
    known = replace(draw.availability, sessions=sessions, announced_end_s=None)
    again = replace(draw, devices=devices, availability=known)
    world.source.draw = lambda seed: again  # type: ignore[method-assign]
    world.reset(np.ones(1, dtype=bool), np.array([SEED]))
    outcomes, starts_s = [], []
    for _, plan, _ in rounds:
        starts_s.append(float(world.time_s[0]))
        outcomes.append(world.step(plan).outcome)
    return outcomes, starts_s, world.parameters()


def compare(out: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Both runs side by side, one row per round."""
    rounds = recorded(out)
    scenario = load_scenario(lab(arguments))
    overhead_s = overhead_of(rounds)
    starts_s = [30.0 * number for number in range(len(rounds))]
    for _ in range(len(rounds)):  # leaving and returning move the rounds behind them
        before_s = starts_s
        sessions = sessions_of(starts_s, rounds)
        outcomes, starts_s, model = simulate(scenario, rounds, sessions, overhead_s)
        if starts_s == before_s:
            break
    rows = []
    for number, ((_, _, real), simulated) in enumerate(zip(rounds, outcomes, strict=True)):
        rows.append(
            {
                "round": number + 1,
                "completed": names(real.completed[0]),
                "lost": names(real.lost[0] | real.cancelled[0]),
                "same": bool(np.array_equal(real.completed, simulated.completed)),
                "simulated_s": float(simulated.duration_s[0]),
                "measured_s": float(real.duration_s[0]),
                "simulated_bytes": float((simulated.down_bytes + simulated.up_bytes).sum()),
                "measured_bytes": float((real.down_bytes + real.up_bytes).sum()),
                "simulated_loss": float(simulated.loss[0]),
                "measured_loss": float(real.loss[0]),
            }
        )
    difference = float(np.abs(load_state(out)[0]["core/params"] - model).max())
    return {"rows": rows, "overhead_s": overhead_s, "model_difference": difference}


def names(flags: np.ndarray) -> str:
    """The nodes of a row of flags."""
    return ", ".join(name for name, flag in zip(NODES, flags, strict=True) if flag)


def table(result: dict[str, Any]) -> str:
    """The comparison in Markdown."""
    kinds = ("simulated", "measured")
    columns = [f"{unit}, {kind}" for unit in ("s", "kB", "loss") for kind in kinds]
    head = ["round", "in time", "lost or late", *columns]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in result["rows"]:
        cells = [str(row["round"]), row["completed"], row["lost"] or "-"]
        cells += [f"{row[f'{kind}_s']:.1f}" for kind in kinds]
        cells += [f"{row[f'{kind}_bytes'] / 1e3:.1f}" for kind in kinds]
        cells += [f"{row[f'{kind}_loss']:.6f}" for kind in kinds]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run, compare, print and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=["mlp", "transformer"], default="mlp")
    parser.add_argument("--layers", type=int, default=4, help="of the transformer")
    parser.add_argument("--width", type=int, default=256, help="likewise: 3.2 million parameters")
    parser.add_argument("--rank", type=int, default=0, help="of low-rank factors; 0 = all is trained")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--kill-in", type=int, default=5, help="round in which one node is killed")
    parser.add_argument("--back-in", type=int, default=9, help="round in which it is started again")
    parser.add_argument("--deadline-s", type=float, default=60.0)
    parser.add_argument("--out", type=Path, default=Path("runs/sim-to-real"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    result = compare(run_real(arguments.out, arguments), arguments)
    (arguments.out / "result.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
    with (arguments.out / "result.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(result["rows"][0]))
        writer.writeheader()
        writer.writerows(result["rows"])
    print(table(result))
    print(f"\noverhead of a round, measured in rounds 2 and 3: {result['overhead_s']:.1f} s")
    print(f"largest difference of a parameter at the end: {result['model_difference']:.2e}")


if __name__ == "__main__":
    main()
