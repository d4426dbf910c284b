"""The border of a federation: what of a node's answer is true, what is unknown, what is its failure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np

from ....fl_core.remote import LocalUpdate, TrainOrder, check_update
from ..nodes import NodeProfile, read_profile
from ..transport import Reply

RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "watts": (
            0.0,
            2e4,
        ),  # the classes of devices have 3 to 400; a rack of accelerators has 10,000 and more
        "down_bytes_per_s": (100.0, 1e11),  # from a bad modem's to 800 Gbit/s
        "up_bytes_per_s": (100.0, 1e11),
        "step_s": (1e-7, 1e6),
        "answer_s": (1e-9, 1e6),
        "session_left_s": (0.0, 1e9),  # thirty years
        "loss": (0.0, 1e3),  # a cross-entropy; beyond it is cut
    }
)
"""What the numbers that a node says of itself may be; one that is not in its range is unknown."""

_CLOCKS_S = 1.0
_CLOCKS_SHARE = 0.01
"""By how much the clocks of node and coordinator may differ on the length of an order."""


@dataclass(frozen=True)
class Answer:
    """What of a node's answer to an order is taken for true.

    Attributes:
        update: the update; its loss is in its range, or not a number where it is unknown.
        compute_s: seconds of federation time it computed; None = unknown.
        length: of the update, in float64.
        profile: what the node says of itself, None if nothing; what was out of its range is left out.
        doubts: what was not believed, one line each.
    """

    update: LocalUpdate
    compute_s: float | None
    length: float
    profile: NodeProfile | None = None
    doubts: tuple[str, ...] = field(default=())


def read_answer(reply: Reply, order: TrainOrder, passed_s: float, scale: float) -> Answer:
    """Read an answer as that to an order.

    Args:
        reply: what came.
        order: what was asked.
        passed_s: seconds of federation time since the order was sent.
        scale: of federation time over a node's.

    Raises:
        ValueError: it does not fit the order: the node has failed.
    """
    if reply.update is None:
        raise ValueError(reply.error or "no update in its answer")
    length = check_update(reply.update, order)
    profile, doubts = (None, []) if not reply.profile else read_believable(reply.profile)
    loss, compute_s = float(reply.update.loss), float(reply.update.compute_s) * scale
    if math.isinf(loss) or loss < RANGES["loss"][0]:
        doubts.append(f"loss: {loss:g}, expected {_expected('loss')}; taken for unknown")
        loss = math.nan
    loss = min(loss, RANGES["loss"][1]) if loss == loss else loss
    believed_s: float | None = min(compute_s, passed_s)
    if not 0 <= compute_s <= passed_s * (1 + _CLOCKS_SHARE) + _CLOCKS_S * scale:
        doubts.append(
            f"compute_s: {compute_s:g}, expected 0 to the {passed_s:.1f} s since its order; taken for unknown"
        )
        believed_s = None
    return Answer(replace(reply.update, loss=loss), believed_s, length, profile, tuple(doubts))


def read_believable(record: Mapping[str, object]) -> tuple[NodeProfile, list[str]]:
    """A profile without the numbers that are out of their range, and what was left out, one line each.

    Raises:
        ValueError: it is no profile.
    """
    believed, doubts = dict(record), []
    for name, value in record.items():
        if name in RANGES and isinstance(value, int | float) and not isinstance(value, bool):
            low, high = RANGES[name]
            if not low <= value <= high:
                doubts.append(f"{name}: {value:g}, expected {_expected(name)}; taken for unknown")
                del believed[name]
    return read_profile(believed), doubts


def believable_step(step_s: float) -> bool:
    """Whether a step can take so long."""
    low, high = RANGES["step_s"]
    return bool(low <= step_s <= high)


def _expected(name: str) -> str:
    low, high = RANGES[name]
    return f"{low:g} to {high:g}"


class LengthBound:
    """Updates far longer than those before them are refused: a node's failure, not the model's end.

    An update is compared with the median of the latest ones that were accepted, and at the close of its round
    with that round's as well; lengths are divided by the root of the number of local steps. It stops a node
    that scales its update up, by mistake or not. It does not stop updates of an ordinary length that point
    the wrong way, nor a majority.

    Args:
        factor: how many medians long an update may be; 0 = any length.
    """

    MEMORY = 64
    KNOWN = 3
    """Lengths of which a median is taken; of fewer, none is out of line."""

    def __init__(self, factor: float) -> None:
        self.factor = factor
        self.lengths: list[float] = []

    def check(self, length: float) -> None:
        """Refuse, by ValueError, a length per root of a local step that is out of line."""
        limit = self._limit([])
        if length > limit:
            raise ValueError(
                f"delta: {length:.3g} long per root of a step, expected at most {limit:.3g}, "
                f"{self.factor:g} times the median"
            )

    def settle(self, lengths: dict[int, float]) -> list[int]:
        """At the close of a round, take its lengths by client; returns whose are out of line."""
        limit = self._limit(list(lengths.values()))
        outside = [client for client, length in lengths.items() if length > limit]
        inside = [length for length in lengths.values() if 0 < length <= limit]
        self.lengths = [*self.lengths, *inside][-self.MEMORY :]
        return outside

    def _limit(self, others: list[float]) -> float:
        known = [length for length in (*self.lengths, *others) if length > 0]
        if not self.factor or len(known) < self.KNOWN:
            return math.inf
        return self.factor * float(np.median(known))
