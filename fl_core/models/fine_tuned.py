"""Models that begin from a base, and train all of it or a view: low-rank factors (LoRA), some tensors.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models" (ICLR 2022): a frozen matrix `W0 [out, in]`
is used as `W0 + alpha / rank * B A`, with `B [out, rank]` zero at first and `A [rank, in]` normal; only B and
A are trained. Federated, the server averages the factors one by one (FedIT: Zhang et al., "Towards Building
the Federated GPT", ICASSP 2024), which is not quite the average of the products. It is with A fixed
(FFA-LoRA: Sun et al., "Improving LoRA in Privacy-Preserving Federated Learning", ICLR 2024).

The vector of a view holds, in this order: the tensors that are trained whole, every B, every A. What a core
trains, sends, compresses and remembers is that vector and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Protocol, runtime_checkable

import numpy as np
from pydantic import Field, field_validator

from ...common.arrays import AnyArray, Floats32, Ints
from ...common.registry import Registry
from ...common.settings import Settings
from ...common.spelling import suggest
from .base import Model, TensorPlace

_A_STREAM = 0x10FA
"""Factors and base weights never share random numbers."""


@runtime_checkable
class Layered(Protocol):
    """A model that says where its tensors lie."""

    def places(self) -> tuple[TensorPlace, ...]:
        """Its tensors in the order of the flat vector."""


@dataclass(frozen=True)
class View:
    """Which vector is trained in place of all P parameters; K matrices have factors."""

    at: Ints  # [K] where a matrix begins among the parameters
    rows: Ints  # [K] its outputs
    columns: Ints  # [K] its inputs
    b_at: Ints  # [K] where its B begins among the values
    a_at: Ints  # [K] likewise its A
    rank: int
    scale: np.float32  # of every product B A
    whole: Ints  # [W] places, among the parameters, of those that are trained as they are
    fixed: Floats32  # [F] values behind the trained ones: every A, where A is fixed
    num_values: int  # trained ones and fixed ones

    @property
    def count(self) -> int:
        """Length of the vector that is trained."""
        return self.num_values - self.fixed.size

    def values(self, params: AnyArray) -> AnyArray:
        """Trained vectors `[..., count]` with the fixed values behind."""
        fixed = np.broadcast_to(self.fixed.astype(params.dtype), (*params.shape[:-1], self.fixed.size))
        return np.concatenate([params, fixed], axis=-1)

    def factors(self, values: AnyArray, k: int) -> tuple[AnyArray, AnyArray]:
        """`B [..., out, rank]` and `A [..., rank, in]` of matrix k, as views."""
        rows, columns, lead = int(self.rows[k]), int(self.columns[k]), values.shape[:-1]
        b = values[..., self.b_at[k] : self.b_at[k] + rows * self.rank].reshape(*lead, rows, self.rank)
        a = values[..., self.a_at[k] : self.a_at[k] + columns * self.rank].reshape(*lead, self.rank, columns)
        return b, a


@dataclass(frozen=True, eq=False)
class FineTuned:
    """A model that begins from a base; a `Model` of the vector that is trained."""

    inner: Model
    base: Floats32  # [P] parameters of the inner model
    view: View | None = None  # what of it is trained; None = all

    @property
    def name(self) -> str:
        """For logs."""
        return f"{self.inner.name} with factors" if self.view is not None else self.inner.name

    @property
    def num_parameters(self) -> int:
        """Length of the vector that is trained."""
        return self.base.size if self.view is None else self.view.count

    @property
    def bytes(self) -> int:
        """Size on the wire of what is trained, in bytes (float32)."""
        return 4 * self.num_parameters

    def init(self, seed: int) -> Floats32:
        """The base itself; or tensors of it, zeros for B, and A drawn with variance one over its inputs."""
        view = self.view
        if view is None:
            return self.base.copy()
        values = np.zeros(view.num_values, dtype=np.float32)
        values[: view.whole.size] = self.base[view.whole]
        _draw_a(view, values, seed)
        return values[: view.count]

    def expanded(self, params: AnyArray) -> AnyArray:
        """Parameters `[..., P]` of the inner model from trained vectors, in their precision."""
        view = self.view
        if view is None:
            return params
        values = view.values(params)
        full = np.empty((*params.shape[:-1], self.base.size), dtype=params.dtype)
        full[...] = self.base
        full[..., view.whole] = values[..., : view.whole.size]
        for k, begin in enumerate(view.at.tolist()):
            b, a = view.factors(values, k)
            with np.errstate(all="ignore"):  # of a training that diverges; who looks at the loss will see it
                product = (params.dtype.type(view.scale) * (b @ a)).reshape(*params.shape[:-1], -1)
                full[..., begin : begin + product.shape[-1]] += product
        return full

    def projected(self, params: AnyArray, gradient: AnyArray) -> AnyArray:
        """The gradient with respect to a trained vector, from that of the inner model's parameters `[P]`."""
        view = self.view
        if view is None:
            return gradient
        values, out = view.values(params), np.zeros(view.num_values, dtype=gradient.dtype)
        out[: view.whole.size] = gradient[view.whole]
        for k, begin in enumerate(view.at.tolist()):
            (b, a), (grad_b, grad_a) = view.factors(values, k), view.factors(out, k)
            slope = gradient[begin : begin + len(b) * a.shape[1]].reshape(len(b), -1)
            slope = slope * gradient.dtype.type(view.scale)
            grad_b[...], grad_a[...] = slope @ a.T, b.T @ slope
        return out[: view.count]


