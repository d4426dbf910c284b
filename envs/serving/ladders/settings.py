"""What is asked, and which models are trained to answer it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Discriminator, Field, Tag, model_validator

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


class FederatedRung(Settings):
    """A model that a federation has trained on the same data set: a dense one, which sees all of the row.

    Attributes:
        folder: of the run of `frugalfl deploy` that trained it.
    """

    folder: Annotated[str, Field(min_length=1)]

    @model_validator(mode="before")
    @classmethod
    def _as_it_was_trained(cls, said: object) -> object:
        if isinstance(said, Mapping):
            for name in Rung.model_fields:
                if name in said:
                    what = "expected none beside a folder: its model is as it was trained"
                    raise ValueError(f"{name}: {said[name]!r}, {what}")
        return said


def _kind_of_rung(rung: object) -> str:
    """Which of the two a document's rung is meant to be."""
    if isinstance(rung, Mapping):
        return "federated" if "folder" in rung else "trained"
    return "federated" if isinstance(rung, FederatedRung) else "trained"


AnyRung = Annotated[
    Annotated[Rung, Tag("trained")] | Annotated[FederatedRung, Tag("federated")], Discriminator(_kind_of_rung)
]


def _four_questions() -> dict[str, tuple[int, ...]]:
    return {
        "which-digit": (),
        "odd": (1, 3, 5, 7, 9),
        "at-least-five": (5, 6, 7, 8, 9),
        "prime": (2, 3, 5, 7),
    }


class Models(Settings):
    """What is asked, and the ladder of models that answer every question.

    Attributes:
        dataset: whose rows are asked about.
        questions: name of each task, and the labels for which the answer is yes; empty = which label it is.
        noise: standard deviation of the pixels' noise; without it all rungs but the smallest are alike.
        copies: noisy copies of every row.
        rungs: of every task, from the smallest to the largest; each is trained here, or was by a federation.
        steps: of training each model, of 64 rows each.
        rate: of AdamW.
    """

    dataset: DatasetField = "digits"
    questions: Annotated[dict[str, tuple[int, ...]], Field(min_length=1, max_length=64)] = Field(
        default_factory=_four_questions
    )
    noise: NotNegative = 0.3
    copies: Annotated[int, Field(ge=1, le=64)] = 8
    rungs: Annotated[tuple[AnyRung, ...], Field(min_length=1, max_length=16)] = (
        Rung(pool=2),
        Rung(pool=4),
        Rung(),
        Rung(hidden=(32,)),
        Rung(hidden=(256,)),
    )
    steps: Annotated[int, Field(ge=1, le=100_000)] = 600
    rate: Positive = 0.01
