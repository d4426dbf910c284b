"""The base that a federation begins from: a model trained at the hub, before any episode."""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass, field

import numpy as np
from pydantic import Field, field_validator

from ...common.arrays import Floats32
from ...common.settings import Settings, Spec, split_spec
from ...common.sizes import check_values
from ..data import DATASETS, Dataset, load_dataset
from ..models import TRAINABLES, FineTuned, Model
from ..training import OPTIMISERS, LocalJobs, LocalTraining, make_trainer

_STREAM = 0xBA5E
_BASES_KEPT = 16


class Pretraining(Settings):
    """How the base came about.

    All episodes begin from it. It is made once per process, the same everywhere, and nobody pays for it.

    Attributes:
        dataset: what the hub has read, with the features and labels of the world's own data, such as a
            language of the same family. None = the world's own training rows: a base that has seen it all.
        steps: of one worker; 0 = the model as it is initialised.
        learning_rate: of the steps.
        batch_size: rows of a step.
        optimiser: as in `LocalTraining`.
        seed: of the model's initial parameters and of the minibatches.
        installed: whether clients have it from the start, as part of an app; else whoever begins a session
            fetches what of it is frozen.
    """

    dataset: DATASETS.field() | None = None  # type: ignore[valid-type]
    steps: int = Field(default=1000, ge=0, le=10_000_000)
    learning_rate: float = Field(default=0.01, gt=0)
    batch_size: int = Field(default=32, ge=1, le=65_536)
    optimiser: OPTIMISERS.field() = "adamw"  # type: ignore[valid-type]
    seed: int = Field(default=0, ge=0)
    installed: bool = False

    @field_validator("dataset")
    @classmethod
    def _of_the_same_letters(cls, spec: Spec | None) -> Spec | None:
        if spec is not None and split_spec(spec, "dataset")[0] == "text":
            raise ValueError(
                "text, expected a data set whose tokens are those of the world's; every text numbers its own "
                "characters: leave dataset out to read the world's own text"
            )
        return spec

    @property
    def training(self) -> LocalTraining:
        """Settings of the steps."""
        return LocalTraining(
            learning_rate=self.learning_rate, batch_size=self.batch_size, optimiser=self.optimiser
        )


def fine_tuned(
    model: Model,
    dataset: Dataset,
    trainable: Spec = "all",
    pretrained: Pretraining | None = None,
    trainer: Spec = "auto",
) -> Model:
    """A model that begins from its base, and of which only a part may be trained.

    Args:
        model: the whole model.
        dataset: the world's own rows.
        trainable: what of it is trained.
        pretrained: how the base came about; None = none: every episode initialises the model anew.
        trainer: of the base.

    Raises:
        ValueError: one line: factors without a base, or a base that does not fit.
    """
    kind = TRAINABLES.make(trainable)
    view = kind.view(model)
    if pretrained is None:
        if view is not None:
            raise ValueError(
                f"trainable: {split_spec(trainable, 'trainable')[0]}, expected with pretrained, which makes "
                "the base that stays as it is; or use all"
            )
        return model
    rows = dataset
    if pretrained.dataset is not None:
        rows = load_dataset(pretrained.dataset)
        if (rows.num_features, rows.num_classes) != (dataset.num_features, dataset.num_classes):
            raise ValueError(
                f"pretrained: dataset: {rows.num_features} features and {rows.num_classes} labels, expected "
                f"{dataset.num_features} and {dataset.num_classes}, as the world's own data set "
                f"{dataset.name!r} has"
            )
    return FineTuned(model, _base(model, rows, pretrained, trainer), view)


@dataclass(frozen=True)
class _Task:
    """A pretraining as the key of a cache: equal where what comes of it is."""

    key: tuple[str, ...]
    parts: tuple[Model, Dataset, Pretraining, Spec] = field(compare=False)


def _base(model: Model, rows: Dataset, pretrained: Pretraining, trainer: Spec) -> Floats32:
    data = hashlib.sha256(rows.x_train.tobytes() + rows.y_train.tobytes()).hexdigest()
    settings = json.dumps(pretrained.model_dump(exclude={"dataset", "installed"}), sort_keys=True)
    return _trained(_Task((repr(model), data, settings, repr(trainer)), (model, rows, pretrained, trainer)))


@functools.lru_cache(_BASES_KEPT)
def _trained(task: _Task) -> Floats32:
    """The parameters after the pretraining; not to be written to."""
    model, rows, pretrained, trainer = task.parts
    training, start = pretrained.training, model.init(pretrained.seed)[None]
    check_values(
        "pretrained: its minibatches",
        pretrained.steps,
        training.batch_size,
        do="take fewer steps or smaller batches",
        most=2**28,
    )
    rng, one = np.random.default_rng([_STREAM, pretrained.seed]), np.zeros(1, dtype=np.int64)
    drawn = rng.integers(0, rows.num_rows, (pretrained.steps, training.batch_size), dtype=np.int32)
    jobs = LocalJobs(start, one, np.array([0, pretrained.steps]), drawn)
    base: Floats32 = (start + make_trainer(trainer, rows, model).run(jobs, training).delta)[0]
    if not np.isfinite(base).all():
        raise ValueError(
            f"pretrained: learning_rate: {training.learning_rate}, expected one at which it does not "
            "diverge; take a smaller one"
        )
    base.setflags(write=False)
    return base
