"""Who holds which training rows, and which rows the hub may send to whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import Field

from ...common.arrays import AnyArray, Floats, Ints, Ints32
from ...common.settings import Settings, parse_settings, split_spec, suggest
from .dataset import Dataset

Residency = Literal["shared", "zone"]


@dataclass(frozen=True)
class ClientRows:
    """Row sequences of N clients over one data set's training rows.

    Client k's sequence is ``rows[offset[k]:offset[k + 1]]``: its own rows first, then those that the hub may
    send it, in the order in which they would arrive. A client that holds h rows holds the first h of it.

    Attributes:
        rows: ``int32``, the sequences one after another.
        offset: ``int64 [N + 1]``.
        own: ``int32 [N]``, how many rows each client has from the start.
        target_weight: ``float64 [N]``, the share alpha_k of each client in the objective; sums to 1.
    """

    rows: Ints32
    offset: Ints
    own: Ints32
    target_weight: Floats

    @property
    def capacity(self) -> Ints32:
        """``int32 [N]``, rows a client holds once everything has been sent."""
        return np.diff(self.offset).astype(np.int32)


class _Iid(Settings):
    """Every client's rows are a random sample of all.

    Attributes:
        size_sigma: Spread of a log-normal number of rows per client; 0 = equal sizes.
    """

    size_sigma: float = Field(default=0.0, ge=0)


class _Dirichlet(Settings):
    """Label mix of each client drawn from a symmetric Dirichlet (Hsu et al. 2019).

    Attributes:
        alpha: Concentration per class; small = few labels per client.
        size_sigma: As in `_Iid`.
    """

    alpha: float = Field(default=0.3, gt=0)
    size_sigma: float = Field(default=0.0, ge=0)


class _Shards(Settings):
    """Rows sorted by label, cut into equal shards, a few dealt to each client (McMahan et al. 2017).

    Attributes:
        per_client: Shards per client.
    """

    per_client: int = Field(default=2, ge=1)


class _Zone(Settings):
    """Each zone has its own label mix; its clients scatter around it.

    Where zones are awake at different hours, this is what makes availability bias the model.

    Attributes:
        zone_alpha: Concentration per class of a zone's mix.
        client_alpha: Concentration per class of a client's mix around its zone's.
        size_sigma: As in `_Iid`.
    """

    zone_alpha: float = Field(default=0.3, gt=0)
    client_alpha: float = Field(default=1.0, gt=0)
    size_sigma: float = Field(default=0.0, ge=0)


class _Natural(Settings):
    """The clients the rows were born at; born clients are dealt out in turn where there are more of them."""


_KINDS: dict[str, type[Settings]] = {
    "iid": _Iid,
    "dirichlet": _Dirichlet,
    "shards": _Shards,
    "zone": _Zone,
    "natural": _Natural,
}


def parse_partition(spec: str | Mapping[str, Any]) -> Settings:
    """Validates a partition's name and settings.

    Raises:
        ValueError: Unknown name (with a suggestion) or bad settings.
    """
    name, rest = split_spec(spec, "partition")
    if name not in _KINDS:
        raise ValueError(f"partition={name!r}: {suggest(name, _KINDS)}")
    return parse_settings(_KINDS[name], rest, f"partition {name!r}")


def partition(
    dataset: Dataset,
    num_clients: int,
    zone: AnyArray,
    num_zones: int,
    spec: str | Mapping[str, Any],
    rng: np.random.Generator,
    hub_share: float = 0.0,
    hub_rows_per_client: int = 0,
    residency: Residency = "shared",
) -> ClientRows:
    """Deals the training rows out to clients and hub.

    Args:
        dataset: The rows.
        num_clients: N.
        zone: ``int [N]``, zone of each client.
        num_zones: Z.
        spec: ``"iid"``, ``"dirichlet"``, ``"shards"``, ``"zone"``, ``"natural"`` or a mapping with settings.
        rng: Source of all randomness.
        hub_share: Share of the training rows that lies at the hub, in [0, 1].
        hub_rows_per_client: Most hub rows one client can ever be sent (its storage). 0 = none.
        residency: ``"shared"``: every client may be sent any hub row, in its own random order. ``"zone"``:
            hub rows are dealt by the same label mixes as the clients' own, each to one client for good, so
            that a zone's samples are only ever processed there.

    Returns:
        The sequences. Every row that is not at the hub belongs to exactly one client, no client meets a row
        twice, and every client owns at least one row if ``hub_share < 1``.

    Raises:
        ValueError: More clients than rows, or an argument out of range.
    """
    settings = parse_partition(spec)
    zones = _checked(num_clients, zone, num_zones, hub_share, hub_rows_per_client, residency)
    order = rng.permutation(dataset.num_rows)
    at_hub = round(hub_share * dataset.num_rows)
    hub, kept = order[:at_hub], order[at_hub:]
    if kept.size < num_clients and hub_share < 1:
        raise ValueError(
            f"num_clients={num_clients}: only {kept.size} rows of {dataset.name!r} are with clients; "
            "use fewer clients, a smaller hub_share or more data"
        )
    appetite = _appetite(settings, dataset.num_classes, zones, num_zones, rng)
    own_client = _deal(settings, dataset, kept, appetite, num_clients, rng)
    if kept.size:
        _nobody_empty(own_client, num_clients, rng)
    if residency == "zone":
        hub_client = _deal(settings, dataset, hub, appetite, num_clients, rng)
        assigned = np.bincount(hub_client, minlength=num_clients)
        sent, sent_client = _first_of_each(hub, hub_client, num_clients, hub_rows_per_client)
    else:
        assigned = np.zeros(num_clients, dtype=np.int64)
        sent, sent_client = _own_orders(hub, num_clients, hub_rows_per_client, rng)
    rows, clients = np.concatenate([kept, sent]), np.concatenate([own_client, sent_client])
    return _client_rows(rows, clients, np.bincount(own_client, minlength=num_clients), assigned)


def _client_rows(rows: Ints, client: Ints, own: Ints, assigned: Ints) -> ClientRows:
    """Sorts rows by client, keeping their order; weighs clients by the rows that are theirs alone."""
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
    """Validates the arguments that are not settings; returns the zones as integers."""
    if num_clients < 1:
        raise ValueError(f"num_clients={num_clients}: expected at least 1")
    zones = np.asarray(zone, dtype=np.int64)
    if zones.shape != (num_clients,) or zones.min() < 0 or zones.max() >= num_zones:
        raise ValueError(
            f"zone: expected {num_clients} integers in [0, {num_zones}), got shape {zones.shape}"
        )
    if not 0 <= hub_share <= 1:
        raise ValueError(f"hub_share={hub_share}: expected a share in [0, 1]")
    if hub_rows < 0:
        raise ValueError(f"hub_rows_per_client={hub_rows}: expected 0 or more")
    if residency not in ("shared", "zone"):
        raise ValueError(f"residency={residency!r}: expected 'shared' or 'zone'")
    return zones


def _appetite(
    settings: Settings, num_classes: int, zones: Ints, num_zones: int, rng: np.random.Generator
) -> Floats:
    """``[N, C]``: how much of each label a client would like, before supply is considered."""
    mix = np.full((zones.size, num_classes), 1.0 / num_classes)
    if isinstance(settings, _Dirichlet):
        mix = _dirichlet(rng, np.full_like(mix, settings.alpha))
    elif isinstance(settings, _Zone):
        of_zone = _dirichlet(rng, np.full((num_zones, num_classes), settings.zone_alpha))
        mix = _dirichlet(rng, settings.client_alpha * num_classes * of_zone[zones])
    sigma = getattr(settings, "size_sigma", 0.0)
    size = np.exp(sigma * rng.standard_normal(zones.size)) if sigma > 0 else np.ones(zones.size)
    return mix * (size / size.sum())[:, None]


def _dirichlet(rng: np.random.Generator, concentration: Floats) -> Floats:
    """Row-wise Dirichlet draws that survive tiny concentrations (floor keeps every label possible)."""
    gamma = rng.standard_gamma(np.maximum(concentration, 1e-3)) + 1e-9
    return gamma / gamma.sum(axis=1, keepdims=True)


def _deal(
    settings: Settings,
    dataset: Dataset,
    rows: Ints,
    appetite: Floats,
    num_clients: int,
    rng: np.random.Generator,
) -> Ints:
    """Returns the client of each of the given (already shuffled) rows."""
    if isinstance(settings, _Natural):
        if dataset.natural_client is None:
            raise ValueError(
                f"partition='natural': data set {dataset.name!r} has no natural clients; use 'dirichlet'"
            )
        return dataset.natural_client[rows].astype(np.int64) % num_clients
    labels = dataset.y_train[rows]
    client = np.empty(rows.size, dtype=np.int64)
    if isinstance(settings, _Shards):
        shard_owner = rng.permutation(num_clients * settings.per_client) % num_clients
        shard = np.arange(rows.size) * shard_owner.size // max(1, rows.size)
        client[np.argsort(labels, kind="stable")] = shard_owner[shard]
        return client
    counts = np.bincount(labels, minlength=dataset.num_classes).astype(np.float64)
    share = _balance(appetite, counts)
    for label in np.flatnonzero(counts):
        of_label = np.flatnonzero(labels == label)
        # Cumulative rounding gives every client its share to within one row and loses none.
        cuts = np.round(np.cumsum(share[:, label]) / share[:, label].sum() * of_label.size).astype(np.int64)
        client[of_label] = np.searchsorted(cuts, np.arange(of_label.size), side="right")
    return client


def _balance(appetite: Floats, supply: Floats) -> Floats:
    """Scales rows and columns (Sinkhorn) to the wanted sizes and to the labels there are."""
    size = appetite.sum(axis=1)
    supply = supply / max(1.0, supply.sum())
    share = appetite.copy()
    for _ in range(30):
        share *= supply / np.maximum(share.sum(axis=0), 1e-300)
        share *= (size / np.maximum(share.sum(axis=1), 1e-300))[:, None]
    return share


def _nobody_empty(client: Ints, num_clients: int, rng: np.random.Generator) -> None:
    """Gives every client at least one row, taken from random rows of clients with more than one; in place."""
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
    """The first ``limit`` rows of each client."""
    order = np.argsort(client, kind="stable")
    count = np.bincount(client, minlength=num_clients)
    rank = np.arange(rows.size) - np.repeat(np.cumsum(count) - count, count)
    keep = order[rank < limit]
    return rows[keep], client[keep]


def _own_orders(hub: Ints, num_clients: int, limit: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """For each client its own random order of the hub's rows, cut at ``limit``."""
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
