"""Battery for attacks of malicious clients."""

from __future__ import annotations

import copy

import numpy as np

from ...common.arrays import AnyArray, Bools, Ints
from ...common.settings import Spec
from ..aggregation import ATTACKS, Attack
from .expect import check_array, described, expect, same

_N, _SIZE, _ROUNDS = 8, 6, 3
_LIARS = np.array([[1, 0, 0, 1, 0, 0, 0, 0], [0, 1, 1, 0, 0, 0, 0, 1], [1, 0, 0, 0, 0, 0, 0, 1]], dtype=bool)


def check_attack(spec: Spec | Attack) -> None:
    """Check an attack.

    Honest updates travel as they are, and lies are named as such; lies are finite, of the updates' shape and
    precision, and something else than what was trained, unless it is labels that are turned round;
    environments are independent bit for bit; the order of clients does not matter; a snapshot goes on
    exactly; a reset forgets; what it is given is left unchanged.

    Raises:
        AssertionError: one line.
    """
    what = f"attack {described(spec)}"
    expect(bool(ATTACKS.make(copy.deepcopy(spec)).name), f"{what}: name: empty, expected one")
    for dtype in (np.float32, np.float64):
        _check_what_is_sent(spec, what, np.dtype(dtype))
    _check_extremes(spec, what)
    _check_memory(spec, what)


def _check_what_is_sent(spec: Spec | Attack, what: str, dtype: np.dtype[np.generic]) -> None:
    """Rounds in a batch, beside its last environment alone and the same batch in another order."""
    batch, alone, turned = _attack(spec, dtype), _attack(spec, dtype, _LIARS[2:]), _attack(spec, dtype)
    lied = False
    for index in range(_ROUNDS):
        env, client, delta = _round(index, dtype)
        kept = delta.copy()
        sent, lies = batch.send(env, client, delta)
        expect(same(delta, kept), f"{what}: changed the updates that it was given, expected a copy")
        check_array(sent, delta, f"{what}: what is sent")
        expect(
            same(np.asarray(lies), _LIARS[env, client]),
            f"{what}: lies: not those of the liars, expected true where a liar sends",
        )
        expect(same(sent[~lies], delta[~lies]), f"{what}: changed an honest update, expected it as it was")
        last = env == 2
        expect(
            same(alone.send(0 * env[last], client[last], delta[last])[0], sent[last]),
            f"{what}: environment 2 of a batch: other lies than alone, expected the same bits",
        )
        back = np.arange(env.size)[::-1]
        order = back[np.argsort(env[back], kind="stable")]
        other = turned.send(env[order], client[order], delta[order])[0]
        tolerance = 1e-3 if dtype == np.float32 else 1e-8
        expect(
            bool(np.allclose(other, sent[order], rtol=tolerance, atol=tolerance)),
            f"{what}: lies: depend on the order of the clients, expected the same",
        )
        lied = lied or not same(sent[lies], delta[lies])
    expect(
        lied or batch.flips_labels,
        f"{what}: sends what was trained, expected something else; an attack on labels says `flips_labels`",
    )


def _check_extremes(spec: Spec | Attack, what: str) -> None:
    """Rounds of nobody, of liars only, and without a liar."""
    dtype = np.dtype(np.float64)
    env, client, delta = _round(0, dtype)
    nobody = _attack(spec, dtype).send(env[:0], client[:0], delta[:0])
    expect(
        nobody[0].shape == (0, _SIZE) and nobody[1].shape == (0,), f"{what}: fails in a round without updates"
    )
    only = _LIARS[env, client]
    sent, _ = _attack(spec, dtype).send(env[only], client[only], delta[only])
    check_array(sent, delta[only], f"{what}: what liars send who are among themselves")
    sent, lies = _attack(spec, dtype, np.zeros_like(_LIARS)).send(env, client, delta)
    expect(
        same(sent, delta) and not lies.any(), f"{what}: lies without a liar, expected every update as it was"
    )


def _check_memory(spec: Spec | Attack, what: str) -> None:
    """What it remembers goes into snapshots and is gone after a reset."""
    dtype = np.dtype(np.float64)
    used, restored, fresh = _attack(spec, dtype), _attack(spec, dtype), _attack(spec, dtype)
    for index in range(_ROUNDS):
        used.send(*_round(index, dtype))
    for name, table in used.memory.items():
        restored.memory[name][...] = table
    jobs = _round(_ROUNDS, dtype)
    expect(
        same(restored.send(*jobs)[0], used.send(*jobs)[0]),
        f"{what}: after a snapshot: other lies, expected the same: what it remembers goes into `memory`",
    )
    for e, liars in enumerate(_LIARS):
        used.reset(e, liars)
    expect(
        same(used.send(*jobs)[0], fresh.send(*jobs)[0]), f"{what}: after a reset: expected nothing remembered"
    )


def _attack(spec: Spec | Attack, dtype: np.dtype[np.generic], liars: Bools = _LIARS) -> Attack:
    made = ATTACKS.make(copy.deepcopy(spec))
    made.bind(len(liars), _N, _SIZE, dtype)
    for e, each in enumerate(liars):
        made.reset(e, each)
    return made


def _round(index: int, dtype: np.dtype[np.generic]) -> tuple[Ints, Ints, AnyArray]:
    """Environment, client and update of each job: all but one client of each environment."""
    rng = np.random.default_rng(index)
    env, client = (part.ravel() for part in np.indices((len(_LIARS), _N)))
    here = client != 2 + index % 5
    return env[here], client[here], rng.normal(size=(int(here.sum()), _SIZE)).astype(dtype)
