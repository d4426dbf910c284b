"""Pooled, FedAvg, FedAdam and local training on silo tables, beside what FLamby published for two of them.

    python benchmarks/silos.py                                              synthetic hospitals, both models
    python benchmarks/silos.py --data heart-disease --path heart_disease_dataset
    python benchmarks/silos.py --data tcga-brca --path flamby/datasets/fed_tcga_brca

Needs nothing but the package; the real tables have to be on your disk. All training rows train and the rounds
are FLamby's (as many local updates of its batch size); every silo is there in every round. Figures are those
on the pooled test rows: accuracy, or the concordance index where the model is Cox's.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from frugalfl.fl_core.data import Dataset, load_dataset, partition
from frugalfl.fl_core.federation import FederatedCore, TrainingOrders
from frugalfl.fl_core.models import make_model


@dataclass(frozen=True)
class Study:
    """How a table is trained on."""

    dataset: dict[str, object]
    model: str
    rounds: int
    steps: int  # local updates per round
    batch: int
    rate: float
    server_rate: float  # of FedAdam
    published: dict[str, float] = field(default_factory=dict)  # FLamby's, one of its result files


HEART = {"pooled": 0.795, "FedAvg": 0.748, "FedAdam": 0.779}
HEART |= {"local 0": 0.784, "local 1": 0.727, "local 2": 0.483, "local 3": 0.611}
BRCA = {"pooled": 0.704, "FedAvg": 0.735, "FedAdam": 0.842}
STUDIES = {
    "heart-disease": Study({"val_share": 0.0}, "softmax", 15, 100, 4, 0.01, 0.1, HEART),
    "tcga-brca": Study({"val_share": 0.0}, "cox", 5, 100, 16, 0.1, 0.1, BRCA),
    "synthetic-hospitals": Study({}, "softmax", 15, 100, 4, 0.01, 0.1),
    "synthetic-survival": Study({"survival": True}, "cox", 5, 100, 16, 0.1, 0.1),
}
KINDS = {"synthetic-survival": "synthetic-hospitals"}


def compare(study: Study, data: Dataset, seeds: int) -> pd.DataFrame:
    """Test figures of every way to train, mean and standard deviation over seeds."""
    assert data.natural_client is not None
    silos = int(data.natural_client.max()) + 1
    together = np.full(silos, study.steps)
    runs = {
        "pooled": train(study, data, np.full(1, study.steps * silos), seeds),
        "FedAvg": train(study, data, together, seeds),
        "FedAdam": train(study, data, together, seeds, "fedadam", study.server_rate),
    }
    for silo in range(silos):
        alone = np.where(np.arange(silos) == silo, study.steps * silos, 0)
        runs[f"local {silo}"] = train(study, data, alone, seeds)
    rows = [(name, each.mean(), each.std(ddof=1), study.published.get(name)) for name, each in runs.items()]
    return pd.DataFrame(rows, columns=["training", "test", "sd", "FLamby"])


def train(
    study: Study,
    data: Dataset,
    steps: np.ndarray,
    seeds: int,
    aggregator: str = "by-samples",
    server_rate: float = 1.0,
) -> np.ndarray:
    """`[seeds]`, the figure on the test rows; one client holds all rows where there is one entry of steps."""
    training = {"learning_rate": study.rate, "batch_size": study.batch, "server_learning_rate": server_rate}
    core = FederatedCore(data, make_model(study.model, data), seeds, steps.size, training, aggregator)
    zones = np.zeros(steps.size, dtype=np.int64)
    for seed in range(seeds):
        kind = "natural" if steps.size > 1 else "iid"
        core.reset(seed, partition(data, steps.size, zones, 1, kind, np.random.default_rng(seed)), seed)
    for index in range(study.rounds):
        core.run_round(TrainingOrders(np.tile(steps, (seeds, 1)), round_index=np.full(seeds, index)))
    return core.evaluate(part="test")[0]


def main() -> None:
    """Print a table per data set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", choices=STUDIES, help="default: what needs no file")
    parser.add_argument("--path", help="folder of a real table")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    names = [options.data] if options.data else ["synthetic-hospitals", "synthetic-survival"]
    for name in names:
        study = STUDIES[name]
        spec = {"kind": KINDS.get(name, name), **study.dataset}
        spec |= {"path": options.path} if options.path else {}
        figures = compare(study, load_dataset(spec), options.seeds)
        print(f"\n{name}, model {study.model}, {options.seeds} seeds\n")
        print(figures.dropna(axis=1, how="all").to_string(index=False, float_format="{:.3f}".format))


if __name__ == "__main__":
    main()
