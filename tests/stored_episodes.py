"""Episodes that were played once and stored: how they are played, written down and compared.

    python tests/stored_episodes.py            # plays them again and says what differs
    python tests/stored_episodes.py --write    # makes stored_episodes.json anew

A change that only moves code must leave every bit as it was. One that is meant to change what is played, such
as a new price or another draw, makes the file anew and says so. Everything goes through public doors
(`gym.make`, keywords of a scenario), so that modules may move freely; `world_of` is the one exception.

Bits are the same on one kind of machine only: compiled kernels, BLAS and the mathematical library use what
the processor has. The file says on which machine it was written; on any other, plain numbers are compared.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import llvmlite.binding
import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

import frugalfl  # noqa: F401  registers the environments

FILE = Path(__file__).with_suffix(".json")
SEEDS = (1, 2, 3)
DECISIONS = 8
WAITING_SHARE = 0.2

Row = dict[str, Any]
"""What is stored of one moment: digests, and plain numbers for other machines."""


class Case(NamedTuple):
    """An environment to play in: its id, keywords, and how many in a batch (None: a single one)."""

    env_id: str
    options: Mapping[str, Any] = {}
    batch: int | None = None


VOLUNTEERS = "frugalfl/Volunteers-v0"
PROBING_MENU = ({"scheduler": "pow-d", "participants": 4}, {"wait_s": 1800.0})

LANGUAGE = "frugalfl/Language-v0"
_FAMILY = {"kind": "markov", "symbols": 12, "order": 2, "context": 8, "clients": 0.0, "num_clients": 1}
FINE_TUNING = {
    "dataset": {**_FAMILY, "clients": 0.1, "num_clients": 16, "family": 0.3},
    "pretrained": {"steps": 200, "dataset": {**_FAMILY, "rows": 500}},
    "trainable": {"kind": "lora", "rank": 2, "whole": ["head"]},
}

CASES: dict[str, Case] = {
    "volunteers": Case(VOLUNTEERS),
    "phones": Case("frugalfl/Phones-v0"),
    "spotmarket": Case("frugalfl/SpotMarket-v0"),
    "outposts": Case("frugalfl/Outposts-v0"),
    "roaming": Case("frugalfl/Roaming-v0"),
    "quadratic": Case("frugalfl/Quadratic-v0"),
    "late-kept": Case(VOLUNTEERS, {"late": {"kind": "keep"}}),
    "8-bit": Case(VOLUNTEERS, {"compression": "8-bit"}),
    "top-k": Case(VOLUNTEERS, {"compression": {"kind": "top-k", "share": 0.1, "error_feedback": True}}),
    # Short steps: in a ring nobody finishes unless everybody does.
    "overlay": Case(VOLUNTEERS, {"topology": "ring", "workload": {"step_s": 20}}),
    "personal-knn": Case(VOLUNTEERS, {"evaluation": {"personal": "knn"}}),
    "personal-blocks": Case(VOLUNTEERS, {"evaluation": {"personal": "blocks"}}),
    "personal-mixture": Case(VOLUNTEERS, {"evaluation": {"personal": "mixture", "components": 2}}),
    # A scheduler that asks for losses before it trains; the action is whether it decides, or to wait.
    "probes": Case("frugalfl/Volunteers-discrete-v0", {"menu": PROBING_MENU}),
    "no-set-up": Case(VOLUNTEERS, {"workload": {"setup_bytes": 0.0}}),
    "streams": Case("frugalfl/Streams-v0"),
    "streams-staggered": Case(
        "frugalfl/Streams-v0",
        {
            "drift": {"kind": "staggered", "mean_h": 1.0},
            "memory": {"rule": "balanced", "rows": 8, "labelled": 0.7, "label_delay_s": 0.0},
        },
    ),
    # Episodes end within it and the next ones begin.
    "batch": Case(VOLUNTEERS, {"max_rounds": 5}, batch=3),
    "language": Case(LANGUAGE),
    "language-factors": Case(LANGUAGE, FINE_TUNING),
}


def stored_keys() -> list[tuple[str, int]]:
    """All episodes, as (case, seed); a batch plays its seeds side by side."""
    return [
        (name, seed) for name, case in CASES.items() for seed in (SEEDS if case.batch is None else SEEDS[:1])
    ]


def play(name: str, seed: int) -> list[Row]:
    """Play one episode: a row for its start, one for every decision, one for its final scores."""
    case = CASES[name]
    if case.batch is None:
        env: Any = gym.make(case.env_id, **case.options)
    else:
        kind = gym.VectorizeMode.VECTOR_ENTRY_POINT
        env = gym.make_vec(case.env_id, case.batch, kind, **case.options)
    space = env.action_space if case.batch is None else env.single_action_space
    rngs = [np.random.default_rng(seed + row) for row in range(case.batch or 1)]
    observation, _ = env.reset(seed=seed)
    rows = [_seen(env, observation)]
    for _ in range(DECISIONS):
        actions = [_draw(space, rng) for rng in rngs]
        observation, reward, terminated, truncated, info = env.step(
            actions[0] if case.batch is None else actions
        )
        terms = np.reshape(info["reward_terms"], (-1, 4)).mean(axis=0)
        rows.append(
            {"reward": np.asarray(reward).tolist(), "terms": _plain(terms), **_seen(env, observation)}
        )
        if case.batch is None and (terminated or truncated):
            break
    rows.append(_final(env))
    env.close()
    return rows


def world_of(env: Any) -> Any:
    """The world behind an environment, single or batched, for what no agent sees: parameters and scores."""
    return env.unwrapped.world


def digest(arrays: Mapping[str, ArrayLike]) -> str:
    """Sixteen hexadecimal digits of names, types, shapes and bytes, in the order of the names."""
    sha = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        sha.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()[:16]


def machine() -> dict[str, str]:
    """What decides about last digits: the processor, and the libraries that use it."""
    llvm = llvmlite.binding
    features = numba.config.CPU_FEATURES
    if features is None:
        features = ",".join(name for name, has in sorted(llvm.get_host_cpu_features().items()) if has)
    return {
        "cpu": numba.config.CPU_NAME or llvm.get_host_cpu_name(),
        "features": hashlib.sha256(features.encode()).hexdigest()[:8],
        "libc": " ".join(platform.libc_ver()),
        "python": ".".join(platform.python_version_tuple()[:2]),
        "numpy": np.__version__,
        "numba": numba.__version__,
    }


def differing_bits(stored: list[Row], played: list[Row]) -> list[str]:
    """Everything that is not equal to the last bit, in a line each; for machines of the stored kind."""
    return [
        f"row {index}, {name}: {before.get(name)} is now {now.get(name)}"
        for index, before, now in _pairs(stored, played)
        for name in {**before, **now}
        if before.get(name) != now.get(name)
    ]


CLOSELY = 4
"""Decisions whose plain numbers are compared; rounding errors of training grow with every round."""

NEAR: dict[str, tuple[ArrayLike, ArrayLike]] = {
    "terms": (1e-6, (0.6, 1e-6, 1e-6, 1e-6)),
    "means": (0.0, 5e-4),
    "norm": (1e-3, 1e-6),
}
"""Relative and absolute tolerance of the plain numbers; a validation row in doubt is 0.3 points."""

NEAR_AT_THE_END: dict[str, tuple[ArrayLike, ArrayLike]] = {
    "scores": (0.0, (0.02, 0.02, 0.02)),
    "spent": (1e-2, 1e-6),
}


def differing_numbers(stored: list[Row], played: list[Row]) -> list[str]:
    """Plain numbers beyond their tolerance, in a line each; for any machine."""
    found = []
    for index, before, now in _pairs(stored, played):
        if "scores" in before:
            near = NEAR_AT_THE_END
        elif index <= CLOSELY:
            near = NEAR
        else:
            continue
        for name in near.keys() & before.keys():
            relative, absolute = near[name]
            old, new = np.asarray(before[name]), np.asarray(now.get(name, np.nan))
            bound = np.asarray(absolute) + np.asarray(relative) * np.abs(old)
            if new.shape != old.shape or not (np.abs(new - old) <= bound).all():
                found.append(f"row {index}, {name}: {before[name]} is now {now.get(name)}")
    return found


def load() -> dict[str, Any]:
    """The stored file: `machine`, and `episodes` by `case/seed`."""
    document: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return document


def write() -> None:
    """Play everything and make the file anew, a row of an episode on a line."""
    episodes = []
    for name, seed in stored_keys():
        rows = ",\n".join(json.dumps(row) for row in play(name, seed))
        episodes.append(f'"{name}/{seed}": [\n{rows}]')
    text = f'{{"machine": {json.dumps(machine())},\n"episodes": {{\n' + ",\n".join(episodes) + "}}\n"
    FILE.write_text(text, encoding="utf-8")


def main() -> int:
    """Compare, or with `--write` make the file anew; 1 if something differs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help=f"make {FILE.name} anew")
    if parser.parse_args().write:
        write()
        print(f"{FILE}: {len(stored_keys())} episodes, {FILE.stat().st_size / 1000:.0f} kB")
        return 0
    document = load()
    exact = document["machine"] == machine()
    compare = differing_bits if exact else differing_numbers
    changed = 0
    for name, seed in stored_keys():
        found = compare(document["episodes"][f"{name}/{seed}"], play(name, seed))
        changed += bool(found)
        print(f"{name}/{seed}: {found[0] if found else 'as stored'}")
    print(f"compared {'to the last bit' if exact else 'by plain numbers: the file is from another machine'}")
    return int(changed > 0)


