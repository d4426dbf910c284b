"""Rounds per second of the federated core, beside the roofline, plain PyTorch and other tools.

    python benchmarks/core.py
    python benchmarks/core.py --cnn
    python benchmarks/core.py --peers --peer-dir PEERS --peer-path peer_pfl=/opt/pfl peer_fedjax=/opt/fedjax

One round: digits, 100 clients (Dirichlet 0.3), 10 of them, 10 local steps of batch 32, accuracy on 360
digits. Rounds are summed over the environments trained together. A peer is a script of PEERS that does the
same work and prints one JSON line with ``rounds_per_s``; ``--peer-path`` adds to its module path. Peers
and core take turns, so that they meet the same load; medians are reported.

``--cnn`` measures the convolutional net on 28x28 images instead, on the processor (a loop over clients) and,
where there is one, on CUDA (vmap over all clients of all environments).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from frugalfl.fl_core.data import Dataset, load_dataset, partition
from frugalfl.fl_core.federation import FederatedCore, TrainingOrders
from frugalfl.fl_core.models import make_model
from frugalfl.fl_core.numerics import num_threads, set_num_threads

CLIENTS, INVITED, STEPS, BATCH = 100, 10, 10, 32
WIDTHS = {"softmax": (64, 10), "mlp": (64, 64, 10)}


def flops_per_round(model: str) -> int:
    """Floating-point operations of the matrix products of one round, its evaluation included."""
    products = [a * b for a, b in zip(WIDTHS[model][:-1], WIDTHS[model][1:], strict=True)]
    forward, backward = 2 * sum(products), 2 * sum(products) + 2 * sum(products[1:])
    return INVITED * STEPS * BATCH * (forward + backward) + 360 * forward


def sgemm_flops(threads: int) -> float:
    """Floating-point operations per second of numpy's matrix product, best of five."""
    code = (
        "import numpy as np, time\n"
        "a = np.ones((2048, 2048), np.float32); a @ a; best = 9e9\n"
        "for _ in range(5):\n"
        "    t = time.perf_counter(); a @ a; best = min(best, time.perf_counter() - t)\n"
        "print(2 * 2048**3 / best)"
    )
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    env = os.environ | dict.fromkeys(names, str(threads))
    return float(
        subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True).stdout
    )


class CoreRun:
    """A core with fresh random clients every round."""

    def __init__(
        self, model: str, num_envs: int, data: Dataset | None = None, trainer: str | dict[str, Any] = "auto"
    ) -> None:
        data = data or load_dataset("digits")
        net = make_model(model, data)
        self.core = FederatedCore(data, net, num_envs, CLIENTS, {"learning_rate": 0.1}, trainer=trainer)
        self.rng = np.random.default_rng(0)
        zone, spec = np.zeros(CLIENTS, dtype=int), {"kind": "dirichlet", "alpha": 0.3}
        for env in range(num_envs):
            self.core.reset(env, partition(data, CLIENTS, zone, 1, spec, self.rng), env)
        self.round = 0
        self.run(0.2)

    def run(self, seconds: float) -> float:
        """Rounds per second over a stretch of time."""
        shape = (self.core.num_envs, CLIENTS)
        start, rounds = time.perf_counter(), 0
        while (elapsed := time.perf_counter() - start) < seconds or not rounds:
            order = self.rng.random(shape).argpartition(INVITED, axis=1)[:, :INVITED]
            steps = np.zeros(shape, dtype=np.int32)
            np.put_along_axis(steps, order, STEPS, axis=1)
            self.core.run_round(TrainingOrders(steps, None, np.full(shape[0], self.round)))
            self.core.evaluate()
            self.round, rounds = self.round + 1, rounds + shape[0]
        return rounds / elapsed


def plain_torch(model: str, seconds: float) -> float:
    """FedAvg as one would write it by hand in PyTorch, client after client; one thread."""
    import torch

    torch.set_num_threads(1)
    data, rng = load_dataset("digits"), np.random.default_rng(0)
    x, y = torch.from_numpy(data.x_train), torch.from_numpy(data.y_train).long()
    x_val, y_val = torch.from_numpy(data.x_val), torch.from_numpy(data.y_val).long()
    layers = [torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10)]
    net = torch.nn.Sequential(*layers) if model == "mlp" else torch.nn.Linear(64, 10)
    start, rounds = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - start) < seconds or not rounds:
        server = [p.detach().clone() for p in net.parameters()]
        total = [torch.zeros_like(p) for p in server]
        for _ in range(INVITED):
            with torch.no_grad():
                for p, s in zip(net.parameters(), server, strict=True):
                    p.copy_(s)
            optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
            for _ in range(STEPS):
                rows = torch.from_numpy(rng.integers(0, len(y), BATCH))
                optimiser.zero_grad()
                torch.nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
                optimiser.step()
            for t, p in zip(total, net.parameters(), strict=True):
                t += p.detach() / INVITED
        with torch.no_grad():
            for p, t in zip(net.parameters(), total, strict=True):
                p.copy_(t)
            (net(x_val).argmax(1) == y_val).float().mean().item()
        rounds += 1
    return rounds / elapsed


