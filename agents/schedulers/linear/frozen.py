"""Decisions of a linear rule held at constants, to measure what each decision is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ....common.arrays import Bools
from ....common.spelling import suggest
from .weights import WEIGHTS


@dataclass(frozen=True)
class Freezable:
    """A decision that can be held at a constant.

    Attributes:
        meaning: of the constant.
        low: its least value.
        high: its largest value; None for no limit.
        silences: beginnings of the names of the weights that then mean nothing.
    """

    meaning: str
    low: int
    high: int | None
    silences: tuple[str, ...]


FREEZABLE: dict[str, Freezable] = {
    "who": Freezable("0: at random among those likely to finish", 0, 0, ("who.",)),
    "participants": Freezable(
        "answers wanted, with no spare invitations and all of them waited for",
        1,
        None,
        ("participants.", "over-selection.", "quorum."),
    ),
    "local_steps": Freezable("local steps of every participant", 1, None, ("local-steps.", "balance")),
    "transfer_samples": Freezable("samples sent to a participant in all", 0, None, ("transfer-samples.",)),
    "upload_bits": Freezable("bits of an update's coordinates; 0: the world's", 0, None, ("upload-bits.",)),
    "wait": Freezable("0: never", 0, 0, ("wait.", "pause.")),
    "pause": Freezable("half hours from round to round, where models serve", 0, None, ("pause.",)),
    "refresh": Freezable(
        "who is sent the new model, where models serve: 0 nobody, 1 participants, 2 all there",
        0,
        2,
        ("refresh.",),
    ),
    "stop_after_rounds": Freezable("rounds after which the run ends", 1, None, ("stop.",)),
}
"""Every decision that can be frozen, by name."""


def check_frozen(freeze: Mapping[str, float]) -> dict[str, int]:
    """The constants as whole numbers; ValueError naming the field that is wrong."""
    found = {}
    for name, value in freeze.items():
        if name not in FREEZABLE:
            raise ValueError(f"freeze: {name!r} is no decision; {suggest(name, FREEZABLE)}")
        what = FREEZABLE[name]
        if value != int(value) or value < what.low or (what.high is not None and value > what.high):
            expected = f"{what.low}" if what.high == what.low else f"a whole number of at least {what.low}"
            expected += f" and at most {what.high}" if what.high not in (None, what.low) else ""
            raise ValueError(f"freeze: {name} is {value}, expected {expected} ({what.meaning})")
        found[name] = int(value)
    return found


def free_weights(freeze: Mapping[str, float], served: bool = False) -> Bools:
    """Bool `[P]`: the weights that still mean something.

    Args:
        freeze: decisions at their constants.
        served: whether models serve.
    """
    silent = tuple(start for name in check_frozen(freeze) for start in FREEZABLE[name].silences)
    return np.array(
        [not name.startswith(silent) and (served or not each.served) for name, each in WEIGHTS.items()]
    )
