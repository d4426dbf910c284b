"""The batteries pass on everything that is registered, and find what is wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from frugalfl.fl_core.aggregation import (
    AGGREGATORS,
    ATTACKS,
    COMPRESSIONS,
    Attack,
    Compression,
    Mifa,
    TopK,
    Uniform,
)
from frugalfl.fl_core.data import DATASETS, PARTITIONS, Dataset, DatasetSource, Partition, load_dataset
from frugalfl.fl_core.models import make_model
from frugalfl.fl_core.testing import (
    check_aggregator,
    check_attack,
    check_compression,
    check_dataset,
    check_partition,
    check_trainer,
)
from frugalfl.fl_core.training import TRAINERS, NumpyTrainer

FROM_FILES = (
    "mnist",
    "fashion-mnist",
    "emnist",
    "cifar10",
    "table",
    "heart-disease",
    "tcga-brca",
    "text",
    "stream",
)
FOR_SURVIVAL = ("cox",)


@pytest.mark.parametrize(
    "spec",
    [*AGGREGATORS.names(), {"kind": "mifa", "wait_for_all": True}, {"kind": "fedbuff", "size": 4}, Mifa()],
)
def test_every_aggregator(spec):
    check_aggregator(spec)


@pytest.mark.parametrize(
    "spec", [*COMPRESSIONS.names(), {"kind": "top-k", "error_feedback": True}, TopK(0.5)]
)
def test_every_compression(spec):
    check_compression(spec)


@pytest.mark.parametrize(
    "spec", [*ATTACKS.names(), {"kind": "scale", "factor": -3.0}, {"kind": "alie", "z": 1.5}]
)
def test_every_attack(spec):
    check_attack(spec)


@pytest.mark.parametrize("name", [name for name in DATASETS if name not in FROM_FILES])
def test_every_data_set(name):
    check_dataset(name)


@pytest.mark.parametrize("name", PARTITIONS.names())
def test_every_partition(name):
    check_partition(name, load_dataset("synthetic") if name == "natural" else None)


@pytest.mark.parametrize("name", TRAINERS.names())
def test_every_trainer(name):
    if name in FOR_SURVIVAL:
        data = load_dataset({"kind": "synthetic-hospitals", "survival": True})
        check_trainer(name, data, make_model(name, data))
    else:
        check_trainer(name)


def test_a_convolutional_net():
    pytest.importorskip("torch")
    digits = load_dataset("digits")
    check_trainer("torch", digits, make_model({"kind": "cnn", "kernel": 2}, digits))
    check_trainer({"kind": "torch", "mode": "vmap"}, exact=False)


class Growing(Uniform):
    """Remembers where no snapshot looks."""

    count = 0.0

    def coefficients(self, arrivals):
        self.count += 1
        return super().coefficients(arrivals) * self.count


class FirstOnly(Uniform):
    """Takes whoever comes first."""

    def omega(self, arrivals):
        return np.isin(np.arange(arrivals.env.size), arrivals.span[:-1]).astype(float)


class Restless(Uniform):
    """Moves although nothing arrived."""

    def step(self, arrivals, params):
        return super().step(arrivals, params) + 1


class Wider(Uniform):
    """Forgets the precision."""

    def step(self, arrivals, params):
        return super().step(arrivals, params).astype(np.float64)


class Careless(Uniform):
    """Works in place."""

    def step(self, arrivals, params):
        arrivals.delta[...] *= 2
        return super().step(arrivals, params)


class Talkative(Compression):
    """Zeros become something."""

    name = "talkative"

    def upload_bytes(self, num_parameters):
        return num_parameters

    def send(self, env, client, delta):
        return delta + delta.dtype.type(1)


class Mixing(Talkative):
    """Updates are not compressed by themselves."""

    def send(self, env, client, delta):
        return delta - delta.mean(axis=0, keepdims=True)


class Fraction(Talkative):
    """Half bytes."""

    def upload_bytes(self, num_parameters):
        return num_parameters / 2


class Changing(DatasetSource):
    """Other rows every time."""

    def load(self, rng_seed):
        x, y = np.random.default_rng().normal(size=(4, 2)).astype("f4"), np.array([0, 1, 1, 0], dtype="i4")
        return Dataset("changing", x, y, x, y, x, y, 2)


class Moody(Partition):
    """Another deal every time."""

    def deal(self, dataset, rows, appetite, rng):
        return np.random.default_rng().integers(0, len(appetite), rows.size)


class Lazy(NumpyTrainer):
    """Steps half as far."""

    def run(self, jobs, settings):
        return super().run(jobs, settings.model_copy(update={"learning_rate": settings.learning_rate / 2}))


class Louder(Attack):
    """Remembers where no snapshot looks."""

    name = "louder"
    rounds = 0

    def lies(self, env, honest, own):
        self.rounds += 1
        return own * (self.rounds + 1)


class Harmless(Attack):
    """Does nothing."""

    name = "harmless"

    def lies(self, env, honest, own):
        return own


class FirstHonest(Attack):
    """Sends what the first honest client sent, of whom there may be none."""

    name = "first-honest"

    def lies(self, env, honest, own):
        return np.repeat(honest[:1], len(own), axis=0)


class ToAll(Harmless):
    """Touches honest updates."""

    def send(self, env, client, delta):
        return -delta, super().send(env, client, delta)[1]


class Blowing(Harmless):
    """Sends what is no number."""

    def lies(self, env, honest, own):
        return own * np.inf


@pytest.mark.parametrize(
    ("check", "plug_in", "words"),
    [
        (check_attack, Louder(), "Louder: environment 2 of a batch: other lies than alone"),
        (check_attack, Harmless(), "sends what was trained"),
        (check_attack, FirstHonest(), "depend on the order of the clients"),
        (check_attack, ToAll(), "changed an honest update"),
        (check_attack, Blowing(), "what is sent: not finite"),
        (check_aggregator, Growing(), "Growing: after a snapshot: .*what it remembers goes into `memory`"),
        (check_aggregator, FirstOnly(), "depends on the order"),
        (check_aggregator, Restless(), "expected zero where nothing arrived"),
        (check_aggregator, Wider(), "step: float64, expected float32"),
        (check_aggregator, Careless(), "changed what it was given"),
        (check_compression, Talkative(), "expected zeros"),
        (check_compression, Mixing(), "an update alone is decoded otherwise"),
        (check_compression, Fraction(), "expected positive integers"),
        (check_dataset, Changing(), "expected the same"),
        (check_partition, Moody(), "expected the same"),
    ],
)
def test_what_is_wrong_is_found(check, plug_in, words):
    with pytest.raises(AssertionError, match=words) as caught:
        check(plug_in)
    assert "\n" not in str(caught.value)


class Steady(NumpyTrainer):
    """Trains all jobs at the settings' rate."""

    def run(self, jobs, settings):
        return super().run(replace(jobs, learning_rate=None), settings)


class Plain(NumpyTrainer):
    """Knows SGD alone."""

    def run(self, jobs, settings):
        return super().run(jobs, settings.model_copy(update={"optimiser": "sgd"}))


class Forgetful(NumpyTrainer):
    """Begins with no moments whatever it is given."""

    def run(self, jobs, settings):
        return super().run(replace(jobs, moments=None), settings)


@pytest.mark.parametrize(
    ("trainer", "words"),
    [
        (Plain, "moments: None with optimiser 'adamw'"),
        (Forgetful, "moments: expected to go on from those given"),
        (Lazy, "other numbers than the trainer 'numpy'"),
        (Steady, "learning_rate: expected each job's own rate"),
    ],
)
def test_a_trainer_that_trains_otherwise_is_found(trainer, words):
    TRAINERS.register("otherwise")(trainer)
    try:
        with pytest.raises(AssertionError, match=words):
            check_trainer("otherwise")
    finally:
        TRAINERS.remove("otherwise")
