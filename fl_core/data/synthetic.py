"""LEAF's synthetic(alpha, beta) data: a softmax teacher per client.

Caldas et al., "LEAF: A Benchmark for Federated Settings" (2018); Li et al., "Federated Optimization in
Heterogeneous Networks" (2020). `alpha` sets how far the clients' teachers differ, `beta` how far
their inputs do. As in the reference code, both are used as standard deviations.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field

from ...common.arrays import AnyArray
from ...common.sizes import check_values
from .dataset import DATASETS, Dataset, DatasetSource


@DATASETS.register("synthetic")
class Synthetic(DatasetSource):
    """synthetic(alpha, beta) with a 60/20/20 split inside every client, see the module.

    `Dataset.natural_client` names the client of each training row.

    Attributes:
        alpha: spread of the clients' teachers.
        beta: spread of the clients' inputs.
        num_clients: clients of the natural partition.
        num_features: inputs d.
        num_classes: labels C.
        min_rows: rows every client has at least.
        max_rows: rows a client has at most (the log-normal sizes have a heavy tail).
        log_size_mean: mean of the log-normal number of rows beyond `min_rows`.
        log_size_sigma: its standard deviation.
    """

    alpha: float = Field(default=1.0, ge=0)
    beta: float = Field(default=1.0, ge=0)
    num_clients: int = Field(default=30, ge=1)
    num_features: int = Field(default=60, ge=1)
    num_classes: int = Field(default=10, ge=2)
    min_rows: int = Field(default=50, ge=5)
    max_rows: int = Field(default=1000, ge=5)
    log_size_mean: float = 4.0
    log_size_sigma: float = Field(default=2.0, ge=0)

    def silos(self) -> int:
        """See `DatasetSource.silos`."""
        return self.num_clients

    def load(self, rng_seed: int) -> Dataset:
        """See `DatasetSource.load`."""
        what = f"dataset: {self.num_clients} clients of {self.max_rows} rows or fewer"
        columns = max(self.num_features, self.num_classes)
        check_values(what, self.num_clients, self.max_rows, columns, do="take fewer of them, or max_rows")
        check_values("dataset: a teacher", self.num_features, self.num_classes, do="take fewer features")
        rng = np.random.default_rng(rng_seed)
        parts: list[tuple[list[AnyArray], list[AnyArray]]] = [([], []), ([], []), ([], [])]
        natural: list[AnyArray] = []
        for client in range(self.num_clients):
            x, y = _client(self, rng)
            cuts = [round(0.6 * len(y)), round(0.8 * len(y))]
            natural.append(np.full(cuts[0], client, dtype=np.int32))
            for (xs, ys), x_part, y_part in zip(parts, np.split(x, cuts), np.split(y, cuts), strict=True):
                xs.append(x_part)
                ys.append(y_part)
        (x0, y0), (x1, y1), (x2, y2) = ((np.concatenate(xs), np.concatenate(ys)) for xs, ys in parts)
        return Dataset(
            f"synthetic({self.alpha:g}, {self.beta:g})",
            x0,
            y0,
            x1,
            y1,
            x2,
            y2,
            self.num_classes,
            natural_client=np.concatenate(natural),
        )


def _client(settings: Synthetic, rng: np.random.Generator) -> tuple[AnyArray, AnyArray]:
    """Rows and labels of one client."""
    d, c = settings.num_features, settings.num_classes
    size = settings.min_rows + int(rng.lognormal(settings.log_size_mean, settings.log_size_sigma))
    size = max(settings.min_rows, min(size, settings.max_rows))
    teacher_mean = rng.normal(0.0, settings.alpha)
    weight = rng.normal(teacher_mean, 1.0, (d, c))
    bias = rng.normal(teacher_mean, 1.0, c)
    input_mean = rng.normal(rng.normal(0.0, settings.beta), 1.0, d)
    scale = np.arange(1, d + 1) ** -0.6  # standard deviations of a covariance diag(j^-1.2)
    x = rng.normal(input_mean, scale, (size, d))
    return x.astype(np.float32), np.argmax(x @ weight + bias, axis=1).astype(np.int32)
