"""`TransformerSpec` as a PyTorch module: any size, any device; needs torch when it is imported."""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn

from .transformer import RMS_EPSILON, WIDENING, TransformerSpec


class TransformerBlock(nn.Module):
    """Attention and perceptron, each behind a norm and beside the stream."""

    def __init__(self, width: int, heads: int, batched: bool) -> None:
        super().__init__()
        self.attend = nn.Linear(width, 3 * width, bias=False)
        self.join = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, WIDENING * width, bias=False)
        self.down = nn.Linear(WIDENING * width, width, bias=False)
        self._heads = heads
        # PyTorch's fused attention has no rule for a batch of models.
        fused = functools.partial(nn.functional.scaled_dot_product_attention, is_causal=True)
        self._attention = _attention if batched else fused

    def forward(self, stream: Tensor) -> Tensor:
        """The stream `[n, T, d]` behind the block."""
        n, length, width = stream.shape
        heads = self.attend(_norm(stream)).view(n, length, 3, self._heads, width // self._heads)
        queries, keys, values = heads.permute(2, 0, 3, 1, 4).unbind(0)
        joined = self._attention(queries, keys, values)
        stream = stream + self.join(joined.transpose(1, 2).reshape(n, length, width))
        inside: Tensor = self.down(torch.relu(self.up(_norm(stream))))
        return stream + inside


class TransformerModule(nn.Module):
    """The module whose parameters, one after another, are the flat vector of a `TransformerSpec`.

    Args:
        spec: its sizes.
        batched: whether `torch.func.vmap` will run many of them at once.
    """

    def __init__(self, spec: TransformerSpec, batched: bool = False) -> None:
        super().__init__()
        self.tokens = nn.Parameter(torch.empty(spec.vocabulary, spec.width))
        self.positions = nn.Parameter(torch.empty(spec.context, spec.width))
        self.blocks = nn.ModuleList(
            TransformerBlock(spec.width, spec.heads, batched) for _ in range(spec.layers)
        )
        self.head = nn.Linear(spec.width, spec.vocabulary, bias=False)

    def forward(self, read: Tensor) -> Tensor:
        """Logits `[n, T, V]` of the tokens `[n, T]`."""
        stream = nn.functional.embedding(read, self.tokens) + self.positions[: read.shape[1]]
        for block in self.blocks:
            stream = block(stream)
        logits: Tensor = self.head(_norm(stream))
        return logits


def transformer_module(spec: TransformerSpec, seed: int, batched: bool = False) -> TransformerModule:
    """A module with the parameters that `spec.init(seed)` draws; `batched` as in the class."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        module = TransformerModule(spec, batched)
        nn.utils.vector_to_parameters(torch.from_numpy(spec.init(seed)), module.parameters())
    return module


def _attention(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Causal softmax attention, written out."""
    scores = queries @ keys.transpose(-2, -1) / queries.shape[-1] ** 0.5
    later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
    return torch.softmax(scores.masked_fill(later, float("-inf")), dim=-1) @ values


def _norm(stream: Tensor) -> Tensor:
    return nn.functional.rms_norm(stream, stream.shape[-1:], eps=RMS_EPSILON)
