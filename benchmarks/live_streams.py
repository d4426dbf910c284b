"""Real Flower nodes that are asked things while they train; one of them is killed and comes back.

    python benchmarks/live_streams.py --kill-in 3 --back-in 5

Starts a SuperLink and three SuperNodes on this machine, lets `frugalfl deploy` drive them in a small world of
streams, sends one of them SIGKILL during a decision and starts it again later, and prints what became of the
requests. Needs the extra `flower`. With `--keep` the node keeps its stream in a folder, and finds it again.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from killed_node import Disturbance, rows_of, run_disturbed

from frugalfl.agents.deploy.rehearsal import LocalCluster
from frugalfl.agents.deploy.run import load_state

NODES = ("desk", "lamp", "oven")
SEED, KILL_AFTER_S = 3, 1.0
COUNTS = ("came", "answered", "right", "unanswered", "waiting")


def asked(arguments: argparse.Namespace) -> dict[str, Any]:
    """The scenario: an hour and a half of many questions, whose labels are known after five minutes."""
    return {
        "base": "streams",
        "name": "asked",
        "clients": len(NODES),
        "budgets": {"hours": arguments.hours},
        "arrivals": {"kind": "poisson", "per_hour": 240, "profile": "local-day", "burst": 4, "zipf": 0},
        "memory": {"rule": "fifo", "rows": 40, "label_delay_s": 300},
        "drift": {"kind": "shift", "mean_h": 1.0, "scope": "all"},
        "levels": {"wait_s": [0, 300, 600, "inf"]},
        "workload": {"deadline_s": arguments.deadline_s},
    }


def run_real(folder: Path, arguments: argparse.Namespace) -> Path:
    """The run on real nodes; returns its folder."""

    def start(cluster: LocalCluster, name: str) -> None:
        keep = {"keep": str((folder / f"kept-{name}").resolve())} if arguments.keep else {}
        cluster.start_node(name, partition_id=NODES.index(name), seconds_per_step=0.05, **keep)

    options = ["--seed", str(SEED), "--scheduler", arguments.scheduler]
    options += ["--time-scale", str(arguments.time_scale)]
    disturbance = Disturbance(arguments.kill_in, KILL_AFTER_S, arguments.back_in)
    return run_disturbed(folder, asked(arguments), options, NODES, start, disturbance)


def table(out: Path) -> str:
    """What became of the requests, one row per decision, and of each node's in the end, in Markdown."""
    rows = rows_of(out / "rounds.csv")
    head = ("decision", "hours", "in time", "lost or late", "sent the new model", *COUNTS)
    lines = ["| " + " | ".join(head) + " |", "|" + "---:|" * len(head)]
    for number, row in enumerate(rows, start=1):
        whole = [row["completed"], row["lost"] + row["cancelled"]]
        whole += [row[name] for name in ("refreshed", *COUNTS)]
        if row["came"] != sum(row[name] for name in ("answered", "unanswered", "waiting")):
            raise SystemExit(f"decision {number}: requests do not add up")
        cells = [str(number), f"{row['hours']:.2f}", *(f"{value:.0f}" for value in whole)]
        lines.append("| " + " | ".join(cells) + " |")
    state = load_state(out)[0]
    lines += ["", "| node | answered | right | unanswered |", "|---|---:|---:|---:|"]
    for client, name in enumerate(NODES):
        sums = [int(state[f"stream/{each}"][0, client]) for each in ("answered", "right", "lost")]
        lines.append(f"| {name} | " + " | ".join(map(str, sums)) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scheduler", default="random-m")
    parser.add_argument("--hours", type=float, default=1.5, help="of federation time in which requests come")
    parser.add_argument("--time-scale", type=float, default=12.0)
    parser.add_argument("--deadline-s", type=float, default=1200.0, help="of federation time")
    parser.add_argument("--kill-in", type=int, default=3, help="decision during which one node is killed")
    parser.add_argument("--back-in", type=int, default=5, help="decision before which it is started again")
    parser.add_argument("--keep", action="store_true", help="nodes keep their streams in folders")
    parser.add_argument("--out", type=Path, default=Path("runs/live-streams"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    print(table(run_real(arguments.out, arguments)))


if __name__ == "__main__":
    main()
