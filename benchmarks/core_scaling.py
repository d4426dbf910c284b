"""What a round of the federated core costs against clients, participants, model size and environments.

python benchmarks/core_scaling.py --out core_scaling.png
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np

from frugalfl.fl_core.data import Dataset, partition
from frugalfl.fl_core.federation import FederatedCore, TrainingOrders
from frugalfl.fl_core.models import make_model

mpl.use("Agg")
import matplotlib.pyplot as plt

FEATURES, CLASSES = 64, 10


def data_of(rows: int) -> Dataset:
    """Random rows with a linear label rule."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, FEATURES), dtype=np.float32)
    y = x[:, :CLASSES].argmax(axis=1).astype(np.int32)
    return Dataset("gaussian", x, y, x[:360], y[:360], x[:360], y[:360], CLASSES)


def milliseconds(
    clients: int = 1000, invited: int = 128, hidden: int = 0, envs: int = 1, rounds: int = 9
) -> float:
    """Median milliseconds of a round and its evaluation, per environment."""
    data, rng = data_of(max(2 * clients, 1000)), np.random.default_rng(0)
    model = make_model({"kind": "mlp", "hidden": [hidden]} if hidden else "softmax", data)
    core = FederatedCore(data, model, envs, clients, {"learning_rate": 0.05})
    for env in range(envs):
        core.reset(env, partition(data, clients, np.zeros(clients, dtype=int), 1, "iid", rng), env)
    times = []
    for r in range(rounds):
        steps = np.zeros((envs, clients), dtype=np.int32)
        for env in range(envs):
            steps[env, rng.choice(clients, invited, replace=False)] = 10
        start = time.perf_counter()
        core.run_round(TrainingOrders(steps, None, np.full(envs, r)))
        core.evaluate()
        times.append(1e3 * (time.perf_counter() - start) / envs)
    return float(np.median(times))


def main() -> None:
    """Measure, print and plot."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", default="core_scaling.png")
    args = parser.parse_args()
    panels: list[tuple[str, str, Sequence[int]]] = [
        ("clients N (128 invited)", "clients", (200, 1000, 10_000, 100_000, 1_000_000)),
        ("participants (1,000 clients)", "invited", (1, 4, 16, 64, 256)),
        ("hidden units (0 = softmax)", "hidden", (0, 16, 64, 256)),
        ("environments E (10 of 100 clients)", "envs", (1, 4, 16, 64, 256)),
    ]
    figure, axes = plt.subplots(1, 4, figsize=(15, 3.4))
    for axis, (title, name, values) in zip(axes, panels, strict=True):
        fixed = {"clients": 100, "invited": 10} if name == "envs" else {}
        cost = [milliseconds(**{**fixed, name: value}) for value in values]
        print(
            title,
            *(f"{value:,}: {each:.2f} ms" for value, each in zip(values, cost, strict=True)),
            sep="\n  ",
        )
        axis.plot(values, cost, marker="o")
        axis.set_xscale("symlog" if 0 in values else "log")
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter("{x:.2g}")
        axis.set_title(title, fontsize=10)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("ms per round and environment")
    figure.tight_layout()
    figure.savefig(args.out, dpi=110)
    print("wrote", args.out)


if __name__ == "__main__":
    main()
