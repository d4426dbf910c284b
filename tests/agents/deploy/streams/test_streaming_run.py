"""A federation that serves while it trains is driven by any scheduler, watched, stopped, and gone on with."""

import csv

import numpy as np
import pytest

from frugalfl.agents.deploy import DeploySettings
from frugalfl.agents.deploy.run import Coordinator, load_round
from frugalfl.agents.schedulers import SCHEDULERS, make_scheduler

SEERS = [name for name in SCHEDULERS if make_scheduler(name).clairvoyant]
FEW = ("periodic", "page-hinkley", "age-index", "cs-ucb-q", "linear-rule", "never")


@pytest.fixture
def start(stream_of, asked_transport, tmp_path):
    """Starts, or goes on with, a federation of four nodes in a folder."""

    def build(name="run", scheduler="periodic", resume=False, settings=None, **changes):
        scenario = stream_of(**changes)
        asked = DeploySettings(
            scenario=scenario.model_dump(),
            scheduler=scheduler,
            scheduler_settings=settings or {},
            out=str(tmp_path / name),
            resume=resume,
            min_nodes=4,
            poll_s=0.05,
            seed=3,
        )
        transport = asked_transport(scenario, 3)
        for client in range(4):
            transport.join(client)
        coordinator = Coordinator(asked, transport, clock=None if resume else transport.clock())
        clock = coordinator.world.clock
        if resume:  # a clock that begins where the run was stopped, but goes by the test's time
            clock._wall, clock._sleep = transport.time, transport.time.sleep
            clock._zero_s = transport.time() - float(coordinator.world.books._closed_s)
        coordinator.world.runner._wall = transport.time
        return coordinator

    return build


def rows_of(folder):
    with (folder / "rounds.csv").open(encoding="utf-8") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in FEW else pytest.mark.slow)
        for name in (*SCHEDULERS, "frugal-ppo")
        if name not in SEERS
    ],
)
def test_every_scheduler_drives_nodes_that_are_asked_things(start, name):
    coordinator = start(name, scheduler=name)
    coordinator.run(5)
    assert coordinator.decisions >= 1
    assert np.isfinite(coordinator.world.parameters()).all()


def test_nobody_is_told_when_a_real_stream_drifts(start):
    with pytest.raises(ValueError, match="future"):
        start(scheduler="drift-oracle")


def test_the_table_and_the_page_tell_what_was_answered(start, tmp_path):
    coordinator = start()
    summary = coordinator.run()
    rows = rows_of(tmp_path / "run")
    for row in rows:
        assert row["came"] == row["answered"] + row["unanswered"] + row["waiting"]
        assert 0 <= row["right"] <= row["answered"]
    books = coordinator.world.books
    assert rows[-1]["answered"] == books.answered.sum() > 0 and rows[-1]["waiting"] == 0
    assert rows[-1]["right"] == books.right.sum()
    assert summary.test_accuracy == books.right.sum() / books.answered.sum()
    page = (tmp_path / "run" / "dashboard.txt").read_text(encoding="utf-8")
    (line,) = (each for each in page.splitlines() if each.startswith("requests"))
    assert f"right {books.right.sum()}  unanswered 0  waiting 0" in line


def test_what_was_known_of_requests_is_kept_with_every_decision(start, tmp_path):
    coordinator = start()
    coordinator.run(4)
    situation, _, outcome = load_round(tmp_path / "run", 3)
    assert situation.stream is not None and situation.stream.ask is None
    assert situation.stream.requests.sum() == rows_of(tmp_path / "run")[2]["answered"]
    assert outcome.served is not None and outcome.served.labels.shape == (1, 4)


def test_a_run_that_is_resumed_goes_on_with_its_sums(start, tmp_path):
    first = start()
    first.run(5)
    before, sums = first.world.books, first.world.ledger.net_points.copy()
    second = start(resume=True)
    books = second.world.books
    for name in ("answered", "right", "lost", "settled"):
        assert np.array_equal(getattr(books, name), getattr(before, name))
    assert np.array_equal(books.known.fast, before.known.fast)
    assert second.world.held.sum() == 0, "what nodes remember is gone with the run"
    waited = books.waiting(second.world.clock.now())
    assert waited.sum() > 0
    second.run()
    assert not second.world.running and second.world.ledger.net_points[0] > sums[0]
    assert np.array_equal(books.lost, waited), "what the stopped run's nodes had not told"
    came = books.came(np.inf)
    assert np.array_equal(came, books.answered + books.lost)
    rows = rows_of(tmp_path / "run")
    assert [row["answered"] for row in rows] == sorted(row["answered"] for row in rows)
    assert rows[-1]["right"] == books.right.sum() > before.right.sum()
