"""Training of low-rank factors by a model's own trainer."""

from __future__ import annotations

from ...common.arrays import AnyArray, Bools, Floats, Floats32, Ints, Ints32
from ..models import FineTuned
from .jobs import LocalJobs, LocalUpdates
from .reference import NumpyTrainer, ReferenceTrainer, StepByStep
from .settings import LocalTraining


class FactorTrainer(StepByStep):
    """Low-rank factors of a model, trained and scored by the model's own trainer.

    Args:
        inner: the trainer of the whole model.
        model: what is trained of it.
    """

    def __init__(self, inner: ReferenceTrainer, model: FineTuned) -> None:
        super().__init__(model.num_parameters)
        self._inner, self._model, self.name = inner, model, inner.name

    def run(self, jobs: LocalJobs, settings: LocalTraining) -> LocalUpdates:
        """See `LocalTrainer.run`."""
        done = self._inner.run_factors(jobs, settings, self._model)
        return super().run(jobs, settings) if done is None else done

    def batch_gradient(self, params: Floats32, rows: Ints32) -> tuple[float, AnyArray]:
        """See `StepByStep.batch_gradient`."""
        loss, slopes = self._inner.batch_gradient(self._model.expanded(params), rows)
        return loss, self._model.projected(params, slopes)

    def losses(self, params: Floats32, origin: Ints, first: Ints, rows: Ints32) -> Floats32:
        """See `LocalTrainer.losses`."""
        return self._inner.losses(self._model.expanded(params), origin, first, rows)

    def evaluate(self, params: Floats32, part: str) -> tuple[Floats, Floats]:
        """See `LocalTrainer.evaluate`."""
        return self._inner.evaluate(self._model.expanded(params), part)

    def class_accuracy(self, params: Floats32, part: str) -> Floats:
        """See `LocalTrainer.class_accuracy`."""
        return self._inner.class_accuracy(self._model.expanded(params), part)


class AnsweringFactors(FactorTrainer):
    """A `FactorTrainer` that answers, from early exits as well where the model has some.

    Args:
        inner: a trainer that answers.
        model: what is trained of its model.
    """

    def __init__(self, inner: NumpyTrainer, model: FineTuned) -> None:
        super().__init__(inner, model)
        self._answering = inner

    def answers(
        self, params: Floats32, origin: Ints, first: Ints, rows: Ints32, part: str = "train"
    ) -> tuple[Bools, Floats32]:
        """See `AnsweringTrainer.answers`."""
        return self._answering.answers(self._model.expanded(params), origin, first, rows, part)

    def right(self, params: Floats32, origin: Ints, first: Ints, rows: Ints32, part: str = "train") -> Bools:
        """See `AnsweringTrainer.right`."""
        return self._answering.right(self._model.expanded(params), origin, first, rows, part)

    def early_answers(
        self, params: Floats32, origin: Ints, first: Ints, rows: Ints32, part: str = "train"
    ) -> tuple[Bools, Floats32, Floats32]:
        """See `ExitingTrainer.early_answers`."""
        return self._answering.early_answers(self._model.expanded(params), origin, first, rows, part)
