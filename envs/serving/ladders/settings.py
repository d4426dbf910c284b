"""What is asked, and which models are trained to answer it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ....common.settings import Settings
from ...scenario import DatasetField

NotNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]


class Rung(Settings):
    """A model that is really trained: a dense net on the row, or on the means of its squares.

    Attributes:
        pool: the image is seen as so many times so many averages; None = all of it.
        hidden: widths of the hidden layers.
    """

    pool: Annotated[int, Field(ge=1)] | None = None
    hidden: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = ()


def _four_questions() -> dict[str, tuple[int, ...]]:
    return {
        "which-digit": (),
        "odd": (1, 3, 5, 7, 9),
        "at-least-five": (5, 6, 7, 8, 9),
        "prime": (2, 3, 5, 7),
    }


class Models(Settings):
    """What is asked, and the ladder of models that is trained for every question.

    Attributes:
        dataset: whose rows are asked about.
        questions: name of each task, and the labels for which the answer is yes; empty = which label it is.
        noise: standard deviation of the pixels' noise; without it all rungs but the smallest are alike.
        copies: noisy copies of every row.
        rungs: of every task, from the smallest to the largest.
        steps: of training each model, of 64 rows each.
        rate: of AdamW.
    """

    dataset: DatasetField = "digits"
    questions: Annotated[dict[str, tuple[int, ...]], Field(min_length=1, max_length=64)] = Field(
        default_factory=_four_questions
    )
    noise: NotNegative = 0.3
    copies: Annotated[int, Field(ge=1, le=64)] = 8
    rungs: Annotated[tuple[Rung, ...], Field(min_length=1, max_length=16)] = (
        Rung(pool=2),
        Rung(pool=4),
        Rung(),
        Rung(hidden=(32,)),
        Rung(hidden=(256,)),
    )
    steps: Annotated[int, Field(ge=1, le=100_000)] = 600
    rate: Positive = 0.01
