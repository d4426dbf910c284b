"""Kernels: compiled where numba works, plain Python with a warning where it does not."""

import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from frugalfl.common import compiled
from frugalfl.common.compiled import Kernel, SlowKernel, as_python, inner, kernel


@inner(inline="always")
def doubled(x):
    return x * np.uint64(2)


@inner
def twice_doubled(x):
    return doubled(doubled(x))


@kernel(cache=False)
def total(values):
    """The sum of everything, four times."""
    found = np.uint64(0)
    for value in values:
        found += twice_doubled(np.uint64(value))
    return found


@kernel(cache=False)
def not_for_numba(values):
    return {"sum": values.sum(), 3: [object()]}["sum"]  # mixed types: numba has no such dictionary


def test_a_kernel_and_its_python_agree_inner_kernels_included():
    values = np.array([1, 2**63, 7], dtype=np.uint64)
    assert total(values) == total.python(values) == np.uint64(32)
    assert total.__doc__ == "The sum of everything, four times."


def test_what_numba_cannot_compile_runs_as_python_and_says_so_once():
    values = np.arange(4.0)
    with pytest.warns(SlowKernel, match="not_for_numba runs as plain Python"):
        assert not_for_numba(values) == 6.0
    assert not_for_numba(values) == 6.0  # warnings are errors here


def test_errors_of_a_kernel_that_works_are_its_own():
    assert isinstance(total, Kernel)
    with pytest.raises(TypeError):
        total(np.arange(3), np.arange(3))


def test_without_numba_every_kernel_is_python(monkeypatch):
    monkeypatch.setenv(compiled.VARIABLE, "0")
    plain = kernel(as_python(lambda values: values.sum()))
    assert not isinstance(plain, Kernel) and plain(np.arange(4)) == 6


@pytest.mark.slow
def test_a_world_plays_the_same_without_compiled_kernels():
    code = (
        "import gymnasium as gym, frugalfl, numpy as np\n"
        "env = gym.make('frugalfl/Volunteers-v0', clients=8, max_rounds=3).unwrapped\n"
        "obs, _ = env.reset(seed=3)\n"
        "rng = np.random.default_rng(0)\n"
        "for _ in range(3):\n"
        "    action = np.array([0, 2, *rng.integers(0, 3, 8), *np.zeros(8, int)])\n"
        "    obs, reward, *_ = env.step(action)\n"
        "    print(repr(float(reward)), *(repr(float(np.sum(v))) for v in obs.values()))\n"
    )
    said = {}
    for switch in ("1", "0"):
        run = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            env={**os.environ, compiled.VARIABLE: switch},
            check=True,
        )
        said[switch] = np.array([[float(word) for word in line.split()] for line in run.stdout.splitlines()])
    np.testing.assert_allclose(said["0"], said["1"], rtol=1e-5, atol=1e-6)


class TestFirstContact:
    """Whoever waits before a terminal for the first compilation is told why, once."""

    def told(self, monkeypatch, capsys, kept, tty=True):
        monkeypatch.setattr(compiled, "_told", False)
        monkeypatch.setattr(compiled.sys.stderr, "isatty", lambda: tty, raising=False)

        def one():
            return 1

        folder = SimpleNamespace(cache_path=str(kept))
        fake = SimpleNamespace(py_func=one, stats=folder)
        for _ in range(2):
            compiled._tell_of_compiling(fake)
        return capsys.readouterr().err, one.__code__

    def test_cold(self, monkeypatch, capsys, tmp_path):
        told, _ = self.told(monkeypatch, capsys, tmp_path)
        assert told.count("\n") == 1 and told.startswith("frugalfl: compiling, once per installation")

    def test_into_a_file_nothing_is_said(self, monkeypatch, capsys, tmp_path):
        assert self.told(monkeypatch, capsys, tmp_path, tty=False)[0] == ""

    def test_warm(self, monkeypatch, capsys, tmp_path):
        _, code = self.told(monkeypatch, capsys, tmp_path)
        (tmp_path / f"here.{code.co_name}-{code.co_firstlineno}.py311.nbi").touch()
        assert self.told(monkeypatch, capsys, tmp_path)[0] == ""
