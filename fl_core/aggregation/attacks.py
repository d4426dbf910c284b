"""Clients that lie: what they send instead of their updates.

Liars who act together know all that they could know at best: the honest updates of the same round.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from pydantic import Field
from scipy.stats import norm

from ...common.arrays import AnyArray, Bools, Floats, Ints
from ...common.registry import Registry
from ...common.settings import Settings
from .base import DType, State


class Attack(ABC):
    """What liars do, in E environments of N clients each.

    Attributes:
        name: the name it is known by.
        flips_labels: whether liars train on labels turned round, C - 1 - y, and so need no other lie.
    """

    name = ""
    flips_labels = False

    def __init__(self) -> None:
        self.memory: State = {}

    def bind(self, num_envs: int, num_clients: int, num_parameters: int, dtype: DType) -> None:
        """Allocate `memory`, arrays with one row per environment; called once by the core."""
        self.memory = {"liars": np.zeros((num_envs, num_clients), dtype=np.bool_)}

    def reset(self, env: int, liars: Bools) -> None:
        """Begin an episode in which these clients `[N]` lie."""
        for table in self.memory.values():
            table[env] = 0
        self.memory["liars"][env] = liars

    @abstractmethod
    def lies(self, env: int, honest: Floats, own: Floats) -> Floats:
        """What the liars send instead of `own [L, P]`, in a round with the updates `honest [H, P]`."""

    def send(self, env: Ints, client: Ints, delta: AnyArray) -> tuple[AnyArray, Bools]:
        """The updates `[J, P]` as they are sent, and `[J]`, which of them are lies."""
        lying: Bools = self.memory["liars"][env, client]
        sent = delta.copy()
        for e in np.unique(env[lying]).tolist():
            own, honest = (env == e) & lying, (env == e) & ~lying
            each = (delta[honest].astype(np.float64), delta[own].astype(np.float64))
            sent[own] = self.lies(e, *each)
        return sent, lying


class Collusion(Attack):
    """All liars of a round send the same, made of the honest updates; without these, what they trained."""

    @abstractmethod
    def agreed(self, env: int, honest: Floats, liars: int) -> Floats:
        """`[P]`, what so many liars send in a round with the updates `honest [H, P]`."""

    def lies(self, env: int, honest: Floats, own: Floats) -> Floats:
        """See `Attack.lies`."""
        return np.repeat(self.agreed(env, honest, len(own))[None], len(own), axis=0) if len(honest) else own


ATTACKS: Registry[Attack] = Registry("attack", Attack)
"""Attacks by name."""


@ATTACKS.register("sign-flip")
class SignFlip(Attack):
    """Each liar sends its own update with the sign turned, `-delta`."""

    name = "sign-flip"

    def lies(self, env: int, honest: Floats, own: Floats) -> Floats:
        """See `Attack.lies`."""
        return -own


@ATTACKS.register("scale")
class Scale(Attack):
    """Each liar sends `factor` times its own update: a bug, an overflow, or a model to be replaced."""

    name = "scale"

    class Options(Settings):
        """Settings of the attack, see the class."""

        factor: float = 10.0

    def __init__(self, factor: float = 10.0) -> None:
        super().__init__()
        self._factor = factor

    def lies(self, env: int, honest: Floats, own: Floats) -> Floats:
        """See `Attack.lies`."""
        return self._factor * own


@ATTACKS.register("label-flip")
class LabelFlip(Attack):
    """Liars train on labels turned round, C - 1 - y, and report the loss on these; the rest is honest."""

    name = "label-flip"
    flips_labels = True

    def lies(self, env: int, honest: Floats, own: Floats) -> Floats:
        """See `Attack.lies`."""
        return own


@ATTACKS.register("alie")
class ALittleIsEnough(Collusion):
    """All send the honest mean less z standard deviations of each parameter (Baruch et al., NeurIPS 2019).

    By default z is the paper's for n updates of which m are lies: the largest at which the liars, together
    with the honest ones that happen to be further out, are a majority,
    `Phi^-1((n - m - s) / (n - m))` with `s = floor(n / 2 + 1) - m`.

    Args:
        z: standard deviations; None = by the formula.
    """

    name = "alie"

    class Options(Settings):
        """Settings of the attack, see the class."""

        z: float | None = None

    def __init__(self, z: float | None = None) -> None:
        super().__init__()
        self._z = z

    def agreed(self, env: int, honest: Floats, liars: int) -> Floats:
        """See `Collusion.agreed`."""
        z = alie_z(len(honest) + liars, liars) if self._z is None else self._z
        return np.asarray(honest.mean(axis=0) - z * honest.std(axis=0))


@ATTACKS.register("ipm")
class InnerProduct(Collusion):
    """All send `-epsilon` times the honest mean (inner product manipulation, Xie et al., UAI 2019).

    Args:
        epsilon: below 1 the lie hides among the honest updates, above it is strong and easily seen.
    """

    name = "ipm"

    class Options(Settings):
        """Settings of the attack, see the class."""

        epsilon: float = Field(default=0.5, gt=0)

    def __init__(self, epsilon: float = 0.5) -> None:
        super().__init__()
        self._epsilon = epsilon

    def agreed(self, env: int, honest: Floats, liars: int) -> Floats:
        """See `Collusion.agreed`."""
        return np.asarray(-self._epsilon * honest.mean(axis=0))


@ATTACKS.register("mimic")
class Mimic(Collusion):
    """All send a copy of one honest update, whose data then count for many (Karimireddy et al. 2022).

    "Byzantine-Robust Learning on Heterogeneous Datasets via Bucketing", ICLR 2022: nothing in it looks like a
    lie. Copied is whoever lies furthest along the direction in which the honest updates differ most, which is
    learned from round to round by Oja's rule.
    """

    name = "mimic"

    def bind(self, num_envs: int, num_clients: int, num_parameters: int, dtype: DType) -> None:
        """See `Attack.bind`."""
        super().bind(num_envs, num_clients, num_parameters, dtype)
        self.memory["direction"] = np.zeros((num_envs, num_parameters))
        self.memory["round"] = np.zeros(num_envs, dtype=np.int64)

    def agreed(self, env: int, honest: Floats, liars: int) -> Floats:
        """See `Collusion.agreed`."""
        direction, rounds = self.memory["direction"], self.memory["round"]
        apart = honest - honest.mean(axis=0)
        before = direction[env] if rounds[env] else apart[np.square(apart).sum(axis=1).argmax()]
        now = apart.T @ (apart @ before)
        share = 1.0 / (1.0 + rounds[env])
        direction[env] = _unit((1 - share) * _unit(before) + share * _unit(now))
        rounds[env] += 1
        return np.asarray(honest[(apart @ direction[env]).argmax()])


def alie_z(updates: int, lies: int) -> float:
    """The paper's number of standard deviations; 0 where liars need no cover, being half of all."""
    honest = updates - lies
    needed = updates // 2 + 1 - lies
    return float(norm.ppf(np.clip((honest - needed) / honest, 0.5, 1 - 1e-9)))


def _unit(vector: Floats) -> Floats:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-30))
