"""Steps of local optimisers on tensors, of one model or many."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ....common.arrays import AnyArray
from ...models import FineTuned
from ..jobs import Moments
from ..settings import CLIP_EPSILON, AdamW, LocalTraining

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def pulled(
    w: Tensor, gradient: Tensor, start: Tensor, extra: Tensor | None, settings: LocalTraining
) -> Tensor:
    """The gradient with the proximal term, weight decay and control variates."""
    if settings.weight_decay > 0:
        gradient = gradient + settings.weight_decay * w
    if settings.prox_mu > 0:
        gradient = gradient + settings.prox_mu * (w - start)
    return gradient if extra is None else gradient + extra


@dataclass
class KeptMoments:
    """`Moments` of some jobs on the device; without rows where there are none."""

    first: Tensor
    second: Tensor
    steps: Tensor

    @staticmethod
    def of(moments: Moments | None, jobs: AnyArray | slice, device: torch.device) -> KeptMoments:
        """Those of some jobs."""
        import torch

        some = Moments.blank(0, 0) if moments is None else moments.select(jobs)
        return KeptMoments(
            *(torch.tensor(each, device=device) for each in (some.first, some.second, some.steps))
        )

    def store(self, moments: Moments | None, jobs: AnyArray | slice) -> None:
        """Write them back."""
        if moments is not None:
            moments.first[jobs], moments.second[jobs] = self.first.cpu().numpy(), self.second.cpu().numpy()
            moments.steps[jobs] = self.steps.cpu().numpy()


def descend(
    w: Tensor, gradient: Tensor, rate: Tensor | float, adamw: AdamW | None, kept: KeptMoments
) -> Tensor:
    """One step of SGD or AdamW, of one model `[P]` or the first of many `[J, P]`; changes the moments."""
    if adamw is None:
        return w - rate * gradient
    import torch

    busy = len(w) if w.dim() > 1 else 1
    gradient = gradient.reshape(busy, -1)
    if adamw.clip_norm is not None:
        length = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
        gradient = gradient * (adamw.clip_norm / (length + CLIP_EPSILON)).clamp(max=1.0)
    m, v = kept.first[:busy], kept.second[:busy]
    kept.steps[:busy] += 1
    step = kept.steps[:busy, None].double()
    m.mul_(adamw.beta1).add_(gradient, alpha=1 - adamw.beta1)
    v.mul_(adamw.beta2).addcmul_(gradient, gradient, value=1 - adamw.beta2)
    root = v.sqrt() / (1 - adamw.beta2**step).sqrt().float() + adamw.epsilon
    reach = (rate / (1 - adamw.beta1**step)).float()
    return w * (1 - rate * adamw.weight_decay) - (reach * m / root).view_as(w)


def expanding(
    model: FineTuned, split: Callable[[Tensor], dict[str, Tensor]], device: torch.device
) -> Callable[[Tensor], dict[str, Tensor]]:
    """From a flat vector of what is fine-tuned to the module's named parameters."""
    import torch

    view = model.view
    if view is None:
        return split
    base, fixed = (torch.from_numpy(each).to(device) for each in (model.base, view.fixed))
    whole, width = torch.from_numpy(view.whole).to(device), view.whole.size
    columns = (view.at, view.rows, view.columns, view.b_at, view.a_at)
    matrices = [tuple(row) for row in zip(*(each.tolist() for each in columns), strict=True)]

    def views(flat: Tensor) -> dict[str, Tensor]:
        values = torch.cat([flat, fixed.to(flat.dtype)])
        parts, at = [], 0
        for begin, rows, wide, b_at, a_at in matrices:
            b = values[b_at : b_at + rows * view.rank].view(rows, view.rank)
            a = values[a_at : a_at + wide * view.rank].view(view.rank, wide)
            end = begin + rows * wide
            parts += [base[at:begin].to(flat.dtype), base[begin:end] + float(view.scale) * (b @ a).flatten()]
            at = end
        full = torch.cat([*parts, base[at:].to(flat.dtype)])
        return split(full.index_copy(0, whole, values[:width]) if width else full)

    return views
