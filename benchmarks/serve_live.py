"""Serving on real Flower nodes, one of which is killed with rows in its hands and comes back.

    python benchmarks/serve_live.py --steps 12 --kill-in 5 --back-in 8

Starts a SuperLink and three SuperNodes on this machine, lets `frugalfl deploy --serve` place models on them
and send them rows, sends one of them SIGKILL within a step and starts it again later. Prints what became of
the requests of every step. Needs the extra `flower`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from killed_node import Disturbance, rows_of, run_disturbed

from frugalfl.agents.deploy.rehearsal import LocalCluster

NODES = {"desk": "GB", "lamp": "JP-TK", "oven": "BR-CS"}
"""Names of the nodes, and their grid zones."""
TABLE = "steps.csv"
WORLD = {
    "base": "serving",
    "name": "three",
    "machines": [
        {
            "hardware": "cpu",
            "machines": len(NODES),
            "devices": {"kind": "volunteers", "laptop": 0, "desktop": 1, "gpu": 0},
        }
    ],
    "zones": len(NODES),
    "carbon": list(NODES.values()),
    "arrivals": {"kind": "poisson", "per_hour": 60, "profile": "flat", "burst": 0, "zipf": 1.2},
    "hub": {"share": 0.3},
    "deadline_h": 0.5,
    "preferences": {"points_per_ms": 0.0003},
}
"""Three desktops, one in each zone, and 120 requests in a step of ten minutes.

Three seconds cost a point: at the default price, a third of one, the seconds in which Flower starts
a process eat most of what an answer is worth.
"""


def serve(folder: Path, arguments: argparse.Namespace) -> Path:
    """The run; returns its folder."""

    def start(cluster: LocalCluster, name: str) -> None:
        place, answer_s = list(NODES).index(name), arguments.seconds_per_answer
        cluster.start_node(name, partition_id=place, zone=NODES[name], seconds_per_answer=answer_s)

    options = ["--serve", "--scheduler", arguments.scheduler, "--patience-s", str(arguments.patience_s)]
    options += ["--time-scale", str(600.0 / arguments.step_s)]
    world = WORLD | {"hours": arguments.steps / 6.0}
    disturbance = Disturbance(arguments.kill_in, arguments.kill_after_s, arguments.back_in)
    return run_disturbed(folder, world, options, list(NODES), start, disturbance, table=TABLE)


def table(rows: list[dict[str, float]]) -> str:
    """The steps in Markdown."""
    names = ("step", "connected", "requests", "by_slots", "by_hub", "retried", "late", "dropped", "waiting")
    names += ("right", "loaded", "lost", "measured_ms", "answer_ms", "nominal_ms", "bytes")
    lines = ["| " + " | ".join(names) + " |", "|" + "---:|" * len(names)]
    for row in rows:
        lines.append(
            "| " + " | ".join(f"{row[name]:.{1 if name == 'answer_ms' else 0}f}" for name in names) + " |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run, print, and refuse a run whose requests do not add up."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--kill-in", type=int, default=5, help="step in which one node is killed")
    parser.add_argument("--kill-after-s", type=float, default=3.0, help="real seconds after it has begun")
    parser.add_argument("--back-in", type=int, default=8, help="step in which it is started again")
    parser.add_argument("--step-s", type=float, default=40.0, help="real seconds of a step of ten minutes")
    parser.add_argument("--patience-s", type=float, default=20.0)
    parser.add_argument("--seconds-per-answer", type=float, default=0.05, help="that an answer takes a node")
    parser.add_argument("--scheduler", default="online-greedy")
    parser.add_argument("--out", type=Path, default=Path("runs/serve-live"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows = rows_of(serve(arguments.out, arguments) / TABLE)
    print(table(rows))
    accepted, answered, dropped = (
        int(sum(row[n] for row in rows)) for n in ("requests", "answered", "dropped")
    )
    waiting = int(rows[-1]["waiting"])
    print(f"\n{accepted} accepted = {answered} answered + {dropped} dropped + {waiting} waiting")
    if accepted != answered + dropped + waiting:
        raise SystemExit("requests were lost without being counted")


if __name__ == "__main__":
    main()
