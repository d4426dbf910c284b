"""Who holds which training rows, and which rows the hub may send to whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...common.arrays import AnyArray, Floats, Ints, Ints32
from ...common.settings import Spec
from .dataset import Dataset
from .partitions import PARTITIONS, Partition

Residency = Literal["shared", "zone"]


@dataclass(frozen=True)
class ClientRows:
    """Row sequences of N clients over one data set's training rows.

    Client k's sequence is `rows[offset[k]:offset[k + 1]]`: its own rows first, then those that the hub may
    send it, in the order in which they would arrive. A client that holds h rows holds the first h of it.
    """

    rows: Ints32  # the sequences one after another
    offset: Ints  # [N + 1]
    own: Ints32  # [N] how many rows each client has from the start
    target_weight: Floats  # [N] share alpha_k of each client in the objective; sums to 1

    @property
    def capacity(self) -> Ints32:
        """`[N]`, rows a client holds once everything has been sent."""
        return np.diff(self.offset).astype(np.int32)

    def label_mix(self, labels: Ints32, num_classes: int) -> Floats:
        """`[N, C]`, label frequencies of the rows each client owns.

        Rows sent by the hub are not the client's; one that owns none stands for those it may be sent.

        Args:
            labels: of all training rows.
            num_classes: C.
        """
        own = np.where(self.own > 0, self.own, self.capacity)
        client = np.repeat(np.arange(own.size), self.capacity)
        first = np.arange(client.size) - self.offset[client] < own[client]
        of_label = client[first] * num_classes + labels[self.rows[: client.size][first]]
        counts = np.bincount(of_label, minlength=own.size * num_classes).reshape(own.size, num_classes)
        return np.asarray(counts / np.maximum(1, counts.sum(axis=1, keepdims=True)), dtype=np.float64)

    def label_skew(self, labels: Ints32, num_classes: int) -> float:
        """Mean distance of a client's label mix from that of all clients together, 0 to 1.

        The distance is the total variation, half the sum of absolute differences; means are by target weight.
        0 = all mixes are alike. A coordinator knows it from the clients' label histograms.
        """
        mix = self.label_mix(labels, num_classes)
        distance = 0.5 * np.abs(mix - self.target_weight @ mix).sum(axis=1)
        return float(self.target_weight @ distance)


def partition(
    dataset: Dataset,
    num_clients: int,
    zone: AnyArray,
    num_zones: int,
    spec: Spec | Partition,
    rng: np.random.Generator,
    hub_share: float = 0.0,
    hub_rows_per_client: int = 0,
    residency: Residency = "shared",
) -> ClientRows:
    """Deal the training rows out to clients and hub.

    Args:
        dataset: the rows.
        num_clients: N.
        zone: int `[N]`, zone of each client.
        num_zones: Z.
        spec: `"iid"`, `"dirichlet"`, `"shards"`, `"zone"`, `"natural"`, a mapping, or a `Partition`.
        rng: source of all randomness.
        hub_share: share of the training rows that lies at the hub, in [0, 1].
        hub_rows_per_client: most hub rows one client can ever be sent (its storage). 0 = none.
        residency: `"shared"`: every client may be sent any hub row, in its own random order. `"zone"`:
            hub rows are dealt by the same label mixes as the clients' own, each to one client for good, so
            that a zone's samples are only ever processed there.

    Returns:
        The sequences. Every row that is not at the hub belongs to exactly one client, no client meets a row
        twice, and every client owns at least one row if `hub_share < 1`.

    Raises:
        ValueError: more clients than rows, or an argument out of range.
    """
    kind = PARTITIONS.make(spec)
    zones = _checked(num_clients, zone, num_zones, hub_share, hub_rows_per_client, residency)
    order = rng.permutation(dataset.num_rows)
    at_hub = round(hub_share * dataset.num_rows)
    hub, kept = order[:at_hub], order[at_hub:]
    if kept.size < num_clients and hub_share < 1:
        raise ValueError(
            f"num_clients: {num_clients}, expected at most the {kept.size} rows of {dataset.name!r} that are "
            "with clients; use fewer clients, a smaller hub_share or more data"
        )
    appetite = kind.appetite(dataset.num_classes, zones, num_zones, rng)
    own_client = kind.deal(dataset, kept, appetite, rng)
    if kept.size:
        _nobody_empty(own_client, num_clients, rng)
    if residency == "zone":
        hub_client = kind.deal(dataset, hub, appetite, rng)
        assigned = np.bincount(hub_client, minlength=num_clients)
        sent, sent_client = _first_of_each(hub, hub_client, num_clients, hub_rows_per_client)
    else:
        assigned = np.zeros(num_clients, dtype=np.int64)
        sent, sent_client = _own_orders(hub, num_clients, hub_rows_per_client, rng)
    rows, clients = np.concatenate([kept, sent]), np.concatenate([own_client, sent_client])
    return _client_rows(rows, clients, np.bincount(own_client, minlength=num_clients), assigned)


def _client_rows(rows: Ints, client: Ints, own: Ints, assigned: Ints) -> ClientRows:
    """Sort rows by client, keeping their order; weighs clients by the rows that are theirs alone."""
    weight = (own + assigned).astype(np.float64)
    if not weight.any():  # everything at a shared hub: no client has data of its own
        weight[:] = 1.0
    offset = np.concatenate([[0], np.cumsum(np.bincount(client, minlength=own.size))])
    return ClientRows(
        rows[np.argsort(client, kind="stable")].astype(np.int32),
        offset.astype(np.int64),
        own.astype(np.int32),
        weight / weight.sum(),
    )


def _checked(
    num_clients: int, zone: AnyArray, num_zones: int, hub_share: float, hub_rows: int, residency: str
) -> Ints:
    """Validate the arguments that are not settings; returns the zones as integers."""
    if num_clients < 1:
        raise ValueError(f"num_clients: {num_clients}, expected at least 1")
    zones = np.asarray(zone, dtype=np.int64)
    if zones.shape != (num_clients,) or zones.min() < 0 or zones.max() >= num_zones:
        raise ValueError(f"zone: shape {zones.shape}, expected {num_clients} integers in [0, {num_zones})")
    if not 0 <= hub_share <= 1:
        raise ValueError(f"hub_share: {hub_share}, expected a share in [0, 1]")
    if hub_rows < 0:
        raise ValueError(f"hub_rows_per_client: {hub_rows}, expected 0 or more")
    if residency not in ("shared", "zone"):
        raise ValueError(f"residency: {residency!r}, expected 'shared' or 'zone'")
    return zones


def _nobody_empty(client: Ints, num_clients: int, rng: np.random.Generator) -> None:
    """Give every client at least one row, taken from random rows of clients with more than one; in place."""
    held = np.bincount(client, minlength=num_clients)
    empty = np.flatnonzero(held == 0)
    if not empty.size:
        return
    # One row of every client stays; the rest, in random order, may be given away.
    shuffled = rng.permutation(client.size)
    _, first = np.unique(client[shuffled], return_index=True)
    spare = np.delete(shuffled, first)
    client[spare[: empty.size]] = empty


def _first_of_each(rows: Ints, client: Ints, num_clients: int, limit: int) -> tuple[Ints, Ints]:
    """The first `limit` rows of each client."""
    order = np.argsort(client, kind="stable")
    count = np.bincount(client, minlength=num_clients)
    rank = np.arange(rows.size) - np.repeat(np.cumsum(count) - count, count)
    keep = order[rank < limit]
    return rows[keep], client[keep]


def _own_orders(hub: Ints, num_clients: int, limit: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """For each client its own random order of the hub's rows, cut at `limit`."""
    length = min(limit, hub.size)
    if not length:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    if length * 16 < hub.size:  # few rows out of many: no need to shuffle them all
        picks = [rng.choice(hub.size, size=length, replace=False) for _ in range(num_clients)]
        sent = hub[np.concatenate(picks)]
    else:
        orders = rng.permuted(np.broadcast_to(hub, (num_clients, hub.size)), axis=1)
        sent = orders[:, :length].ravel()
    return sent, np.repeat(np.arange(num_clients), length)
