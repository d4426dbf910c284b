"""Rounds per second of the federated core, beside the roofline, plain PyTorch and other tools.

    python benchmarks/core.py
    python benchmarks/core.py --models transformer --threads 2
    python benchmarks/core.py --cnn
    python benchmarks/core.py --peers --peer-dir PEERS --peer-path peer_pfl=/opt/pfl peer_fedjax=/opt/fedjax

One round: digits, 100 clients (Dirichlet 0.3), 10 of them, 10 local steps of batch 32, accuracy on 360
digits. Of the transformer (width 32, context 16, vocabulary 16: 13,824 parameters): 16 workers, 8 of them,
20 local steps of AdamW on batches of 8, evaluation on 256 sequences; beside it stands `torch.func` too (vmap
over all workers of all environments). Rounds are summed over the environments trained together. A peer is a
script of PEERS that does the same work and prints one JSON line with ``rounds_per_s``; ``--peer-path`` adds
to its module path. Peers, core and numpy's matrix product take turns, so that they meet the same load;
medians are reported.

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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from frugalfl.fl_core.data import Dataset, load_dataset, partition
from frugalfl.fl_core.federation import FederatedCore, TrainingOrders
from frugalfl.fl_core.models import TransformerSpec, make_model
from frugalfl.fl_core.numerics import num_threads, set_num_threads

WIDTHS = {"softmax": (64, 10), "mlp": (64, 64, 10)}
LANGUAGE = TransformerSpec(layers=1, width=32, heads=2, context=16, vocabulary=16)


@dataclass(frozen=True)
class Work:
    """One round."""

    clients: int
    invited: int
    steps: int
    training: dict[str, Any]  # with the batch size

    @property
    def batch(self) -> int:
        """Rows of a step."""
        return int(self.training["batch_size"])


DENSE = Work(100, 10, 10, {"learning_rate": 0.1, "batch_size": 32})
WORKS = {"transformer": Work(16, 8, 20, {"learning_rate": 0.01, "batch_size": 8, "optimiser": "adamw"})}


def sentences() -> Dataset:
    """Random tokens; only the cost matters here."""
    rng, parts = np.random.default_rng(0), []
    for rows in (3200, 256, 256):
        x = rng.integers(0, LANGUAGE.vocabulary, (rows, LANGUAGE.context + 1))
        parts += [x.astype(np.float32), x[:, -1].astype(np.int32)]
    return Dataset("sentences", *parts, num_classes=LANGUAGE.vocabulary)


def flops_per_round(model: str) -> int:
    """Floating-point operations of the matrix products of one round, its evaluation included."""
    work = WORKS.get(model, DENSE)
    rows = work.invited * work.steps * work.batch
    if model == "transformer":
        return rows * LANGUAGE.step_flops + 256 * LANGUAGE.forward_flops
    products = [a * b for a, b in zip(WIDTHS[model][:-1], WIDTHS[model][1:], strict=True)]
    forward, backward = 2 * sum(products), 2 * sum(products) + 2 * sum(products[1:])
    return rows * (forward + backward) + 360 * forward


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
        data = data or (sentences() if model == "transformer" else load_dataset("digits"))
        net, self.work = make_model(model, data), WORKS.get(model, DENSE)
        clients = self.work.clients
        self.core = FederatedCore(data, net, num_envs, clients, self.work.training, trainer=trainer)
        self.rng = np.random.default_rng(0)
        zone, spec = np.zeros(clients, dtype=int), {"kind": "dirichlet", "alpha": 0.3}
        for env in range(num_envs):
            self.core.reset(env, partition(data, clients, zone, 1, spec, self.rng), env)
        self.round = 0
        self.run(0.2)

    def run(self, seconds: float) -> float:
        """Rounds per second over a stretch of time."""
        work, shape = self.work, (self.core.num_envs, self.work.clients)
        start, rounds = time.perf_counter(), 0
        while (elapsed := time.perf_counter() - start) < seconds or not rounds:
            order = self.rng.random(shape).argpartition(work.invited, axis=1)[:, : work.invited]
            steps = np.zeros(shape, dtype=np.int32)
            np.put_along_axis(steps, order, work.steps, axis=1)
            self.core.run_round(TrainingOrders(steps, None, np.full(shape[0], self.round)))
            self.core.evaluate()
            self.round, rounds = self.round + 1, rounds + shape[0]
        return rounds / elapsed


def torch_problem(model: str) -> tuple[Any, Any, Any]:
    """A module, and inputs and targets of training and validation as tensors."""
    import torch

    if model == "transformer":
        from frugalfl.fl_core.models.transformer_module import transformer_module

        rows = sentences()
        tokens = [torch.from_numpy(x).long() for x in (rows.x_train, rows.x_val)]
        return transformer_module(LANGUAGE, 0), *((x[:, :-1].contiguous(), x[:, 1:]) for x in tokens)
    data = load_dataset("digits")
    train, val = (
        (torch.from_numpy(x), torch.from_numpy(y).long()) for x, y in (data.rows("train"), data.rows("val"))
    )
    layers = [torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10)]
    return torch.nn.Sequential(*layers) if model == "mlp" else torch.nn.Linear(64, 10), train, val


def plain_torch(model: str, seconds: float) -> float:
    """FedAvg as one would write it by hand in PyTorch, client after client; one thread.

    A worker of the transformer has an optimiser of its own; here it is made anew, which costs no more than to
    keep it.
    """
    import torch

    torch.set_num_threads(1)
    net, (x, y), (x_val, y_val) = torch_problem(model)
    rng, work = np.random.default_rng(0), WORKS.get(model, DENSE)
    start, rounds = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - start) < seconds or not rounds:
        server = [p.detach().clone() for p in net.parameters()]
        total = [torch.zeros_like(p) for p in server]
        for _ in range(work.invited):
            with torch.no_grad():
                for p, s in zip(net.parameters(), server, strict=True):
                    p.copy_(s)
            adamw = model == "transformer"
            optimiser: Any = torch.optim.SGD(net.parameters(), lr=0.1)
            if adamw:
                optimiser = torch.optim.AdamW(net.parameters(), 0.01, (0.9, 0.95), weight_decay=0.1)
            for _ in range(work.steps):
                rows = torch.from_numpy(rng.integers(0, len(y), work.batch))
                optimiser.zero_grad()
                logits = net(x[rows]).flatten(0, -2)
                torch.nn.functional.cross_entropy(logits, y[rows].flatten()).backward()
                if adamw:
                    torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
                optimiser.step()
            for t, p in zip(total, net.parameters(), strict=True):
                t += p.detach() / work.invited
        with torch.no_grad():
            for p, t in zip(net.parameters(), total, strict=True):
                p.copy_(t)
            (net(x_val).argmax(-1) == y_val).float().mean().item()
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


def measure(args: argparse.Namespace, model: str) -> tuple[float, dict[int, float], dict[str, float]]:
    """Medians of the matrix product, of the core per number of environments, and of its peers."""
    runs = {num_envs: CoreRun(model, num_envs) for num_envs in args.envs}
    paths = dict(item.split("=", 1) for item in args.peer_path)
    scripts = [args.peer_dir / f"{name}.py" for name in args.peer_scripts] if args.peers else []
    own: dict[int, list[float]] = {num_envs: [] for num_envs in runs}
    others: dict[str, list[float]] = {"plain PyTorch": [], **{script.stem: [] for script in scripts}}
    plain_torch(model, 0.1)  # PyTorch's first steps are slow
    vmap = {"kind": "torch", "mode": "vmap"}
    batches = [CoreRun(model, each, trainer=vmap) for each in (1, 32)] if model == "transformer" else []
    names = [f"torch.func, E = {run.core.num_envs}" for run in batches]
    others |= {name: [] for name in names}
    peaks = []
    for _ in range(args.repeats):
        peaks.append(sgemm_flops(num_threads()))
        for num_envs, run in runs.items():
            own[num_envs].append(run.run(args.seconds))
        others["plain PyTorch"].append(plain_torch(model, args.seconds))
        for name, run in zip(names, batches, strict=True):
            others[name].append(run.run(args.seconds))
        for script in scripts:
            others[script.stem].append(peer(script, model, args.peer_rounds, paths.get(script.stem)))
    medians = {num_envs: float(np.median(rates)) for num_envs, rates in own.items()}
    beside = {name: float(np.median(rates)) for name, rates in others.items()}
    return float(np.median(peaks)), medians, beside


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
    parser.add_argument("--models", nargs="*", choices=[*WIDTHS, "transformer"], default=list(WIDTHS))
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
    print(f"{num_threads()} thread(s)")
    for model in args.models:
        peak, own, others = measure(args, model)
        roof = peak / flops_per_round(model)
        print(f"\n{model}: rounds/s; roofline {roof:,.0f} by sgemm's {peak / 1e9:.0f} GFLOP/s")
        for name, rate in others.items():
            print(f"  {name:22}{rate:10,.1f}")
        for num_envs, rate in own.items():
            ratios = "  ".join(f"{rate / other:5.0f}x {name}" for name, other in others.items())
            print(f"  core, E = {num_envs:<12}{rate:10,.0f}  {rate / roof:4.0%} of roofline  {ratios}")


if __name__ == "__main__":
    main()