def _draw(space: gym.Space[Any], rng: np.random.Generator) -> Any:
    """A random order: a wait now and then, never the end of the run."""
    waits = rng.random() < WAITING_SHARE
    if isinstance(space, gym.spaces.Discrete):  # of the menu above, which ends with the wait
        return space.n - 1 if waits else rng.integers(space.n - 1)
    assert isinstance(space, gym.spaces.MultiDiscrete)
    action = rng.integers(space.nvec)
    action[0] = rng.integers(1, space.nvec[0] - 1) if waits else 0  # the last level is the end of the run
    return action


def _seen(env: Any, observation: Mapping[str, NDArray]) -> Row:
    """The observation and the model that belongs to it."""
    parameters = world_of(env).parameters()
    return {
        "observation": digest(observation),
        "parameters": digest({"parameters": parameters}),
        "means": _plain([np.mean(observation[name], dtype=np.float64) for name in sorted(observation)]),
        "norm": _plain(np.sqrt(np.square(parameters, dtype=np.float64).sum())),
    }


def _final(env: Any) -> Row:
    """Test scores, what the clients have of it, and everything that was charged."""
    world = world_of(env)
    accuracy, loss = world.test_scores()
    clients = world.client_scores()
    totals = world.totals()
    arrays = {"test accuracy": accuracy, "test loss": loss}
    arrays |= {f"clients' {field.name}": getattr(clients, field.name) for field in fields(clients)}
    arrays |= {f"total {name}": values for name, values in totals.items()}
    spent = ("hours", "gigabytes", "kilowatt_hours", "kilograms")
    return {
        "final": digest(arrays),
        "scores": _plain([accuracy.mean(), loss.mean(), clients.accuracy.mean()]),
        "spent": _plain([totals[name].mean() for name in spent]),
        "probes": int(totals["probes"].sum()),
    }


def _plain(values: ArrayLike) -> Any:
    """Numbers with eight digits, fit for reading."""
    array = np.asarray(values, dtype=np.float64)
    rounded = [float(f"{value:.8g}") for value in array.ravel()]
    return rounded if array.ndim else rounded[0]


def _pairs(stored: list[Row], played: list[Row]) -> Iterator[tuple[int, Row, Row]]:
    """Rows side by side; a missing row is an empty one."""
    for index in range(max(len(stored), len(played))):
        yield (
            index,
            stored[index] if index < len(stored) else {},
            played[index] if index < len(played) else {},
        )


if __name__ == "__main__":
    sys.exit(main())
