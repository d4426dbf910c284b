"""The batched categorical is Stable-Baselines3's, only faster."""

import numpy as np
import torch as th
from hypothesis import given, settings
from hypothesis import strategies as st
from sb3_contrib.common.maskable.distributions import MaskableMultiCategoricalDistribution
from stable_baselines3.common.distributions import MultiCategoricalDistribution
from torch.utils._python_dispatch import TorchDispatchMode

from frugalfl.agents.policies.distribution import BatchedMultiCategorical, head_groups

nvecs = st.lists(st.integers(2, 5), min_size=1, max_size=4).flatmap(
    lambda sizes: st.tuples(*(st.integers(1, 6) for _ in sizes)).map(
        lambda repeats: [n for n, times in zip(sizes, repeats, strict=True) for _ in range(times)]
    )
)


def random_case(nvec, seed, batch=7):
    rng = np.random.default_rng(seed)
    logits = th.tensor(rng.normal(0, 3, (batch, sum(nvec))), dtype=th.float32)
    actions = th.tensor(rng.integers(0, nvec, (batch, len(nvec))))
    masks = rng.random((batch, sum(nvec))) < 0.6
    first = np.cumsum([0, *nvec[:-1]])
    masks[:, first] = True
    return logits, actions, masks


def test_neighbouring_heads_with_equal_choices_are_one_group():
    groups = head_groups([3, 2, 5, 5, 5, 4, 4, 4])
    assert [(g.heads, g.choices) for g in groups] == [(1, 3), (1, 2), (3, 5), (3, 4)]
    assert [g.actions.start for g in groups] == [0, 1, 2, 5]
    assert groups[-1].logits == slice(20, 32)


@given(nvec=nvecs, seed=st.integers(0, 2**32 - 1), masked=st.booleans())
@settings(max_examples=40, deadline=None)
def test_equals_the_distributions_of_sb3_and_sb3_contrib(nvec, seed, masked):
    logits, actions, masks = random_case(nvec, seed)
    ours, mine = BatchedMultiCategorical(nvec), logits.clone().requires_grad_()
    ours.proba_distribution(mine)
    theirs = MaskableMultiCategoricalDistribution(nvec) if masked else MultiCategoricalDistribution(nvec)
    other = logits.clone().requires_grad_()
    theirs.proba_distribution(other)
    if masked:
        ours.apply_masking(masks)
        theirs.apply_masking(masks)
        actions = theirs.sample()
    assert th.allclose(ours.log_prob(actions), theirs.log_prob(actions), atol=1e-5, rtol=1e-6)
    assert th.allclose(ours.entropy(), theirs.entropy(), atol=1e-5, rtol=1e-6)
    assert th.equal(ours.mode(), theirs.mode())
    (ours.log_prob(actions).sum() + ours.entropy().sum()).backward()
    (theirs.log_prob(actions).sum() + theirs.entropy().sum()).backward()
    assert th.allclose(mine.grad, other.grad, atol=1e-5)


@given(nvec=nvecs, seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_forbidden_choices_are_never_taken(nvec, seed):
    logits, _, masks = random_case(nvec, seed, batch=50)
    distribution = BatchedMultiCategorical(nvec).proba_distribution(logits)
    distribution.apply_masking(masks)
    first = np.cumsum([0, *nvec[:-1]])
    for actions in (distribution.sample(), distribution.mode()):
        assert np.take_along_axis(masks, actions.numpy() + first, axis=1).all()
    distribution.apply_masking(None)
    assert th.allclose(
        distribution.log_probs(), BatchedMultiCategorical(nvec).proba_distribution(logits).log_probs()
    )


def test_samples_follow_the_probabilities():
    th.manual_seed(0)
    logits = th.tensor([[0.0, 1.0, -1.0, 2.0, 0.5]]).repeat(40_000, 1)
    distribution = BatchedMultiCategorical([3, 2]).proba_distribution(logits)
    actions = distribution.sample().numpy()
    wanted = distribution.log_probs()[0].exp().numpy()
    got = np.concatenate([np.bincount(actions[:, 0], minlength=3), np.bincount(actions[:, 1], minlength=2)])
    assert np.abs(got / 40_000 - wanted).max() < 0.01


def test_head_log_probs_add_up():
    logits, actions, _ = random_case([3, 2, 4, 4], seed=1)
    distribution = BatchedMultiCategorical([3, 2, 4, 4]).proba_distribution(logits)
    assert th.allclose(
        distribution.head_log_prob(actions).sum(dim=1), distribution.log_prob(actions), atol=1e-5
    )


class Operations(TorchDispatchMode):
    """Counts what torch is asked to do."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += 1
        return function(*args, **(kwargs or {}))


def test_asks_torch_for_a_tenth_of_what_the_loop_does():
    """What makes it fast; `benchmarks/training.py --distribution` has the seconds."""
    nvec = [4, 3] + [5] * 100
    logits, actions, _ = random_case(nvec, seed=0)

    def operations(distribution):
        with Operations() as asked:
            distribution.proba_distribution(logits)
            distribution.log_prob(actions)
            distribution.entropy()
            distribution.sample()
        return asked.count

    assert operations(BatchedMultiCategorical(nvec)) < operations(MultiCategoricalDistribution(nvec)) / 10
