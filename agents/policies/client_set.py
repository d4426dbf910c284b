"""Packed sets of available clients, and pooling over them.

Three of four phones are away at any time, and nothing can be decided about them; the layers that are applied
to every client therefore see only the others. M is their number over a whole batch of B observations.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch as th

Observation = dict[str, th.Tensor]

AVAILABLE = 0
"""Index of the client feature that says whether the client could be invited now."""
CONTEXT_COUNTS = 2
"""Entries of a set's context behind the mean features."""


@dataclass(frozen=True)
class ClientSet:
    """The available clients of a batch of observations, row by row.

    Attributes:
        features: `[M, F]`.
        row: int64 `[M]`, which observation a client belongs to, ascending.
        place: int64 `[M]`, where it stands in the flattened `[B * N]`.
        count: int64 `[B]`, how many each observation has.
        shape: B and N.
        context: `[B, F + CONTEXT_COUNTS]`: mean features of all clients that there are; the share of the
            available and the logarithm of their number.
    """

    features: th.Tensor
    row: th.Tensor
    place: th.Tensor
    count: th.Tensor
    shape: tuple[int, int]
    context: th.Tensor

    def total(self, values: th.Tensor) -> th.Tensor:
        """Sums `[B, ...]` over the clients of each observation of `[M, ...]`."""
        sums = values.new_zeros((self.shape[0], *values.shape[1:]))
        return sums.index_add(0, self.row, values)

    def mean(self, values: th.Tensor) -> th.Tensor:
        """Means `[B, H]` of `[M, H]`; 0 where nobody is available."""
        return self.total(values) / self.count.clamp_min(1)[:, None]

    def largest(self, values: th.Tensor, nobody: float = -1.0) -> th.Tensor:
        """Maxima `[B, H]` of `[M, H]`; `nobody` where nobody is available."""
        return th.segment_reduce(values, "max", lengths=self.count, axis=0, initial=nobody, unsafe=True)

    def spread(self, values: th.Tensor) -> th.Tensor:
        """`[M, ...]` from one entry per observation `[B, ...]`."""
        return values.index_select(0, self.row)

    def only(self, kept: th.Tensor) -> ClientSet:
        """The clients at these places `[K]` of the set, in ascending order."""
        row = self.row.index_select(0, kept)
        count = self.count.new_zeros(self.shape[0]).index_add(0, row, th.ones_like(row))
        features, place = self.features.index_select(0, kept), self.place.index_select(0, kept)
        return ClientSet(features, row, place, count, self.shape, self.context)

    def unpack(self, values: th.Tensor) -> th.Tensor:
        """`[B, N, C]` from `[M, C]`; zeros for the clients that are away."""
        b, n = self.shape
        flat = values.new_zeros((b * n, values.shape[1]))
        return flat.index_copy(0, self.place, values).reshape(b, n, -1)


def is_available(observation: Observation) -> th.Tensor:
    """Bool `[B, N]` from the observation's first client feature."""
    return observation["clients"][..., AVAILABLE] > 0.5


def available_clients(observation: Observation) -> ClientSet:
    """Pack the available clients of a batch of observations."""
    clients, available = observation["clients"], is_available(observation)
    b, n = available.shape
    place = available.flatten().nonzero().squeeze(1)
    count = available.sum(dim=1)
    some = count[:, None].to(clients.dtype)
    # A row of zeros stands for nobody: in a mixture, some federations are smaller than others.
    size = (clients != 0).any(dim=2).sum(dim=1, keepdim=True).clamp_min(1).to(clients.dtype)
    return ClientSet(
        features=clients.reshape(b * n, -1).index_select(0, place),
        row=th.div(place, n, rounding_mode="floor"),
        place=place,
        count=count,
        shape=(b, n),
        context=th.cat([clients.mean(dim=1) * (n / size), some / size, th.log1p(some) / 8.0], dim=1),
    )


class _Tanh(th.autograd.Function):
    """Hyperbolic tangent through the logistic function, which PyTorch computes four times as fast on CPUs."""

    @staticmethod
    def forward(ctx: th.autograd.function.FunctionCtx, values: th.Tensor) -> th.Tensor:
        result = (values + values).sigmoid_().mul_(2.0).sub_(1.0)
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx: th.autograd.function.FunctionCtx, *gradients: th.Tensor) -> th.Tensor:
        (result,) = ctx.saved_tensors  # type: ignore[attr-defined]
        slope: th.Tensor = th.ops.aten.tanh_backward(gradients[0], result)
        return slope


def tanh(values: th.Tensor) -> th.Tensor:
    """Hyperbolic tangent, within 2e-7 of `torch.tanh`."""
    result: th.Tensor = _Tanh.apply(values)  # type: ignore[no-untyped-call]
    return result
