"""Steps of local optimisers on tensors, of one model or many."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ....common.arrays import AnyArray, Floats32, Ints
from ...models import FineTuned
from ..jobs import LocalJobs, Moments
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


def descend(w: Tensor, gradient: Tensor, rate: Tensor, adamw: AdamW | None, kept: KeptMoments) -> Tensor:
    """One step of SGD or AdamW of the first of many models `[J, P]`; changes the moments."""
    if adamw is None:
        return w - rate * gradient
    import torch

    busy = len(w)
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
    return w * (1 - rate * adamw.weight_decay) - reach * m / root


class Done(NamedTuple):
    """What becomes of J jobs; filled by whoever trains them."""

    delta: Floats32  # [J, P]
    loss: Floats32  # [J]
    moments: Moments | None


def train_together(
    jobs: LocalJobs,
    chunk: Ints,
    settings: LocalTraining,
    rows: Tensor,
    step: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    done: Done,
) -> None:
    """The local steps of some jobs side by side; fills their rows of `done`.

    Args:
        jobs: all jobs.
        chunk: which of them, those with the most steps first.
        settings: of the steps.
        rows: the minibatches of all jobs on the device.
        step: gradients `[B, P]` and losses `[B]` of models `[B, P]` on a minibatch of rows each.
        done: changed.
    """
    import torch

    device, adamw, steps = rows.device, settings.adamw, np.diff(jobs.first)[chunk]
    start = torch.from_numpy(jobs.start[jobs.origin[chunk]]).to(device)
    extra = None if jobs.correction is None else torch.from_numpy(jobs.correction[chunk]).to(start)
    rates = torch.from_numpy(jobs.rates(settings)[chunk].astype(np.float32)[:, None]).to(device)
    first, kept = torch.from_numpy(jobs.first[chunk]).to(device), KeptMoments.of(done.moments, chunk, device)
    w, total = start.clone(), torch.zeros(chunk.size, dtype=torch.float64, device=device)
    for s in range(int(steps[0])):
        busy = int((steps > s).sum())  # sorted by steps: the first ones
        gradient, value = step(w[:busy], rows[first[:busy] + s])
        more = None if extra is None else extra[:busy]
        gradient = pulled(w[:busy], gradient, start[:busy], more, settings)
        w[:busy] = descend(w[:busy], gradient, rates[:busy], adamw, kept)
        total[:busy] += value
    kept.store(done.moments, chunk)
    done.delta[chunk] = (w - start).cpu().numpy()
    done.loss[chunk] = total.cpu().numpy() / np.maximum(1, steps)


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
