"""Who decides live is who decides in an evaluation: the same names, settings, weights and refusals."""

import logging
import shutil

import numpy as np
import pytest

from frugalfl.agents.commands import deploy as command
from frugalfl.agents.deploy.run import ServingCoordinator, load_step, named_policy
from frugalfl.agents.players import make_player
from frugalfl.agents.schedulers import make_tuned_policy
from frugalfl.agents.schedulers.serving import POLICY_PARTS, make_policy
from frugalfl.agents.zoo import find_card
from frugalfl.common.registry import NO_CODE
from frugalfl.envs.serving import load_serving

OWN = """
from frugalfl.agents.schedulers.serving import Threshold
import numpy as np

class Halves(Threshold):
    def thresholds(self, situation):
        return np.full((situation.num_envs, situation.num_tasks), 0.5)
"""


@pytest.fixture(scope="module")
def home():
    """Four desktops in the zones of the packaged world, and of its name: what was tuned for it counts."""
    return load_serving(
        "serving",
        machines=[{"hardware": "cpu", "machines": 4, "devices": {"kind": "volunteers", "gpu": 0}}],
        arrivals={"kind": "poisson", "per_hour": 60, "profile": "flat", "burst": 0, "zipf": 1.2},
        models={"steps": 60, "copies": 1},
        hours=1.0,
        deadline_h=0.5,
    )


@pytest.fixture
def start(nodes, settings, home):
    """Begins a run of some steps, or goes on with it."""
    for client in range(4):
        nodes.join(client)

    def begin(scheduler, **said):
        given = settings(home, **({"scheduler": scheduler, "steps": 4, "min_nodes": 4} | said))
        coordinator = ServingCoordinator(given, nodes, clock=nodes.clock())
        coordinator.world.courier.wall = nodes.time
        return coordinator

    return begin


def plans_in(coordinator):
    return [load_step(coordinator.out, number)[1] for number in range(coordinator.decisions)]


def test_a_tuned_policy_plays_its_tuned_settings(start):
    coordinator = start("ask-below")
    tuned, declared = make_tuned_policy("ask-below", "serving"), make_policy("ask-below")
    assert coordinator.scheduler.settings == tuned.settings != declared.settings
    coordinator.run()
    known = load_step(coordinator.out, 0)[0]
    for policy in (tuned, declared):
        policy.reset(np.ones(1, dtype=bool), np.array([0]), 4)
    asked = [policy.plan(known).threshold for policy in (tuned, declared)]
    assert all(np.array_equal(plan.threshold, asked[0]) for plan in plans_in(coordinator))


def test_settings_of_ones_own_go_before_tuned_ones(start):
    coordinator = start("ask-below", scheduler_settings={"level": 0.9})
    assert coordinator.scheduler.settings == make_tuned_policy("ask-below", "serving", level=0.9).settings


def test_a_world_of_another_name_has_the_declared_settings_as_in_an_evaluation(settings, home):
    other = load_serving(home, name="elsewhere")
    policy = named_policy(settings(other, scheduler="ask-below"))
    assert policy.settings == make_player("ask-below", other).settings == make_policy("ask-below").settings


@pytest.mark.parametrize("source", ["name", "folder"])
def test_a_learned_policy_plays(start, tmp_path, source):
    folder = tmp_path / "mine"
    shutil.copytree(find_card("serving-ppo")[0], folder)
    coordinator = start("serving-ppo" if source == "name" else str(folder))
    assert coordinator.scheduler.kind == "learned"
    summary = coordinator.run()
    assert summary.decisions == 4 and coordinator.world.book.open == 0
    assert any(plan.load.any() for plan in plans_in(coordinator)), "it loads models onto nodes"


@pytest.mark.parametrize("name", ["ask-below", "hi-lcb", "clover-mix", "serving-ppo"])
def test_a_resumed_run_has_the_policy_that_it_was_begun_with(start, nodes, name, caplog):
    first = start(name)
    first.run(2)
    for node in nodes.listed.values():
        node.held = {}
    with caplog.at_level(logging.WARNING, logger="frugalfl"):
        second = start(name, resume=True)
    assert second.decisions == 2 and not caplog.records, "shown the same it would decide the same"
    if hasattr(first.scheduler, "settings"):
        assert second.scheduler.settings == first.scheduler.settings
    assert second.run().decisions == 4


def test_a_resumed_run_says_where_its_policy_would_decide_otherwise(start, monkeypatch, caplog):
    start("ask-below").run(2)
    part = POLICY_PARTS["ask-below"]
    monkeypatch.setattr(part, "thresholds", lambda self, s: np.zeros((s.num_envs, s.num_tasks)))
    with caplog.at_level(logging.WARNING, logger="frugalfl"):
        start("ask-below", resume=True)
    assert "decision 0: ask-below would now decide otherwise" in caplog.text


def test_a_learned_policy_is_refused_in_a_world_that_is_not_its_own(settings, three):
    with pytest.raises(ValueError, match=r"serving-ppo: reads other tasks than 'three' has"):
        named_policy(settings(three, scheduler="serving-ppo"))
    with pytest.raises(ValueError, match=r"volunteers-ppo plays in worlds of training"):
        named_policy(settings(three, scheduler="volunteers-ppo"))


def test_unknown_names_and_settings_are_refused_as_in_an_evaluation(settings):
    with pytest.raises(ValueError, match="unknown in worlds of serving; did you mean 'hi-lcb'"):
        named_policy(settings(scheduler="hi-lcp"))
    with pytest.raises(ValueError, match="'odd' is no setting of it"):
        named_policy(settings(scheduler="lru", scheduler_settings={"odd": 1}))


def test_a_dotted_name_plays_and_no_code_refuses_it(start, settings, tmp_path, monkeypatch):
    (tmp_path / "halves_of_mine.py").write_text(OWN, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    source = "online-greedy+halves_of_mine:Halves"
    coordinator = start(source)
    coordinator.run(1)
    assert (plans_in(coordinator)[0].threshold == 0.5).all()
    monkeypatch.setenv(NO_CODE, "1")
    with pytest.raises(ValueError, match="'halves_of_mine:Halves' names code, which --no-code refuses"):
        named_policy(settings(scheduler=source))


def test_the_command_hands_on_the_folder_of_a_learned_policy(tmp_path, monkeypatch):
    shutil.copytree(find_card("serving-ppo")[0], tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    given = command.Options(serve=True, scheduler="mine", superlink="a:1", out=tmp_path / "out")
    assert command.settings_of(given).scheduler == str((tmp_path / "mine").resolve())
