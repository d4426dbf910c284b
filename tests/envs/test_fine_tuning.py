"""Worlds that begin from a base, and train all of it or low-rank factors: bytes, moments, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from frugalfl.agents.schedulers import make_scheduler
from frugalfl.envs.scenario import load_scenario
from frugalfl.envs.world import FederatedWorld
from frugalfl.fl_core.data import load_dataset
from frugalfl.fl_core.federation import Pretraining, fine_tuned
from frugalfl.fl_core.models import make_model
from frugalfl.testing import check_world

SEEDS = np.array([3, 4])
FAMILY = {"kind": "markov", "symbols": 12, "order": 2, "context": 8, "clients": 0.0, "num_clients": 1}
LANGUAGE = {**FAMILY, "clients": 0.1, "num_clients": 16, "family": 0.3}
BASE = {"steps": 300, "dataset": {**FAMILY, "rows": 2000}}
LORA = {"kind": "lora", "rank": 2, "whole": ["head"]}
BITS = {"kind": "rounded", "bits": 16, "block": 128}
FACTORS = 2 * (4 * 16 + 2 * 16 + 5 * 16 + 5 * 16) + 12 * 16


def language(envs=2, **options):
    return FederatedWorld(load_scenario("language", dataset=LANGUAGE, **options), envs, "val")


def ready(world, name="diloco-h", **knobs):
    """A scheduler in a new episode of the world."""
    everywhere = np.ones(world.num_envs, dtype=bool)
    world.reset(everywhere, SEEDS[: world.num_envs])
    scheduler = make_scheduler(name, **knobs)
    scheduler.reset(everywhere, SEEDS[: world.num_envs], world.scenario.clients)
    return scheduler


def play(world, rounds=2, **knobs):
    scheduler = ready(world, local_steps=16, **knobs)
    for _ in range(rounds):
        world.step(scheduler.plan(world.situation()))
    return world


@pytest.mark.slow
def test_factors_travel_and_frozen_weights_are_a_joiners_price():
    world = language(pretrained=BASE, trainable=LORA)
    whole = world.source.model.inner.num_parameters
    assert whole == (2 * 12 + 8) * 16 + 12 * 16**2
    assert world.parameters().shape == (2, FACTORS)
    scheduler = ready(world, local_steps=4)
    situation, share = world.situation(), FACTORS / whole
    assert situation.terms.model_bytes == pytest.approx(4e9 * share)
    frozen = 4e9 * (1 - 12 * 16 / whole)
    assert situation.clients.setup_bytes == pytest.approx(3e9 + frozen)
    compression = world._core.compression
    assert situation.terms.upload_bytes == pytest.approx(4e9 * share * compression.share(FACTORS, 16))
    outcome = world.step(scheduler.plan(situation)).outcome
    done = outcome.completed
    assert done.any()
    assert outcome.down_bytes[done] == pytest.approx(3e9 + frozen + 4e9 * share)
    assert outcome.up_bytes[done] == pytest.approx(situation.terms.upload_bytes[0])
    # Whoever stays has the base, and fetches factors only.
    warm = done & world.situation().clients.available & (world.situation().clients.session_age_s > 0)
    later = world.situation().clients.setup_bytes
    assert set(np.round(later[warm] / 1e9, 6)) <= {0.0, round((3e9 + frozen) / 1e9, 6)}
    assert (later[warm] == 0).any()


def test_nobody_fetches_a_base_that_is_installed():
    world = language(1, pretrained={**BASE, "installed": True}, trainable=LORA)
    assert world.source.setup_bytes == 3e9
    assert world.source.model.base is language(1, pretrained=BASE).source.model.base


def test_moments_and_what_was_not_sent_are_of_the_factors():
    world = play(language(pretrained=BASE, trainable=LORA), upload_bits=4)
    state = world._core.state()
    assert state["workers.first"].shape == (2, 16, FACTORS)
    residual = next(table for name, table in state.items() if name.startswith("compression."))
    assert residual.shape[-1] == FACTORS and residual.any()
    assert state["workers.steps"].max() > 0 and state["workers.second"].any()


def test_every_episode_begins_from_the_base_and_learns_from_there():
    worlds = [language(pretrained=BASE, trainable=kind) for kind in ("all", LORA)]
    base = worlds[0].source.model.base
    assert worlds[1].source.model.base is base  # made once
    for world in worlds:
        world.reset(np.ones(2, dtype=bool), SEEDS)
        assert np.array_equal(world.source.model.expanded(world.parameters()), np.stack([base, base]))
    starts = [world.situation().run.accuracy.copy() for world in worlds]
    assert np.array_equal(*starts) and (starts[0] > 0.2).all()
    for world in worlds:
        assert (play(world, 4).situation().run.accuracy > starts[0] + 0.02).all()
    assert not np.array_equal(worlds[1].parameters()[0], worlds[1].parameters()[1])


@pytest.mark.parametrize("options", [{"trainable": LORA}, {}], ids=["factors", "all"])
def test_worlds_with_a_base_pass_the_battery(options):
    """Dense models likewise, with late updates and a control variate's traffic."""
    scenario = load_scenario(
        "volunteers",
        model={"kind": "mlp", "hidden": [12]},
        pretrained={"steps": 50, "dataset": "digits", "learning_rate": 0.05, "optimiser": "sgd"},
        late={"kind": "keep"},
        **({"trainable": {"kind": "lora", "rank": 3}} if options else {}),
    )
    check_world(scenario)