def peer(script: Path, model: str, rounds: int, path: str | None) -> float:
    """Rounds per second of one peer script, or nan with its last line of complaint."""
    env = os.environ | ({"PYTHONPATH": path} if path else {})
    command = [sys.executable, script.name, "--model", model, "--rounds", str(rounds)]
    done = subprocess.run(command, cwd=script.parent, env=env, capture_output=True, text=True, check=False)
    for line in reversed(done.stdout.splitlines()):
        if line.startswith("{"):
            return float(json.loads(line)["rounds_per_s"])
    print(f"  {script.stem}: no result: {(done.stderr.strip().splitlines() or ['?'])[-1]}", file=sys.stderr)
    return float("nan")


def measure(args: argparse.Namespace, model: str) -> tuple[dict[int, float], dict[str, float]]:
    """Medians of the core per number of environments, and of everything it is compared with."""
    runs = {num_envs: CoreRun(model, num_envs) for num_envs in args.envs}
    paths = dict(item.split("=", 1) for item in args.peer_path)
    scripts = [args.peer_dir / f"{name}.py" for name in args.peer_scripts] if args.peers else []
    own: dict[int, list[float]] = {num_envs: [] for num_envs in runs}
    others: dict[str, list[float]] = {"plain PyTorch": [], **{script.stem: [] for script in scripts}}
    plain_torch(model, 0.1)  # PyTorch's first steps are slow
    for _ in range(args.repeats):
        for num_envs, run in runs.items():
            own[num_envs].append(run.run(args.seconds))
        others["plain PyTorch"].append(plain_torch(model, args.seconds))
        for script in scripts:
            others[script.stem].append(peer(script, model, args.peer_rounds, paths.get(script.stem)))
    medians = {num_envs: float(np.median(rates)) for num_envs, rates in own.items()}
    return medians, {name: float(np.median(rates)) for name, rates in others.items()}


def images(side: int = 28) -> Dataset:
    """Random images in the shape of MNIST; only the cost matters here."""
    rng = np.random.default_rng(0)
    x = rng.random((4000, side * side), dtype=np.float32)
    y = rng.integers(0, 10, 4000).astype(np.int32)
    val, test = slice(3000, 3360), slice(3360, 3720)
    return Dataset("images", x[:3000], y[:3000], x[val], y[val], x[test], y[test], 10, shape=(1, side, side))


def convolutional(num_envs: int, seconds: float, repeats: int, mode: str, workers: int) -> None:
    """Measure the CNN on every device there is."""
    import torch

    data, rates = images(), {}
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        trainer = {"kind": "torch", "device": device, "mode": mode}
        run = CoreRun("cnn", num_envs, data, trainer | ({"workers": workers} if device == "cpu" else {}))
        # Every call ends with an evaluation, whose scores reach the processor: nothing is left running.
        rates[device] = float(np.median([run.run(seconds) for _ in range(repeats)]))
        name = torch.cuda.get_device_name() if device == "cuda" else f"{num_threads()} thread(s)"
        print(f"cnn 28x28, {run.core.model.num_parameters:,} parameters, E = {num_envs}: {device} ({name})")
        print(f"  {run.core.trainer.name:12}{rates[device]:10,.2f} rounds/s")
    if "cuda" in rates:
        print(f"  cuda / cpu  {rates['cuda'] / rates['cpu']:10,.1f}x")


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", nargs="*", choices=list(WIDTHS), default=list(WIDTHS))
    parser.add_argument("--envs", nargs="*", type=int, default=[1, 8, 32, 128])
    parser.add_argument("--threads", type=int, default=None, help="default: all")
    parser.add_argument("--seconds", type=float, default=1.0, help="per figure and repeat")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peers", action="store_true", help="also run the scripts of --peer-dir")
    parser.add_argument("--peer-dir", type=Path, default=Path("peers"))
    parser.add_argument("--peer-scripts", nargs="*", default=["peer_pfl", "peer_fedjax"])
    parser.add_argument("--peer-path", nargs="*", default=[], help="SCRIPT=FOLDER")
    parser.add_argument("--peer-rounds", type=int, default=100)
    parser.add_argument("--cnn", action="store_true", help="measure the convolutional net instead")
    parser.add_argument("--cnn-envs", type=int, default=32, help="environments of --cnn")
    parser.add_argument("--cnn-mode", choices=["auto", "loop", "vmap"], default="auto")
    parser.add_argument("--cnn-workers", type=int, default=1, help="processes on the processor; 1 = threads")
    args = parser.parse_args()
    set_num_threads(args.threads)
    if args.cnn:
        convolutional(args.cnn_envs, args.seconds, args.repeats, args.cnn_mode, args.cnn_workers)
        return
    peak = sgemm_flops(num_threads())
    print(f"{num_threads()} thread(s); sgemm {peak / 1e9:.0f} GFLOP/s")
    for model in args.models:
        own, others = measure(args, model)
        roof = peak / flops_per_round(model)
        print(f"\n{model}: rounds/s; roofline {roof:,.0f}")
        for name, rate in others.items():
            print(f"  {name:22}{rate:10,.1f}")
        for num_envs, rate in own.items():
            ratios = "  ".join(f"{rate / other:5.0f}x {name}" for name, other in others.items())
            print(f"  core, E = {num_envs:<12}{rate:10,.0f}  {rate / roof:4.0%} of roofline  {ratios}")


if __name__ == "__main__":
    main()
