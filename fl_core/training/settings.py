"""Settings of a client's local steps, of the server's step, and of the torch backend."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field, model_validator
from typing_extensions import Self

from ...common.arrays import AnyArray, Floats
from ...common.registry import Registry
from ...common.settings import Settings

# Below any effect on a float32 model, and still a number that updates can be divided by.
_LEAST_DECAY = 1e-30


CLIP_EPSILON = 1e-6
"""Added to the length of a gradient that is clipped, as PyTorch does."""


class LocalOptimiser(Settings):
    """A client's optimiser; all trainers know each kind, hence there are no others."""


OPTIMISERS: Registry[LocalOptimiser] = Registry("optimiser", LocalOptimiser)
"""Local optimisers by name."""


@OPTIMISERS.register("sgd")
class Sgd(LocalOptimiser):
    """Stochastic gradient descent: `w <- w - rate g`; remembers nothing."""


@OPTIMISERS.register("adamw")
class AdamW(LocalOptimiser):
    """AdamW with gradients clipped by their length (Loshchilov and Hutter, ICLR 2019), as in PyTorch.

    `m <- beta1 m + (1 - beta1) g`, `v <- beta2 v + (1 - beta2) g^2`, `w <- (1 - rate weight_decay) w - rate
    m' / (sqrt(v') + epsilon)` with m' and v' divided by `1 - beta^t`. The proximal term and control variates
    belong to the gradient g. A worker keeps its moments from round to round for as long as its session lasts.
    The defaults are usual for language models.

    Attributes:
        beta1: of the mean gradient m.
        beta2: of the mean square v.
        epsilon: added to the root of v.
        weight_decay: decoupled from the gradient; of every parameter.
        clip_norm: longest gradient, over all parameters of a client; None = any.
    """

    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.95, ge=0, lt=1)
    epsilon: float = Field(default=1e-8, gt=0)
    weight_decay: float = Field(default=0.1, ge=0)
    clip_norm: float | None = Field(default=1.0, gt=0)


class LocalTraining(Settings):
    """How one client trains in one round, and how far the server follows.

    The default learning rate is chosen for the embedded digits with the softmax model: a round of ten
    clients with ten steps each gains little enough that reaching the plateau takes tens of rounds, so
    that *who* trains *when* is a decision with consequences.

    Attributes:
        learning_rate: step size of the clients.
        optimiser: `"sgd"`, `"adamw"` or a mapping with its settings, see `AdamW`; a worker's moments stay
            with it until its session ends.
        learning_rate_decay: factor on it per training round: local steps of round t, counted from 0, are of
            `learning_rate * learning_rate_decay ** t` (client learning-rate decay, which removes the bias of
            local steps in the long run: Charles and Konecny, "Convergence and Accuracy Trade-Offs in
            Federated Learning and Meta-Learning", AISTATS 2021). t is the index that names a job's
            minibatches, so a late update has the rate of the round in which it was started. 1 = constant.
        batch_size: rows per local step, drawn uniformly with replacement from the rows a client holds.
        weight_decay: L2 coefficient added to the gradient of every parameter; with AdamW 0, it has its own.
        prox_mu: FedProx coefficient `mu`: adds `mu (w - w_start)` to the gradient.
        server_learning_rate: step of the server along the aggregated update.
    """

    learning_rate: float = Field(default=0.02, gt=0)
    optimiser: OPTIMISERS.field() = "sgd"  # type: ignore[valid-type]
    learning_rate_decay: float = Field(default=1.0, gt=0, le=1)
    batch_size: int = Field(default=32, ge=1, le=65_536)
    weight_decay: float = Field(default=0.0, ge=0)
    prox_mu: float = Field(default=0.0, ge=0)
    server_learning_rate: float = Field(default=1.0, gt=0)

    @model_validator(mode="after")
    def _known_optimiser(self) -> Self:
        if not isinstance(OPTIMISERS.make(self.optimiser), Sgd | AdamW):
            raise ValueError(f"optimiser: {self.optimiser!r}, expected one that trainers know: sgd or adamw")
        if self.weight_decay > 0 and self.adamw is not None:
            raise ValueError(
                f"weight_decay: {self.weight_decay}, expected 0 with AdamW, whose own is decoupled from the "
                f"gradient; say optimiser: {{kind: adamw, weight_decay: {self.weight_decay}}}"
            )
        return self

    @property
    def adamw(self) -> AdamW | None:
        """The settings of AdamW; None = plain SGD."""
        made = OPTIMISERS.make(self.optimiser)
        return made if isinstance(made, AdamW) else None

    def decay_of(self, round_index: AnyArray) -> Floats:
        """Factors on the clients' learning rate in the rounds of these indices, in the array's shape."""
        return np.asarray(np.maximum(np.float64(self.learning_rate_decay) ** round_index, _LEAST_DECAY))

    def rate_of(self, round_index: AnyArray) -> Floats:
        """The clients' learning rates in the rounds of these indices, in the array's shape."""
        return np.asarray(self.learning_rate * self.decay_of(round_index))


class TorchSettings(Settings):
    """Settings of the torch backend.

    On CUDA PyTorch's own setting (`torch.backends.cudnn.allow_tf32`) decides whether convolutions round
    their products to TF32; agreement to 1e-5 with the other backends needs it off.

    Attributes:
        device: `"cpu"`, `"cuda"`, `"cuda:1"`, ...
        mode: `"loop"`, `"vmap"`, or `"auto"`: a loop on the processor, vmap elsewhere.
        clients_at_once: most clients in one vmap batch, to bound memory.
        compile: whether `torch.compile` fuses the step of the vmap batch. The first rounds then take many
            seconds, and a C++ compiler is needed on the processor. Not for the loop, whose threads would each
            compile for themselves.
        workers: processes that share the loop's clients, see `pytorch.workers`; 1 = threads of this process.
    """

    device: str = "cpu"
    mode: Literal["auto", "loop", "vmap"] = "auto"
    clients_at_once: int = Field(default=512, ge=1)
    compile: bool = False
    workers: int = Field(default=1, ge=1, le=256)
