"""Scores: what counts as accuracy where the share of right answers does not say enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ...common.arrays import Floats


class Score(Protocol):
    """From the accuracy and the mean loss on a part to the number that the reward pays for, 0 to 1."""

    def of(self, accuracy: Floats, loss: Floats) -> Floats:
        """The score, in the shape of the two."""


@dataclass(frozen=True)
class GapClosed:
    """Share of the gap between a blind guess and what can be known at best that the model has closed.

    `(unigram - loss) / (unigram - floor)`, cut to 0 and 1: a language whose next symbol is a matter of luck
    has models of low accuracy that are perfect all the same.
    """

    unigram_loss: float  # nats per token, of knowing how frequent tokens are and nothing else
    floor_loss: float  # nats per token, below which no model comes but by luck

    def __post_init__(self) -> None:
        if not 0 <= self.floor_loss < self.unigram_loss < np.inf:
            raise ValueError(
                f"score: floor_loss {self.floor_loss:g} and unigram_loss {self.unigram_loss:g}, expected "
                "0 <= floor_loss < unigram_loss; a language without context has nothing to be learnt"
            )

    def of(self, accuracy: Floats, loss: Floats) -> Floats:
        """See `Score.of`; the accuracy is not looked at."""
        share = (self.unigram_loss - loss) / (self.unigram_loss - self.floor_loss)
        return np.asarray(np.clip(share, 0.0, 1.0))
