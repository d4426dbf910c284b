"""Which aggregation copes with clients that come and go: the ordering of FedAWE's Table 2.

    python benchmarks/reproduce/aggregators.py

Published: Xiang, Ioannidis, Yeh, Joe-Wong & Su, "Efficient Federated Learning against Heterogeneous and
Non-stationary Client Unavailability", NeurIPS 2024, Table 2: test accuracy, mean of the last 50 of 2000
rounds, 100 clients, Dirichlet 0.1, 10 local steps, availability that depends on the labels held (SVHN).

Here: digits, softmax, 100 clients, Dirichlet 0.1, 10 local steps, everyone available trains, 300 rounds, 8
runs, the last 50 rounds. Availability as theirs: `pi_k (0.3 sin(2 pi t / 20) + 0.7)`, pi_k = <label shares,
phi>, phi uniform up to 1 for half of the classes and up to 0.5 for the others; "stationary" without the sine;
"interleaved" with chances below 0.1 cut to 0. The learning rate falls as eta / sqrt(t / 10 + 1) as in their
code, eta the best of 0.05, 0.1, 0.2, 0.5 and 1 on 4 other runs (theirs: 0.05, FedAWE 0.1). F3AST runs without
a limit on uploads as in the paper, with beta = 0.01 instead of 0.001, the rounds being fewer. Nothing is
clipped.
Agreement: of every two methods that are at least 1 point apart in the paper, the better one there is not the
worse one here by more than half a point; FedAWE's pairs are counted apart.
"""

from __future__ import annotations

import itertools
import sys

import numpy as np
from verdicts import Verdicts

from frugalfl.fl_core.data import load_dataset, partition
from frugalfl.fl_core.federation import FederatedCore, TrainingOrders
from frugalfl.fl_core.models import make_model

CLIENTS, STEPS, ROUNDS, RUNS, TUNING_RUNS = 100, 10, 300, 8, 4
RATES = (0.05, 0.1, 0.2, 0.5, 1.0)
PUBLISHED = {
    "fedawe": (86.1, 85.6, 84.6),
    "fedavg-active": (82.4, 82.0, 80.7),
    "fedavg-all": (76.1, 71.3, 69.5),
    "fedau": (83.2, 82.5, 82.4),
    "f3ast": (83.2, 82.3, 81.3),
    "known-probability": (85.6, 86.0, 85.2),
    "mifa": (84.1, 84.1, 83.7),
    "fedvarp": (84.3, 84.3, 84.1),
}
"""Test accuracy on SVHN: stationary, sine, interleaved sine."""
WORLDS = ("stationary", "sine", "interleaved")
OWN_WEIGHTS = ("fedavg-all", "f3ast", "known-probability")


def chances(world: str, mean: np.ndarray, index: int) -> np.ndarray:
    """Probability of every client to be there in a round, `[E, N]`."""
    if world == "stationary":
        return mean
    wave = mean * (0.3 * np.sin(2 * np.pi * index / 20) + 0.7)
    return np.where(wave < 0.1, 0.0, wave) if world == "interleaved" else wave


class Federation:
    """Runs of one world that all methods share: data, availability, weights."""

    def __init__(self, seeds: range):
        self.dataset, self.seeds = load_dataset("digits"), seeds
        self.rows, means = [], []
        for seed in seeds:
            rng = np.random.default_rng(seed)
            zone = np.zeros(CLIENTS, dtype=np.int64)
            rows = partition(self.dataset, CLIENTS, zone, 1, {"kind": "dirichlet", "alpha": 0.1}, rng)
            label = self.dataset.y_train[rows.rows]
            owner = np.repeat(np.arange(CLIENTS), np.diff(rows.offset))
            share = np.zeros((CLIENTS, self.dataset.num_classes))
            np.add.at(share, (owner, label), 1.0)
            share /= share.sum(axis=1, keepdims=True)
            top = np.where(np.arange(self.dataset.num_classes) < self.dataset.num_classes / 2, 1.0, 0.5)
            means.append(np.clip(share @ rng.uniform(0, top), 0.02, 1.0))
            self.rows.append(rows)
        self.mean = np.array(means)

    def accuracy(self, method: str, world: str, rate: float) -> np.ndarray:
        """Test accuracy in per cent over the last 50 rounds, one per run; chance level if it diverged."""
        envs = len(self.rows)
        aggregator = {"fedavg-active": "by-samples"}.get(method, "given" if method in OWN_WEIGHTS else method)
        model = make_model("softmax", self.dataset)
        core = FederatedCore(self.dataset, model, envs, CLIENTS, {"learning_rate": rate}, aggregator)
        for env, (rows, seed) in enumerate(zip(self.rows, self.seeds, strict=True)):
            core.reset(env, rows, seed)
        alpha, rng = core.target_weight, np.random.default_rng(self.seeds.start)
        selected, scores = np.ones((envs, CLIENTS)), []
        for index in range(ROUNDS):
            chance = chances(world, self.mean, index)
            here = rng.random(chance.shape) < chance
            weights = None
            if method == "fedavg-all":
                weights = alpha * here
            elif method == "known-probability":
                weights = np.where(here, alpha / np.maximum(chance, 1e-9), 0.0)
            elif method == "f3ast":
                weights = alpha * here / selected
                selected = 0.99 * selected + 0.01 * here
            falling = {"learning_rate": rate / np.sqrt(index / 10 + 1)}
            core.training = core.training.model_copy(update=falling)
            core.run_round(TrainingOrders((STEPS * here).astype(np.int32), weights, np.full(envs, index)))
            if index >= ROUNDS - 50 and index % 5 == 4:
                scores.append(core.evaluate(part="test")[0])
        return 100 * np.mean(scores, axis=0)


def main() -> None:
    """Tune, run and print the comparison; worlds may be named on the command line."""
    worlds = [world for world in WORLDS if world in sys.argv[1:]] or list(WORLDS)
    tuning, final = Federation(range(1000, 1000 + TUNING_RUNS)), Federation(range(RUNS))
    verdicts = Verdicts("Aggregators under unavailability: ordering of pairs at least a point apart")
    for world in worlds:
        column, ours = WORLDS.index(world), {}
        for method in PUBLISHED:
            tried = {rate: float(tuning.accuracy(method, world, rate).mean()) for rate in RATES}
            best = max(tried, key=lambda rate: tried[rate])
            runs = final.accuracy(method, world, best)
            ours[method] = float(runs.mean())
            error = runs.std(ddof=1) / np.sqrt(RUNS)
            print(
                f"{world}, {method}: {PUBLISHED[method][column]} published, {ours[method]:.1f} ± {error:.1f} "
                f"ours (learning rate {best})",
                flush=True,
            )
        for label, mine in (("seven methods", False), ("FedAWE against them", True)):
            pairs = [
                (a, b)
                for a, b in itertools.permutations(PUBLISHED, 2)
                if PUBLISHED[a][column] - PUBLISHED[b][column] >= 1 and ("fedawe" in (a, b)) == mine
            ]
            against = [f"{a} > {b}" for a, b in pairs if ours[a] < ours[b] - 0.5]
            text = f"{len(pairs) - len(against)} of {len(pairs)} pairs"
            text += f"; against: {', '.join(against)}" if against else ""
            verdicts.add(f"{world}: order of {label}", f"{len(pairs)} pairs", text, not against)
    verdicts.show()


if __name__ == "__main__":
    main()
