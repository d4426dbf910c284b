"""Settings of a client's local SGD and of the server's step."""

from __future__ import annotations

from pydantic import Field

from ...common.settings import Settings


class LocalTraining(Settings):
    """How one client trains in one round, and how far the server follows.

    The default learning rate is chosen for the embedded digits with the softmax model: a round of ten
    clients with ten steps each gains little enough that reaching the plateau takes tens of rounds, so
    that *who* trains *when* is a decision with consequences.

    Attributes:
        learning_rate: SGD step size of the clients.
        batch_size: Rows per local step, drawn uniformly with replacement from the rows a client holds.
        weight_decay: L2 coefficient added to the gradient of every parameter.
        prox_mu: FedProx coefficient ``mu``: adds ``mu (w - w_start)`` to the gradient.
        server_learning_rate: Step of the server along the aggregated update.
    """

    learning_rate: float = Field(default=0.02, gt=0)
    batch_size: int = Field(default=32, ge=1, le=65_536)
    weight_decay: float = Field(default=0.0, ge=0)
    prox_mu: float = Field(default=0.0, ge=0)
    server_learning_rate: float = Field(default=1.0, gt=0)
