"""Settings of a client's local SGD, of the server's step, and of the torch backend."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from ...common.arrays import AnyArray, Floats
from ...common.settings import Settings

# Below any effect on a float32 model, and still a number that updates can be divided by.
_LEAST_DECAY = 1e-30


class LocalTraining(Settings):
    """How one client trains in one round, and how far the server follows.

    The default learning rate is chosen for the embedded digits with the softmax model: a round of ten
    clients with ten steps each gains little enough that reaching the plateau takes tens of rounds, so
    that *who* trains *when* is a decision with consequences.

    Attributes:
        learning_rate: SGD step size of the clients.
        learning_rate_decay: factor on it per training round: local steps of round t, counted from 0, are of
            `learning_rate * learning_rate_decay ** t` (client learning-rate decay, which removes the bias of
            local steps in the long run: Charles and Konecny, "Convergence and Accuracy Trade-Offs in
            Federated Learning and Meta-Learning", AISTATS 2021). t is the index that names a job's
            minibatches, so a late update has the rate of the round in which it was started. 1 = constant.
        batch_size: rows per local step, drawn uniformly with replacement from the rows a client holds.
        weight_decay: L2 coefficient added to the gradient of every parameter.
        prox_mu: FedProx coefficient `mu`: adds `mu (w - w_start)` to the gradient.
        server_learning_rate: step of the server along the aggregated update.
    """

    learning_rate: float = Field(default=0.02, gt=0)
    learning_rate_decay: float = Field(default=1.0, gt=0, le=1)
    batch_size: int = Field(default=32, ge=1, le=65_536)
    weight_decay: float = Field(default=0.0, ge=0)
    prox_mu: float = Field(default=0.0, ge=0)
    server_learning_rate: float = Field(default=1.0, gt=0)

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
        workers: processes that share the loop's clients, see `torch_workers`; 1 = threads of this process.
    """

    device: str = "cpu"
    mode: Literal["auto", "loop", "vmap"] = "auto"
    clients_at_once: int = Field(default=512, ge=1)
    compile: bool = False
    workers: int = Field(default=1, ge=1, le=256)
