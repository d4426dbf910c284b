"""A trained model as a scheduler: the same encoder and the same actions as in training."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch as th
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy

from ..envs.encoder import ObservationEncoder
from ..envs.faces import ActionFace
from ..envs.situation import Situation
from ..fl_core.rounds import RoundPlan
from .policies.distribution import BatchedMultiCategorical
from .policies.set_policy import SetPolicyMixin

DECISIONS = ("mode", "count", "sample")
"""How a plan is taken from the policy's probabilities; see `LearnedScheduler`."""


class LearnedScheduler:
    """Plays a Stable-Baselines3 model wherever a handcrafted scheduler could play.

    Args:
        model: a model or its policy, of any algorithm.
        encoder: turns situations into the model's observations.
        face: turns its actions into plans.
        name: what tables call it.
        decision: with a set policy, `mode` takes every head's likeliest choice; `count` invites as many
            clients as the policy invites on average, those it is surest of; `sample` draws from the policy,
            each episode from its own seed. Other policies always take their deterministic action.
    """

    kind = "learned"
    clairvoyant = False

    def __init__(
        self,
        model: BaseAlgorithm | BasePolicy,
        encoder: ObservationEncoder,
        face: ActionFace,
        name: str = "learned",
        decision: str = "mode",
    ):
        if decision not in DECISIONS:
            raise ValueError(f"decision: {decision!r}, expected one of {', '.join(DECISIONS)}")
        self.name = name
        self.decision = decision
        self.policy: Any = model.policy if isinstance(model, BaseAlgorithm) else model
        self._encoder, self._face = encoder, face
        self._generators: list[np.random.Generator] = []

    def reset(self, envs: NDArray[np.bool_], seeds: NDArray[np.int64], num_clients: int) -> None:
        """Begin new episodes in the rows of `envs`; see `Scheduler.reset`."""
        if len(self._generators) != envs.size:
            self._generators = [np.random.default_rng(0) for _ in range(envs.size)]
        for env in np.flatnonzero(envs):
            self._generators[env] = np.random.default_rng([int(seeds[env]), 0x5C4ED])
        self._face.reset(envs, seeds)

    def plan(self, situation: Situation) -> RoundPlan:
        """The policy's plan for every row."""
        observation = self._encoder.encode(situation)
        if isinstance(self.policy, SetPolicyMixin):
            actions = self._decide(observation)
        else:
            actions, _ = self.policy.predict(observation, deterministic=True)
        return self._face.plan(actions, situation)

    def _decide(self, observation: dict[str, NDArray[np.float32]]) -> NDArray[np.int64]:
        policy = self.policy
        policy.set_training_mode(False)
        with th.no_grad():
            tensors = {key: th.as_tensor(rows, device=policy.device) for key, rows in observation.items()}
            distribution = policy.get_distribution(tensors)
            log_probs = distribution.log_probs().cpu().numpy().astype(np.float64)
        if self.decision == "sample":
            log_probs = log_probs + self._gumbel(log_probs.shape)
        actions = _likeliest(distribution, log_probs)
        if self.decision == "count":
            _invite_expected_number(actions, log_probs, policy)
        return actions

    def _gumbel(self, shape: tuple[int, ...]) -> NDArray[np.float64]:
        if len(self._generators) != shape[0]:
            raise ValueError(f"plan: {shape[0]} environments, expected reset() for as many first")
        return np.stack([generator.gumbel(size=shape[1]) for generator in self._generators])


def _likeliest(distribution: BatchedMultiCategorical, log_probs: NDArray[np.float64]) -> NDArray[np.int64]:
    parts = [
        log_probs[:, group.logits].reshape(-1, group.heads, group.choices).argmax(axis=2)
        for group in distribution.groups
    ]
    return np.concatenate(parts, axis=1)


def _invite_expected_number(
    actions: NDArray[np.int64], log_probs: NDArray[np.float64], policy: SetPolicyMixin
) -> None:
    """Replace the step levels in place: the m surest clients, m the expected number of invitations.

    Heads are independent, so where every client is invited with a probability of one in three the mode
    invites nobody, although the policy hardly ever does.
    """
    n, first = policy.num_clients, policy.waits + policy.quorums
    levels = log_probs[:, first : first + n * policy.levels].reshape(-1, n, policy.levels)
    invited = 1.0 - np.exp(levels[:, :, 0])
    wanted = np.rint(invited.sum(axis=1)).astype(np.int64)
    there = invited > 1e-6
    wanted = np.maximum(wanted, there.any(axis=1))
    rank = np.argsort(np.argsort(-invited, axis=1, kind="stable"), axis=1, kind="stable")
    chosen = there & (rank < wanted[:, None])
    actions[:, 2 : 2 + n] = np.where(chosen, 1 + levels[:, :, 1:].argmax(axis=2), 0)
