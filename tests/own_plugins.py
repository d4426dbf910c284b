"""One plug-in of each kind, as a user would write them in a file of their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from frugalfl.common.settings import Settings
from frugalfl.evaluation import Section
from frugalfl.fl_core import Compression, Dataset, DatasetSource, ModelSource, Partition, Weighting
from frugalfl.fl_core.aggregation import Attack
from frugalfl.fl_core.data import load_dataset
from frugalfl.fl_core.models import ModelSpec
from frugalfl.fl_core.training import NumpyTrainer
from frugalfl.schedulers import plan_for
from frugalfl.traces.arrivals import ArrivalEpisode
from frugalfl.traces.availability import AvailabilityEpisode, Sessions
from frugalfl.traces.carbon import CarbonEpisode
from frugalfl.traces.devices import Devices
from frugalfl.traces.formats import Format
from frugalfl.traces.records import AvailabilityTrace


class Everybody:
    """A scheduler: whoever is available makes some steps."""

    def reset(self, envs, seeds, num_clients):
        """Nothing to remember."""

    def plan(self, situation):
        return plan_for(situation, situation.clients.available, local_steps=3)


class Capped(Weighting):
    """An aggregator: equal coefficients, at most `most`."""

    name = "capped"

    class Options(Settings):
        most: float = 0.5

    def __init__(self, most=0.5):
        super().__init__()
        self.most = most

    def coefficients(self, arrivals):
        return np.minimum(self.most, 1.0 / np.diff(arrivals.span)[arrivals.env])


class Half(Attack):
    """An attack: a share of the mean honest update, backwards."""

    name = "half"

    class Options(Settings):
        share: float = 0.5

    def __init__(self, share=0.5):
        super().__init__()
        self.share = share

    def lies(self, env, honest, own):
        return (
            np.repeat(-self.share * honest.mean(axis=0, keepdims=True), len(own), axis=0)
            if len(honest)
            else own
        )


class Signs(Compression):
    """A compression: one bit per coordinate and one scale."""

    name = "signs"

    def upload_bytes(self, num_parameters):
        return -(-num_parameters // 8) + 4

    def send(self, env, client, delta):
        return np.sign(delta) * np.abs(delta).mean(axis=1, keepdims=True)


class Fewer(DatasetSource):
    """A data set: the first rows of the digits."""

    rows: int = 400

    def load(self, rng_seed):
        digits = load_dataset("digits")
        return replace(digits, x_train=digits.x_train[: self.rows], y_train=digits.y_train[: self.rows])


def load_blobs(rows: int = 90, classes: int = 3, rng_seed: int = 0):
    """A data set by a function: torch's TensorDatasets, as a notebook has them."""
    import torch
    from torch.utils.data import TensorDataset, random_split

    generator = torch.Generator().manual_seed(rng_seed)
    y = torch.arange(rows) % classes
    x = torch.randn((rows, 2, 2), generator=generator) + y[:, None, None]
    thirds = random_split(TensorDataset(x, y), [1 / 3] * 3, generator=generator)
    return Dataset.from_torch(*thirds, name="blobs")


class Halves(Partition):
    """A partition: rows in their shuffled order, in equal parts."""

    def deal(self, dataset, rows, appetite, rng):
        return np.arange(rows.size) * len(appetite) // rows.size


class Wide(ModelSource):
    """A model: one hidden layer."""

    width: int = 11

    def build(self, dataset):
        return ModelSpec((dataset.num_features, self.width, dataset.num_classes), "wide")


class Slow(NumpyTrainer):
    """A trainer: the reference under a name of its own."""

    name = "slow"


class AlwaysOn(Settings):
    """An availability generator: nobody ever leaves."""

    def validate_for(self, num_clients, horizon_s):
        """Any will do."""

    def sample(self, request, rng):
        n = request.zone.size
        start = np.zeros((n, 1))
        sessions = Sessions(start, start + request.horizon_s, np.zeros((n, 1), dtype=bool))
        return AvailabilityEpisode(
            sessions=sessions,
            climatology=np.ones((n, 24), dtype=np.float32),
            relaxation_s=np.full(n, 3600.0),
            announce_notice_s=0.0,
            forecast=Sure(),
            seed=0,
        )


class AtOnce(Settings):
    """Requests that all come in the first minute, so many of each client."""

    counts: tuple[int, ...]

    def validate_for(self, num_sources, horizon_s):
        assert len(self.counts) == num_sources

    def draw(
        self, rng_seed, num_sources, start_utc_s, utc_offset_h, horizon_s, split="train", rank_group=None
    ):
        counts = np.zeros((num_sources, int(horizon_s // 60)), dtype=np.int32)
        counts[:, 0] = self.counts
        return ArrivalEpisode(counts, counts.astype(np.float32))


class Sure(Settings):
    """A forecast: everybody stays."""

    def probability(self, view):
        return np.broadcast_to(view.available.astype(float), view.shape)


class Clockwork(Settings):
    """A model of request arrivals: every source is asked once every so many minutes."""

    every_min: int = 5

    def draw(
        self, rng_seed, num_sources, start_utc_s, utc_offset_h, horizon_s, split="train", rank_group=None
    ):
        counts = np.zeros((num_sources, round(horizon_s / 60.0)), dtype=np.int32)
        counts[:, :: self.every_min] = 1
        return ArrivalEpisode(counts, np.full(counts.shape, 1.0 / self.every_min, dtype=np.float32))

    def validate_for(self, num_sources, horizon_s):
        """Any will do."""


class FlatGrid(Settings):
    """A carbon source: intensity that never changes."""

    g_per_kwh: float = 100.0
    number: int = 4

    @property
    def zones(self):
        return tuple(f"flat-{index}" for index in range(self.number))

    @property
    def kind(self):
        return "direct"

    def utc_offset_h(self, start_utc_s):
        return np.zeros(self.number)

    def draw_start_utc_s(self, split, horizon_s, rng):
        return 1.7e9

    def validate_for(self, horizon_s):
        """Any will do."""

    def sample(self, start_utc_s, horizon_s, rng):
        hours = int(horizon_s // 3600) + 60
        g = np.full((self.number, hours), self.g_per_kwh)
        return CarbonEpisode(3600.0, 0.0, g, g, np.full(self.number, 0.9))


class Alike(Settings):
    """A class of devices: machines that are all the same."""

    watts: float = 10.0

    def draw(self, num_clients, rng):
        one = np.ones(num_clients)
        return Devices(one, 1e6 * one, 1e6 * one, self.watts * one, 0.03 * one)


def read_stays(path):
    """A trace file of lines `stays USER FROM_S TO_S`, sorted by user and time."""
    rows = [line.split()[1:] for line in Path(path).read_text(encoding="utf-8").splitlines() if line]
    users = tuple(dict.fromkeys(row[0] for row in rows))
    recording = np.array([users.index(row[0]) for row in rows])
    start_s, end_s = np.array([[float(a), float(b)] for _, a, b in rows]).T
    return AvailabilityTrace(
        users=users,
        user=np.arange(len(users)),
        begin_s=np.zeros(len(users)),
        end_s=np.full(len(users), end_s.max()),
        session_recording=recording,
        session_start_s=start_s,
        session_end_s=end_s,
        clock="none",
        utc_offset_h=np.zeros(len(users)),
        source=str(path),
    ).validate()


STAYS = Format("stays", lambda head: head.startswith("stays "), read_stays)
"""A trace format."""


def shares(result):
    """A section of the report: who invited how often."""
    table = result.episodes.groupby("scheduler", sort=False)[["invitations"]].mean().reset_index()
    return Section("Invitations", table, "Means over the episodes.")
