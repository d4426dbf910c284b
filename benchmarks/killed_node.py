"""A live run on real Flower nodes of this machine, one of which is killed and comes back."""

from __future__ import annotations

import csv
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from frugalfl.agents.deploy.rehearsal import LocalCluster

VICTIM = "oven"
"""Who is killed."""


@dataclass(frozen=True)
class Disturbance:
    """When the victim is killed and comes back, in decisions of the coordinator."""

    kill_in: int  # during which it is killed
    kill_after_s: float  # real seconds after that has begun
    back_in: int  # before which it is started again


def rows_of(table: Path) -> list[dict[str, float]]:
    """The table of decisions so far, one row each; empty before the first."""
    if not table.exists():
        return []
    with table.open(encoding="utf-8", newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def run_disturbed(
    folder: Path,
    world: Mapping[str, object],
    options: Sequence[str],
    nodes: Sequence[str],
    start: Callable[[LocalCluster, str], None],
    disturbance: Disturbance,
    table: str = "rounds.csv",
) -> Path:
    """Let `frugalfl deploy` drive real nodes, kill one of them and start it again.

    Args:
        folder: of logs, the document and the run.
        world: the document.
        options: of `frugalfl deploy`, beside those that say where, what and with how many nodes.
        nodes: their names.
        start: starts one of them.
        disturbance: of the victim.
        table: file of the decisions in the run's folder.

    Returns:
        The run's folder.
    """
    out, document = folder / "run", folder / f"{world['name']}.yaml"
    document.write_text(yaml.safe_dump(dict(world)), encoding="utf-8")
    with LocalCluster(folder / "logs") as cluster:
        for name in nodes:
            start(cluster, name)
        command = [sys.executable, "-m", "frugalfl.agents.commands.main", "deploy", *options]
        command += ["--superlink", cluster.superlink, "--env", str(document), "--out", str(out)]
        command += ["--min-nodes", str(len(nodes))]
        with (
            (folder / "deploy.log").open("wb") as log,
            subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT) as run,
        ):
            if _await_decisions(out / table, disturbance.kill_in - 1, run):
                time.sleep(disturbance.kill_after_s)
                cluster.kill(VICTIM)
            if _await_decisions(out / table, disturbance.back_in - 1, run):
                start(cluster, VICTIM)
            run.wait()
    if run.returncode != 0:
        raise SystemExit(f"the run on real nodes failed; see {folder / 'deploy.log'}")
    return out


def _await_decisions(table: Path, count: int, run: subprocess.Popen[bytes]) -> bool:
    """Wait until so many are made; False if the run ended before."""
    while len(rows_of(table)) < count:
        if run.poll() is not None:
            return len(rows_of(table)) >= count
        time.sleep(0.1)
    return True
