"""Partitions: which client each training row goes to, by name."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import numpy as np
from pydantic import Field

from ...common.arrays import Floats, Ints, Ints32
from ...common.compiled import inner, kernel
from ...common.ranges import Drawn, drawn
from ...common.registry import Registry
from .dataset import Dataset

_SINKHORN_ROUNDS = 30


class Partition(Drawn):
    """One way of dealing rows to clients: by the mix of labels that each would like.

    A kind of one's own overrides `label_mix`, or `deal` where labels do not matter.

    Example:
        >>> @PARTITIONS.register("halves")
        ... class Halves(Partition):
        ...     def deal(self, dataset, rows, appetite, rng):
        ...         return np.arange(rows.size) * 2 // rows.size % len(appetite)
    """

    def label_mix(self, num_classes: int, zone: Ints, num_zones: int, rng: np.random.Generator) -> Floats:
        """`[N, C]`, the label mix that every client would like; rows sum to 1."""
        return np.full((zone.size, num_classes), 1.0 / num_classes)

    def sizes(self, num_clients: int, rng: np.random.Generator) -> Floats:
        """`[N]`, the number of rows that every client would like, up to a factor."""
        return np.ones(num_clients)

    def appetite(self, num_classes: int, zone: Ints, num_zones: int, rng: np.random.Generator) -> Floats:
        """`[N, C]`, how much of each label a client would like, before supply is considered; sums to 1."""
        mix = self.label_mix(num_classes, zone, num_zones, rng)
        size = self.sizes(zone.size, rng)
        return np.asarray(mix * (size / size.sum())[:, None])

    def deal(self, dataset: Dataset, rows: Ints, appetite: Floats, rng: np.random.Generator) -> Ints:
        """Say to which client each row goes.

        Args:
            dataset: the data set.
            rows: row numbers, already shuffled.
            appetite: `[N, C]`, see the method.
            rng: source of all randomness.

        Returns:
            The client of each of the rows.
        """
        labels = dataset.y_train[rows]
        counts = np.bincount(labels, minlength=dataset.num_classes).astype(np.float64)
        share = balanced(appetite, appetite.sum(axis=1), counts / max(1.0, counts.sum()))
        # Cumulative rounding gives every client its share to within one row and loses none.
        total = np.array([share[:, label].sum() for label in range(counts.size)])
        with np.errstate(invalid="ignore"):  # labels that no row has
            cuts = np.round(np.cumsum(share, axis=0) / total * counts)
        return by_cuts(labels, np.nan_to_num(cuts).astype(np.int64))


PARTITIONS: Registry[Partition] = Registry("partition", Partition)
"""Partitions by name."""


# A concentration, or a range from which every episode draws its own: how unlike clients are differs.
Positive = Annotated[float, Field(gt=0)]
Concentration: TypeAlias = Positive | tuple[Positive, Positive]


class _Sized(Partition):
    """Partitions whose clients may differ in size.

    Attributes:
        size_sigma: spread of a log-normal number of rows per client; 0 = equal sizes.
    """

    size_sigma: float = Field(default=0.0, ge=0)

    def sizes(self, num_clients: int, rng: np.random.Generator) -> Floats:
        """See `Partition.sizes`."""
        if self.size_sigma == 0:
            return np.ones(num_clients)
        return np.asarray(np.exp(self.size_sigma * rng.standard_normal(num_clients)))


@PARTITIONS.register("iid")
class Iid(_Sized):
    """Every client's rows are a random sample of all.

    Attributes:
        size_sigma: spread of a log-normal number of rows per client; 0 = equal sizes.
    """


@PARTITIONS.register("dirichlet")
class Dirichlet(_Sized):
    """Label mix of each client drawn from a symmetric Dirichlet (Hsu et al. 2019).

    Attributes:
        alpha: concentration per class; small = few labels per client. Or a range, drawn per episode.
        size_sigma: as in `Iid`.
    """

    alpha: Concentration = 0.3

    def label_mix(self, num_classes: int, zone: Ints, num_zones: int, rng: np.random.Generator) -> Floats:
        """See `Partition.label_mix`."""
        return _dirichlet(rng, np.full((zone.size, num_classes), drawn(self.alpha, rng)))


@PARTITIONS.register("zone")
class Zone(_Sized):
    """Each zone has its own label mix; its clients scatter around it.

    Where zones are awake at different hours, this is what makes availability bias the model.

    Attributes:
        zone_alpha: concentration per class of a zone's mix, or a range, drawn per episode.
        client_alpha: of a client's mix around its zone's, likewise.
        size_sigma: as in `Iid`.
    """

    zone_alpha: Concentration = 0.3
    client_alpha: Concentration = 1.0

    def label_mix(self, num_classes: int, zone: Ints, num_zones: int, rng: np.random.Generator) -> Floats:
        """See `Partition.label_mix`."""
        of_zone = _dirichlet(rng, np.full((num_zones, num_classes), drawn(self.zone_alpha, rng)))
        return _dirichlet(rng, drawn(self.client_alpha, rng) * num_classes * of_zone[zone])


@PARTITIONS.register("shards")
class Shards(Partition):
    """Rows sorted by label, cut into equal shards, a few dealt to each client (McMahan et al. 2017).

    Attributes:
        per_client: shards per client.
    """

    per_client: int = Field(default=2, ge=1)

    def deal(self, dataset: Dataset, rows: Ints, appetite: Floats, rng: np.random.Generator) -> Ints:
        """See `Partition.deal`."""
        num_clients = len(appetite)
        shard_owner = rng.permutation(num_clients * self.per_client) % num_clients
        shard = np.arange(rows.size) * shard_owner.size // max(1, rows.size)
        client = np.empty(rows.size, dtype=np.int64)
        client[np.argsort(dataset.y_train[rows], kind="stable")] = shard_owner[shard]
        return client


@PARTITIONS.register("natural")
class Natural(Partition):
    """The clients the rows were born at; born clients are dealt out in turn where there are more of them.

    More clients than rows were born at are refused: somebody would train on rows that are not its own.
    """

    def deal(self, dataset: Dataset, rows: Ints, appetite: Floats, rng: np.random.Generator) -> Ints:
        """See `Partition.deal`."""
        if dataset.natural_client is None:
            raise ValueError(
                f"partition: 'natural', expected another: data set {dataset.name!r} has no natural clients; "
                "use 'dirichlet'"
            )
        born = int(dataset.natural_client.max()) + 1
        if len(appetite) > born:
            raise ValueError(
                f"clients: {len(appetite)}, expected at most the {born} at which rows of {dataset.name!r} "
                "were born; use as many or fewer, or another partition"
            )
        return dataset.natural_client[rows].astype(np.int64) % len(appetite)


def _dirichlet(rng: np.random.Generator, concentration: Floats) -> Floats:
    """Row-wise Dirichlet draws that survive tiny concentrations (floor keeps every label possible)."""
    gamma = rng.standard_gamma(np.maximum(concentration, 1e-3)) + 1e-9
    return np.asarray(gamma / gamma.sum(axis=1, keepdims=True))


@inner
def _row_sum(row):  # type: ignore[no-untyped-def]
    """Sum of a few numbers as numpy takes it: eight sums side by side, then the rest."""
    c = row.size
    if c < 8:
        total = 0.0
        for label in range(c):
            total += row[label]
        return total
    if c > 128:
        half = c // 2 - c // 2 % 8
        return _row_sum(row[:half]) + _row_sum(row[half:])
    s0, s1, s2, s3, s4, s5, s6, s7 = row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7]
    whole = c - c % 8
    for first in range(8, whole, 8):
        s0 += row[first]
        s1 += row[first + 1]
        s2 += row[first + 2]
        s3 += row[first + 3]
        s4 += row[first + 4]
        s5 += row[first + 5]
        s6 += row[first + 6]
        s7 += row[first + 7]
    total = ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))
    for label in range(whole, c):
        total += row[label]
    return total


@kernel(nogil=True, error_model="numpy")
def balanced(appetite: Floats, size: Floats, supply: Floats) -> Floats:
    """Scale rows and columns (Sinkhorn) to the wanted sizes and to the labels there are.

    Every sum is numpy's, in its order: who gets which row hangs on its last bit.

    Args:
        appetite: `[N, C]`.
        size: `[N]`, the sums of its rows.
        supply: `[C]`, share of the rows that has each label.
    """
    n, c = appetite.shape
    share = appetite.copy()
    column = np.empty(c)
    for _ in range(_SINKHORN_ROUNDS):
        column[:] = share[0]
        for k in range(1, n):
            for label in range(c):
                column[label] += share[k, label]
        if c == 1:  # to numpy a single column is one long row
            column[0] = _row_sum(share.reshape(n))
        for label in range(c):
            column[label] = supply[label] / max(column[label], 1e-300)
        for k in range(n):
            for label in range(c):
                share[k, label] *= column[label]
            factor = size[k] / max(_row_sum(share[k]), 1e-300)
            for label in range(c):
                share[k, label] *= factor
    return share


@kernel(nogil=True)
def by_cuts(labels: Ints32, cuts: Ints) -> Ints:
    """The client of each row `[n]`: of the rows of a label the first `cuts[0]` go to client 0, and so on.

    Args:
        labels: `[n]`.
        cuts: `[N, C]`, ascending along the clients.
    """
    n, c = cuts.shape
    seen, client = np.zeros(c, dtype=np.int64), np.zeros(c, dtype=np.int64)
    found = np.empty(labels.size, dtype=np.int64)
    for row in range(labels.size):
        label = labels[row]
        while client[label] < n and cuts[client[label], label] <= seen[label]:
            client[label] += 1
        found[row] = client[label]
        seen[label] += 1
    return found
