"""Where numba does not work worlds are slower but the same: kernels give the numbers of plain Python."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from frugalfl.envs.agent_view import CLIENT_FEATURES, SERVER_FEATURES, AgentView

KERNELS = {
    "best_ahead": "agent_view.encoder",
    "client_ratios": "agent_view.encoder",
    "client_table": "agent_view.encoder",
    "server_table": "agent_view.encoder",
    "zone_table": "agent_view.encoder",
    "look_up": "agent_view.actions",
    "timelines": "round.timeline",
    "child_words": "episode.streams",
    "_chances": "contract.staying",
    "cut": "streaming.serving",
    "book": "streaming.serving",
    "made_known": "streaming.serving",
}
"""Every kernel of envs, and where it is called."""

CHANGES = {"hub": {"share": 0.5, "rows_per_client": 40}, "levels": {"transfer_samples": [0, 10]}}


def copied(value):
    if isinstance(value, tuple):
        parts = [copied(part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return value.copy() if isinstance(value, np.ndarray) else value


def arrays(value):
    if isinstance(value, tuple):
        return [array for part in value for array in arrays(part)]
    return [np.asarray(value)]


@pytest.mark.parametrize("name", KERNELS)
def test_the_python_of_a_kernel_gives_the_compiled_numbers(name, monkeypatch):
    module = importlib.import_module(f"frugalfl.envs.{KERNELS[name]}")
    kernel, calls = getattr(module, name), []

    def compared(*args):
        given = copied(args)
        compiled, python = kernel(*args), kernel.python(*given)
        results = (compiled, python) if compiled is not None else (args, given)  # or what it has filled
        for one, other in zip(*map(arrays, results), strict=True):
            assert one.shape == other.shape and one.dtype == other.dtype
            assert np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
        calls.append(args)
        return compiled

    monkeypatch.setattr(module, name, compared)
    serving = KERNELS[name].startswith("streaming")
    view = AgentView("streams", 2) if serving else AgentView("volunteers", 2, **CHANGES)
    rng = np.random.default_rng(3)
    view.reset(np.ones(2, dtype=bool), np.array([5, 6]))
    for _ in range(4):
        assert view.observe()
        view.act(rng.integers(0, view.codec.layout.nvec, (2, view.codec.layout.nvec.size)))
    assert calls


def test_the_constants_of_columns_are_those_of_the_tables():
    for part, features in (("client", CLIENT_FEATURES), ("server", SERVER_FEATURES)):
        kernels = importlib.import_module(f"frugalfl.envs.agent_view.{part}_kernels")
        names = [
            f"SERVER_{name.upper()}" if part == "server" and name in CLIENT_FEATURES else name.upper()
            for name in features
        ]
        assert [getattr(kernels, name) for name in names] == list(range(len(features)))
        assert len(features) == getattr(kernels, f"{part.upper()}_COLUMNS")