def inner_model(model: Model) -> Model:
    """The model whose parameters answer: the one itself, or what is fine-tuned."""
    return model.inner if isinstance(model, FineTuned) else model


def travelling_share(model: Model) -> float:
    """Parameters that an exchange moves, over all of the model's."""
    return model.num_parameters / inner_model(model).num_parameters


def frozen_share(model: Model) -> float:
    """Parameters that are never exchanged but needed by whoever trains, over all of the model's."""
    if not isinstance(model, FineTuned) or model.view is None:
        return 0.0
    return 1.0 - model.view.whole.size / model.base.size


class Trainable(Settings):
    """What of a model is trained."""

    def view(self, model: Model) -> View | None:
        """The view of a model; None = all of it.

        Raises:
            ValueError: one line: tensors that the model does not have, or that cannot be trained so.
        """
        return None


TRAINABLES: Registry[Trainable] = Registry("trainable", Trainable)
"""What of a model is trained, by name."""


@TRAINABLES.register("all")
class Everything(Trainable):
    """Every parameter."""


@TRAINABLES.register("lora")
class Lora(Trainable):
    """Low-rank factors beside frozen matrices; see the module.

    A tensor is named in full (`blocks.0.attend`, `layers.1.weight`) or by the last part of it (`attend`,
    `weight`), which names it in every layer.

    Attributes:
        rank: r of the factors.
        alpha: their product counts `alpha / rank`; None = twice the rank.
        matrices: which have factors; None = those of a transformer's blocks, or all of another model.
        whole: tensors that are trained as they are, beside the factors, e.g. `[head]`.
        fixed_a: whether A stays as it was drawn and only B is trained and sent (FFA-LoRA).
    """

    rank: int = Field(default=4, ge=1, le=1024)
    alpha: float | None = Field(default=None, gt=0)
    matrices: tuple[str, ...] | None = None
    whole: tuple[str, ...] = ()
    fixed_a: bool = False

    @field_validator("matrices")
    @classmethod
    def _some(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is not None and not value:
            raise ValueError("[], expected names of matrices; leave it out for the model's own choice")
        return value

    def view(self, model: Model) -> View:
        """See `Trainable.view`."""
        if not isinstance(model, Layered):
            raise ValueError(
                f"trainable: lora, expected a model that is made of layers, not {model.name!r}; use all"
            )
        places = model.places()
        chosen = [place for place in places if place.linear]
        if self.matrices is not None:
            chosen = _named("matrices", self.matrices, places)
        entire = _named("whole", self.whole, places)
        self._check(chosen, entire)
        rows = np.array([place.shape[0] for place in chosen], dtype=np.int64)
        columns = np.array([prod(place.shape[1:]) for place in chosen], dtype=np.int64)
        whole = np.concatenate(
            [np.zeros(0, dtype=np.int64), *(np.arange(p.at, p.at + prod(p.shape)) for p in entire)]
        )
        ends = whole.size + np.cumsum(np.concatenate([rows, columns]) * self.rank)
        begins = np.concatenate([[whole.size], ends[:-1]])
        size = int(ends[-1])
        scale = np.float32((2 * self.rank if self.alpha is None else self.alpha) / self.rank)
        parts = (rows, columns, begins[: rows.size], begins[rows.size :], self.rank, scale, whole)
        at, nothing = np.array([place.at for place in chosen], dtype=np.int64), np.zeros(0, np.float32)
        view = View(at, *parts, nothing, size)
        if not self.fixed_a:
            return view
        drawn = np.zeros(size, dtype=np.float32)
        _draw_a(view, drawn, 0)
        return View(at, *parts, drawn[begins[rows.size] :], size)

    def _check(self, chosen: Sequence[TensorPlace], entire: Sequence[TensorPlace]) -> None:
        for place in chosen:
            if len(place.shape) < 2:
                raise ValueError(f"trainable: matrices: {place.name}, expected no vector; name it in whole")
            if place in entire:
                raise ValueError(
                    f"trainable: whole: {place.name} is among the matrices as well, expected it once"
                )
            least = min(place.shape[0], prod(place.shape[1:]))
            if self.rank > least:
                raise ValueError(
                    f"trainable: rank: {self.rank}, expected at most {least}, the smaller side of "
                    f"{place.name}"
                )


def _named(field: str, wanted: Sequence[str], places: Sequence[TensorPlace]) -> list[TensorPlace]:
    """Tensors that bear one of these names, in their order; every name must be borne by one."""
    for name in wanted:
        if not any(place.is_called(name) for place in places):
            known = {place.name for place in places} | {place.name.rsplit(".", 1)[-1] for place in places}
            raise ValueError(f"trainable: {field}: {name!r} is unknown; {suggest(name, sorted(known))}")
    return [place for place in places if any(place.is_called(name) for name in wanted)]


def _draw_a(view: View, values: Floats32, seed: int) -> None:
    """Fill the A's that are trained, or all while nothing is fixed."""
    if view.fixed.size:
        return
    rng = np.random.default_rng([_A_STREAM, seed])
    for k in range(view.at.size):
        a = view.factors(values, k)[1]
        a[...] = rng.normal(0.0, 1.0 / np.sqrt(a.shape[1]), a.shape)