@pytest.mark.parametrize(
    "options",
    [
        {"fragments": {"count": 3}, "compression": BITS},
        {"malicious": {"share": 0.2, "attack": "sign-flip"}, "aggregator": "median"},
    ],
    ids=["fragments", "liars"],
)
def test_whatever_works_on_parameters_works_on_factors(options):
    world = play(language(pretrained=BASE, trainable=LORA, **options))
    assert np.isfinite(world.parameters()).all() and world.parameters().any()
    assert np.isfinite(world.ledger.net_points).all()


def test_control_variates_are_of_the_factors():
    options = {"model": {"kind": "mlp", "hidden": [12]}, "pretrained": {"steps": 50, "dataset": "digits"}}
    lora = {"kind": "lora", "rank": 3, "alpha": 3}
    scenario = load_scenario("volunteers", trainable=lora, aggregator="scaffold", **options)
    world = FederatedWorld(scenario, 2, "val")
    scheduler = ready(world, "all-available")
    factors = 3 * (64 + 12 + 12 + 10)
    share = factors / world.source.model.inner.num_parameters
    assert world.situation().terms.model_bytes == pytest.approx(2 * 44.7e6 * share)  # a variate comes along
    for _ in range(2):
        world.step(scheduler.plan(world.situation()))
    assert world._core.state()["aggregator.client"].shape[-1] == factors
    assert world._core.state()["aggregator.client"].any()


def test_the_actual_size_is_that_of_the_factors():
    world = language(1, pretrained=BASE, trainable=LORA, workload={"model_bytes": "actual", "setup_bytes": 0})
    world.reset(np.ones(1, dtype=bool), SEEDS[:1])
    assert world.situation().terms.model_bytes == pytest.approx(4 * FACTORS)
    assert world.situation().clients.setup_bytes == pytest.approx(4 * (world.source.model.base.size - 192))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("language", {"trainable": "lora"}, "trainable: lora, expected with pretrained"),
        ("language", {"trainable": "lorra"}, "trainable: 'lorra' is unknown; did you mean 'lora'"),
        (
            "quadratic",
            {"pretrained": {"steps": 3}},
            "pretrained: given, expected none in a world of quadratics",
        ),
        ("quadratic", {"trainable": "lora"}, "trainable: lora, expected none in a world of quadratics"),
        ("streams", {"trainable": "lora", "pretrained": {}}, "expected all with arrivals"),
        (
            "volunteers",
            {"trainable": "lora", "pretrained": {}, "evaluation": {"personal": "knn"}},
            "expected all with evaluation.personal: knn",
        ),
        (
            "volunteers",
            {"pretrained": {}, "evaluation": {"personal": "mixture"}},
            "pretrained: given, expected none where evaluation.personal: mixture",
        ),
        ("language", {"pretrained": {"dataset": {"kind": "text"}}}, "text, expected a data set whose tokens"),
        ("language", {"pretrained": {"steps": -1}}, "pretrained.steps: -1"),
    ],
)
def test_what_makes_no_sense_is_refused_when_it_is_read(name, options, message):
    with pytest.raises(ValueError, match=message):
        load_scenario(name, **options)


def test_a_base_must_fit_and_must_not_diverge():
    data = load_dataset("digits")
    model = make_model("softmax", data)
    with pytest.raises(ValueError, match="9 features and 12 labels, expected 64 and 10"):
        fine_tuned(model, data, pretrained=Pretraining(dataset=FAMILY))
    with pytest.raises(ValueError, match="expected one at which it does not diverge"):
        fine_tuned(
            make_model("mlp", data),
            data,
            pretrained=Pretraining(steps=30, learning_rate=1e11, optimiser="sgd"),
        )
    blank = fine_tuned(make_model("mlp", data), data, pretrained=Pretraining(steps=0, seed=7))
    assert np.array_equal(blank.init(1), make_model("mlp", data).init(7))
