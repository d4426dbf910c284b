"""Plug-ins of one's own in every registry of the core, by name and by dotted name."""

from __future__ import annotations

import numpy as np
import pytest
from own_plugins import Capped, Fewer, Halves, Signs, Slow, Wide
from pydantic import BaseModel

from frugalfl.fl_core.aggregation import AGGREGATORS, COMPRESSIONS
from frugalfl.fl_core.data import DATASETS, PARTITIONS, load_dataset, partition
from frugalfl.fl_core.federation import FederatedCore, TrainingOrders
from frugalfl.fl_core.models import MODELS, ModelField, ModelSpec, make_model
from frugalfl.fl_core.training import TRAINERS, NumpyTrainer, make_trainer

DIGITS = load_dataset("digits")
HERE = "own_plugins"

NAMELESS = {"table": {"path": "x.csv", "label": "y"}, "stream": {"path": "x.arff"}}
"""What cannot be made from its name alone."""
OURS = {
    DATASETS: (Fewer, {"rows": 300}),
    PARTITIONS: (Halves, {}),
    MODELS: (Wide, {"width": 5}),
    TRAINERS: (Slow, {}),
    AGGREGATORS: (Capped, {"most": 0.2}),
    COMPRESSIONS: (Signs, {}),
}


@pytest.fixture(params=["name", "dotted"])
def named(request):
    """How each of our plug-ins is called: by a name, or by where it stands."""
    if request.param == "dotted":
        yield {registry.what: f"{HERE}:{kind.__name__}" for registry, (kind, _) in OURS.items()}
        return
    for registry, (kind, _) in OURS.items():
        registry.register("ours")(kind)
    yield {registry.what: "ours" for registry in OURS}
    for registry in OURS:
        registry.remove("ours")


def test_one_of_each_kind_from_outside_the_package_trains(named):
    specs = {registry.what: {"kind": named[registry.what], **more} for registry, (_, more) in OURS.items()}
    data = load_dataset(specs["dataset"])
    assert data.num_rows == 300
    model = make_model(specs["model"], data)
    assert model.widths == (64, 5, 10)
    core = FederatedCore(
        data,
        model,
        1,
        4,
        {"learning_rate": 0.2},
        specs["aggregator"],
        specs["trainer"],
        0,
        specs["compression"],
    )
    assert core.trainer.name == "slow"
    assert core.upload_share == pytest.approx(Signs().upload_bytes(model.num_parameters) / model.bytes)
    dealt = partition(data, 4, np.zeros(4, dtype=int), 1, specs["partition"], np.random.default_rng(0))
    assert np.array_equal(dealt.own, [75] * 4)
    core.reset(0, dealt, 0)
    before = core.evaluate()[1][0]
    for index in range(20):
        core.run_round(TrainingOrders(np.full((1, 4), 5, dtype=np.int32), None, np.array([index])))
    assert core.evaluate()[1][0] < before


@pytest.mark.parametrize("registry", OURS, ids=lambda registry: registry.what)
def test_a_document_refuses_what_could_not_be_made(registry):
    class Document(BaseModel):
        it: ModelField if registry is MODELS else registry.field()

    for name in registry.names():
        if name not in NAMELESS:
            assert Document(it=name).it == name
        with pytest.raises(ValueError, match="nonsense: unknown field"):
            Document(it={"kind": name, **NAMELESS.get(name, {}), "nonsense": 1})
    with pytest.raises(ValueError, match="is unknown; "):
        Document(it="nobody-has-this")
    with pytest.raises(ValueError, match="expected a name or a mapping"):
        Document(it=3)
    with pytest.raises(ValueError, match="cannot import 'no_such_module'"):
        Document(it="no_such_module:thing")


def test_objects_pass_through():
    assert make_model(Wide(width=3), DIGITS).widths == (64, 3, 10)
    assert load_dataset(Fewer(rows=50)).num_rows == 50
    trainer = NumpyTrainer(DIGITS, ModelSpec((64, 10)))
    assert make_trainer(trainer, DIGITS, ModelSpec((64, 10))) is trainer
