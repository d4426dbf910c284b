"""Two Ray nodes on this machine's loopback, a sweep over both, and one node killed in its midst.

Run in a network of its own, because Ray replaces 127.0.0.1 by the machine's address and nodes of other
clusters must not be met: `unshare --map-root-user --net --pid --fork --kill-child --mount-proc python
ray_two_nodes.py FOLDER`. Prints one JSON line: where the cells ran, who was killed when, and the failures.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from frugalfl.agents.evaluation import Study, play_cell, sweep
from frugalfl.agents.execution import make_engine
from frugalfl.agents.players import name_players
from frugalfl.envs.scenario import load_scenario

PORT = 6411
HERE = Path(__file__).parent
STUDY = Study(load_scenario("volunteers"), "val", episodes=65, batch=4)
PLAYERS = ("random-m", "greenest-m", "f3ast", "own_schedulers:Crashes")


def placed_cell(log, study, cell):
    """Play a cell and note the node that did."""
    from frugalfl.agents.execution.ray_cluster import ray

    place = ray.get_runtime_context().get_node_id()[:6]
    _note(log, f"begins on {place}", cell)
    played = play_cell(study, cell)
    _note(log, f"done on {place}", cell)
    return played


class KillingEngine:
    """A Ray engine that kills its second node in the middle of a cell."""

    def __init__(self, engine, node, log):
        self._engine, self._node, self._log = engine, node, Path(log)

    def run(self, function, work):
        assert function is play_cell
        self._log.touch()
        threading.Thread(target=self._kill, daemon=True).start()
        placed = {key: (str(self._log), *arguments) for key, arguments in work.items()}
        yield from self._engine.run(placed_cell, placed)

    def _kill(self):
        while not self._busy():
            time.sleep(0.01)
        os.killpg(self._node.pid, signal.SIGKILL)
        self._node.wait()
        _note(self._log, "second node killed")

    def _busy(self):
        lines = [line.split() for line in self._log.read_text().splitlines()]
        here = lines[0][-1] if lines else ""  # the node that begins first stays
        theirs = [line for line in lines if line[-1] != here]
        return len(theirs) >= 3 and theirs[-1][-3] == "begins"


def main(folder):
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    log, temporary = folder / "log.txt", f"/tmp/ray-{os.getpid()}-{int(time.time())}"
    common = ["--num-cpus=1", "--object-store-memory=100000000", "--disable-usage-stats", "--block"]
    head = ["--head", "--node-ip-address=127.0.0.1", f"--port={PORT}", "--include-dashboard=false"]
    second = [f"--address=127.0.0.1:{PORT}", "--node-ip-address=127.0.0.2"]
    nodes = [_node([*head, f"--temp-dir={temporary}", *common], folder / "head.txt")]
    try:
        time.sleep(4)
        nodes.append(_node([*second, *common], folder / "second.txt"))
        alive = _wait_for_two_nodes()
        with make_engine("ray", address=f"127.0.0.1:{PORT}") as engine:
            killing = KillingEngine(engine, nodes[1], log)
            outcome = sweep(STUDY, name_players(PLAYERS), folder / "ray", killing)
    finally:
        for node in nodes:
            if node.poll() is None:
                os.killpg(node.pid, signal.SIGKILL)
    lines = log.read_text().splitlines()
    print(json.dumps({"nodes": alive, "failures": outcome.failures, "played": outcome.played, "log": lines}))


def _node(arguments, log):
    ray = Path(sys.executable).with_name("ray")
    env = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(HERE)}
    with log.open("w") as file:
        command = [str(ray), "start", *arguments]
        return subprocess.Popen(command, stdout=file, stderr=file, env=env, start_new_session=True)


def _wait_for_two_nodes():
    from frugalfl.agents.execution.ray_cluster import ray

    ray.init(address=f"127.0.0.1:{PORT}", log_to_driver=False, logging_level="ERROR")
    until = time.monotonic() + 60
    while sum(node["Alive"] for node in ray.nodes()) < 2 and time.monotonic() < until:
        time.sleep(0.5)
    alive = sum(node["Alive"] for node in ray.nodes())
    ray.shutdown()
    return alive


def _note(log, text, cell=""):
    with Path(log).open("a") as file:
        file.write(f"{time.strftime('%H:%M:%S')} {cell} {text}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
