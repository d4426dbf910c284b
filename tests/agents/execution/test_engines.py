"""Every piece of work lands, whatever becomes of the others."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from frugalfl.agents.execution import Landed, make_engine


def square(number):
    return number * number


def fail(number):
    raise RuntimeError(f"no {number}\nand a second line")


def fail_once(marker):
    if not Path(marker).exists():
        Path(marker).touch()
        raise RuntimeError("the first time")
    return "the second time"


def die(number):
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(marker):
    if not Path(marker).exists():
        Path(marker).touch()
        os._exit(7)
    return "alive"


def process():
    return os.getpid()


def threads():
    import numba

    return os.environ["OMP_NUM_THREADS"], numba.get_num_threads()


@pytest.fixture
def engine():
    with make_engine("local", jobs=2) as started:
        yield started


def landed(engine, function, work):
    return {each.key: each for each in engine.run(function, work)}


def call(function, *arguments):
    return function(*arguments)


class TestLocal:
    def test_results_come_back_under_their_keys(self, engine):
        found = landed(engine, square, {str(number): (number,) for number in range(7)})
        assert {key: each.value for key, each in found.items()} == {str(n): n * n for n in range(7)}

    def test_one_crash_costs_the_others_nothing(self, engine):
        work = {"a": (square, 2), "b": (fail, 3), "c": (die, 4), "d": (square, 5)}
        found = landed(engine, call, work)
        assert found["a"] == Landed("a", 4)
        assert found["d"] == Landed("d", 25)
        assert found["b"].failure == "RuntimeError: no 3 and a second line"
        assert "SIGKILL" in found["c"].failure

    def test_a_second_attempt_is_made(self, engine, tmp_path):
        work = {"error": (fail_once, str(tmp_path / "a")), "death": (die_once, str(tmp_path / "b"))}
        found = landed(engine, call, work)
        assert found["error"] == Landed("error", "the second time")
        assert found["death"] == Landed("death", "alive")

    def test_processes_are_kept_and_ended(self):
        with make_engine("local", jobs=1) as engine:
            first = landed(engine, process, {"a": ()})["a"].value
            assert landed(engine, process, {"b": ()})["b"].value == first != os.getpid()
        with pytest.raises(ProcessLookupError):
            os.kill(first, 0)

    def test_leaving_early_leaves_no_answers_for_the_next(self, engine):
        for _ in engine.run(square, {str(number): (number,) for number in range(6)}):
            break
        assert landed(engine, square, {"x": (9,)}) == {"x": Landed("x", 81)}

    def test_workers_have_one_thread_each(self, engine):
        assert landed(engine, threads, {"a": ()})["a"].value == ("1", 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "slurm"}, "engine: 'slurm' is unknown; known: local, ray"),
        ({"jobs": 0}, "jobs: 0"),
        ({"address": "127.0.0.1:6379"}, "without --engine ray"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_engine(**arguments)


def test_a_missing_ray_is_told_with_the_cure(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'frugalfl\[ray\]'"):
        make_engine("ray")


def test_an_engine_may_end_while_a_run_of_it_is_half_read():
    with make_engine("local", jobs=2) as engine:
        run = engine.run(square, {str(number): (number,) for number in range(6)})
        assert next(run).failure is None
    run.close()  # what an exception between two answers does, some time later
