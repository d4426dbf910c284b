"""Policies that saw fewer features, in the shape of those that see more."""

from __future__ import annotations

import numpy as np
import pytest
import torch as th
from hypothesis import given, settings
from hypothesis import strategies as st

import frugalfl
from frugalfl.agents.learning.checkpoint import StateDict
from frugalfl.agents.policies.client_set import available_clients
from frugalfl.agents.policies.set_network import SetActor, SetCritic, SetShape
from frugalfl.agents.policies.widening import Columns, widened
from frugalfl.agents.zoo import find_card
from frugalfl.envs.agent_view import features_of
from frugalfl.envs.scenario import load_scenario

CLIENTS, SERVER = ("available", "a", "b", "c"), ("x", "y", "z")


def networks(clients: int, server: int, pooling: str) -> th.nn.ModuleDict:
    th.manual_seed(clients + 10 * server)
    shape = SetShape(clients, server, 5)
    return th.nn.ModuleDict(
        {"actor": SetActor(shape, 4, 6, 8, pooling), "critic": SetCritic(shape, 8, pooling)}
    )


def observation(rng: np.random.Generator) -> dict[str, th.Tensor]:
    shapes = {"clients": (3, 7, len(CLIENTS)), "server": (3, len(SERVER)), "zones": (3, 2, 5)}
    seen = {name: th.tensor(rng.uniform(-1, 1, shape), dtype=th.float32) for name, shape in shapes.items()}
    seen["clients"][..., 0] = (seen["clients"][..., 0] > 0).float()
    return seen


def only(seen: dict[str, th.Tensor], shown: Columns, known: Columns) -> dict[str, th.Tensor]:
    """An observation with the known features only."""
    places = {part: [list(shown[part]).index(name) for name in known[part]] for part in shown}
    return seen | {part: seen[part][..., places[part]] for part in places}


def says(each: th.nn.ModuleDict, seen: dict[str, th.Tensor]) -> list[th.Tensor]:
    with th.no_grad():
        return [*each["actor"](seen, available_clients(seen)), each["critic"](seen)]


@settings(max_examples=40)
@given(
    clients=st.sets(st.sampled_from(CLIENTS[1:]), min_size=1),  # a row of zeros would be nobody
    server=st.sets(st.sampled_from(SERVER), min_size=1),
    shuffled=st.permutations(CLIENTS[1:]),
    pooling=st.sampled_from(["mean-max", "attention"]),
    seed=st.integers(0, 1000),
)
def test_a_widened_policy_says_what_the_narrow_one_said(clients, server, shuffled, pooling, seed):
    # The first column says who is available, in every policy.
    known = {"clients": ["available", *sorted(clients)], "server": sorted(server)}
    wanted = {"clients": ["available", *shuffled], "server": list(SERVER)}
    narrow, wide = (networks(len(c["clients"]), len(c["server"]), pooling) for c in (known, wanted))
    wide.load_state_dict(widened(narrow.state_dict(), known, wanted))
    seen = observation(np.random.default_rng(seed))
    picked = only(seen, wanted, known)
    for ours, theirs in zip(says(wide, seen), says(narrow, picked), strict=True):
        th.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("known", "wanted"),
    [
        ({"clients": ["available", "odd"], "server": ["x"]}, {"clients": CLIENTS, "server": SERVER}),
        ({"clients": ["available"], "server": ["x"]}, {"clients": CLIENTS, "server": SERVER}),
        ({"clients": CLIENTS, "server": SERVER}, {"clients": CLIENTS, "server": SERVER}),
    ],
    ids=["a feature that is gone", "it sees more than that", "the same"],
)
def test_what_cannot_or_need_not_be_widened_stays_as_it_is(known, wanted):
    weights: StateDict = networks(4, 3, "mean-max").state_dict()
    found = widened(weights, known, wanted)
    assert all(th.equal(found[name], weights[name]) for name in weights)


@pytest.mark.parametrize("name", ["volunteers-ppo", "frugal-ppo"])
def test_training_begins_with_a_shipped_scheduler_that_saw_fewer_features(name, tmp_path):
    from frugalfl.agents.commands.train import Arguments
    from frugalfl.agents.experiment.main_job import Experiment

    scheduler = frugalfl.load_scheduler(name)
    arguments = Arguments(num_envs=2, env=f"frugalfl/{ENVS[name]}", warm_start=name)
    experiment = Experiment(arguments.settings(), tmp_path / "next", rivals=["none"])
    model = experiment.run.model
    experiment.warm_start(model)
    assert features_of(load_scenario("volunteers"))["clients"][-1] == "samples_rank"
    seen = {key: th.as_tensor(rows) for key, rows in experiment.env.reset().items()}
    columns = find_card(name)[1].features
    picked = only(seen, features_of(experiment.scenario), columns)
    with th.no_grad():
        ours, theirs = model.policy.logits(seen), scheduler.policy.logits(picked)
    th.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


ENVS = {"volunteers-ppo": "Volunteers-v0", "frugal-ppo": "Mixture-v0"}
