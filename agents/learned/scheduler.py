"""Trained policies as schedulers: the same encoder and the same actions as in training."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch as th
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy

from ...common.arrays import Bools, Floats, Floats32, Ints
from ...envs.agent_view import ActionMode, ObservationEncoder
from ...envs.contract import RoundPlan, SchedulerKind, Situation
from ..policies.distribution import BatchedMultiCategorical
from ..policies.element_policy import ElementPolicyMixin
from ..policies.set_policy import SetPolicyMixin
from ..policies.slate import SlateActions
from .frame_stacking import FrameStack
from .grouped import decide_in_groups, group_count
from .home import Home

DECISIONS = ("count", "mode", "sample")
"""How a plan is taken from the policy's probabilities; see `LearnedScheduler`."""


class LearnedScheduler:
    """Plays a Stable-Baselines3 model wherever a handcrafted scheduler could play.

    Args:
        model: a model or its policy, of any algorithm.
        encoder: turns situations into the model's observations.
        action_mode: turns its actions into plans.
        name: what tables call it.
        trained_clients: how many clients there were in training; where there are at least half as many again,
            a set policy decides in groups of that size, see `grouped`. None: never.
        decision: with a set policy, `mode` takes every head's likeliest choice; `count` invites as many
            clients as the policy invites on average, those it is surest of; `sample` draws from the policy,
            each episode from its own seed. Other policies always take their deterministic action.
        frames: observations that the policy sees at once, see `FrameStack`.
        rounds_trained: rounds that were played to train it, for tables; None: unknown.
        home: the forecasts that it reads; None: those of the world it plays in.
    """

    kind: ClassVar[SchedulerKind] = "learned"
    clairvoyant: ClassVar[bool] = False

    def __init__(
        self,
        model: BaseAlgorithm | BasePolicy,
        encoder: ObservationEncoder,
        action_mode: ActionMode,
        name: str = "learned",
        decision: str = "count",
        trained_clients: int | None = None,
        frames: int = 1,
        rounds_trained: int | None = None,
        home: Home | None = None,
    ):
        if decision not in DECISIONS:
            raise ValueError(f"decision: {decision!r}, expected one of {', '.join(DECISIONS)}")
        self.name, self.rounds_trained = name, rounds_trained
        self.decision, self.trained_clients, self.home = decision, trained_clients, home
        self.policy: BasePolicy = model.policy if isinstance(model, BaseAlgorithm) else model
        self._encoder, self._action_mode, self._frames = encoder, action_mode, FrameStack(frames)
        self._generators: list[np.random.Generator] = []

    def reset(self, envs: Bools, seeds: Ints, num_clients: int) -> None:
        """Begin new episodes in the rows of `envs`; see `Scheduler.reset`."""
        if len(self._generators) != envs.size:
            self._generators = [np.random.default_rng(0) for _ in range(envs.size)]
        for env in np.flatnonzero(envs):
            self._generators[env] = np.random.default_rng([int(seeds[env]), 0x5C4ED])
        self._action_mode.reset(envs, seeds)
        self._frames.forget(envs)

    def plan(self, situation: Situation) -> RoundPlan:
        """The policy's plan for every row."""
        observation = self._frames.add(self._observe(situation))
        if isinstance(self.policy, ElementPolicyMixin):
            actions = self._decide(self.policy, observation)
        else:
            actions, _ = self.policy.predict(observation, deterministic=True)
        return self._action_mode.plan(actions, situation)

    def probabilities(self, situation: Situation, rows: Ints | None = None) -> tuple[Floats, Floats]:
        """What a set policy makes of a situation: chances of the wait levels and of every client's steps.

        Args:
            situation: of E environments.
            rows: which of them are asked about; None: all.

        Returns:
            `[E, W]`, and `[E, N, L]` under the condition that it trains now, of the rows asked about; level 0
            is not to be invited.

        Raises:
            ValueError: the policy is not a set policy, or looks at more than the present.
        """
        policy = self.policy
        if not isinstance(policy, SetPolicyMixin):
            raise ValueError(f"policy: {type(policy).__name__} has no probabilities, expected a set policy")
        if self._frames.count > 1:
            raise ValueError(
                f"policy: looks at {self._frames.count} rounds, expected one of the present only"
            )
        policy.set_training_mode(False)
        with th.no_grad():
            asked = slice(None) if rows is None else rows
            observation = self._observe(situation).items()
            tensors = {key: th.as_tensor(each[asked], device=policy.device) for key, each in observation}
            if policy.draws_slate:
                slate = policy.slate(tensors)
                return _chances(slate.waits), slate.level_chances().cpu().numpy().astype(np.float64)
            distribution = policy.get_distribution(tensors)
            levels = policy.level_log_probs(distribution)
            waits = distribution.log_probs()[:, : policy.choices.waits]
        return _chances(waits), _chances(levels)

    def _observe(self, situation: Situation) -> dict[str, Floats32]:
        return self._encoder.encode(situation if self.home is None else self.home.read(situation))

    def _decide(self, policy: ElementPolicyMixin, observation: dict[str, Floats32]) -> Ints:
        policy.set_training_mode(False)
        with th.no_grad():
            tensors = {key: th.as_tensor(rows, device=policy.device) for key, rows in observation.items()}
            if isinstance(policy, SetPolicyMixin):  # how many are invited depends on how many there are
                if policy.draws_slate:
                    return self._decide_slate(policy.slate(tensors))
                groups = group_count(tensors[policy.elements].shape[1], self.trained_clients)
                if groups > 1:
                    return decide_in_groups(policy, tensors, groups).cpu().numpy()
            distribution = policy.get_distribution(tensors)
            if self.decision == "count":
                return policy.decide(distribution).cpu().numpy()
            if self.decision == "mode":
                return distribution.mode().cpu().numpy()
            return self._draw(distribution)

    def _decide_slate(self, slate: SlateActions) -> Ints:
        """A slate says how many and needs no groups; drawn with each row's own generator."""
        if self.decision != "sample":
            return slate.mode().cpu().numpy()
        self._check_reset(slate.shape[0])
        return slate.sample(slate.noise_of(self._generators)).cpu().numpy()

    def _check_reset(self, rows: int) -> None:
        if len(self._generators) != rows:
            raise ValueError(f"plan: {rows} environments, expected reset() for as many first")

    def _draw(self, distribution: BatchedMultiCategorical) -> Ints:
        """Gumbel's trick with each row's own generator."""
        log_probs = distribution.log_probs().cpu().numpy().astype(np.float64)
        self._check_reset(len(log_probs))
        noise = np.stack([generator.gumbel(size=log_probs.shape[1]) for generator in self._generators])
        scores = log_probs + noise
        parts = [
            scores[:, group.logits].reshape(-1, group.heads, group.choices).argmax(axis=2)
            for group in distribution.groups
        ]
        return np.concatenate(parts, axis=1)


def _chances(log_probs: th.Tensor) -> Floats:
    return log_probs.exp().cpu().numpy().astype(np.float64)
