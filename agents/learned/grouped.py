"""A set policy on many more clients than in its training: it decides group by group.

A policy that has learned to invite a share of 24 clients would invite ten times as many of 240, and pay ten
times the price. So the clients are dealt into groups as large as the training world, the policy looks at
each group by itself, and as many clients are invited as it would invite in one group: those it is surest of
in all of them.
"""

from __future__ import annotations

import torch as th

from ..policies.client_set import Observation, available_clients
from ..policies.set_policy import SetPolicyMixin


def group_count(clients: int, trained_clients: int | None) -> int:
    """Into how many groups so many clients are dealt; 1 below half as many again as in training."""
    if trained_clients is None or clients < 1.5 * trained_clients:
        return 1
    return round(clients / trained_clients)


def decide_in_groups(policy: SetPolicyMixin, observation: Observation, groups: int) -> th.Tensor:
    """Actions int64 `[E, D]` of a set policy that looks at one group of clients at a time.

    Client k is in group k modulo `groups`, which mixes zones as they are dealt. Where the numbers do not
    divide, the last places of some groups are taken by clients of the first, whose second answer is ignored.

    Args:
        policy: the policy; its own number of clients is that of the observation.
        observation: tensors `clients [E, N, F]`, `server [E, G]`, `zones [E, Z, H]`.
        groups: how many, at most N.
    """
    e, n = observation["clients"].shape[:2]
    size = -(-n // groups)
    # Place p of group g holds client p * groups + g.
    members = (th.arange(size)[None, :] * groups + th.arange(groups)[:, None]) % n
    parts = {
        "clients": observation["clients"][:, members].flatten(0, 1),
        "server": observation["server"].repeat_interleave(groups, dim=0),
        "zones": observation["zones"].repeat_interleave(groups, dim=0),
    }
    clients = available_clients(parts)
    server, steps, transfer = policy.packed(parts, clients).log_probs

    def per_client(log_probs: th.Tensor) -> th.Tensor:
        dense = clients.unpack(log_probs).reshape(e, groups, size, -1).transpose(1, 2)
        return dense.flatten(1, 2)[:, :n]

    somebody = (clients.count > 0).reshape(e, groups)
    # Where nobody is available at all, every group has its say on how long to wait.
    speaks = (somebody | ~somebody.any(dim=1, keepdim=True)).float()[..., None]
    available = per_client(th.ones_like(steps[:, :1]))[..., 0] > 0
    levels = per_client(steps)
    chance = th.where(available, 1.0 - levels[..., 0].exp(), 0.0)
    per_group = chance.sum(dim=1) / somebody.sum(dim=1).clamp_min(1)
    rank = (-chance).argsort(dim=1, stable=True).argsort(dim=1, stable=True)
    chosen = available & (rank < per_group.round().clamp_min(1.0)[:, None])
    votes = [(head.exp().reshape(e, groups, -1) * speaks).sum(dim=1) for head in server]
    columns = [
        *(vote.argmax(dim=1, keepdim=True) for vote in votes),
        th.where(chosen, 1 + levels[..., 1:].argmax(dim=2), 0),
    ]
    if transfer is not None:
        columns.append(th.where(available, per_client(transfer).argmax(dim=2), 0))
    return th.cat(columns, dim=1)
