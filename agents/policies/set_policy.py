"""Actor-critic policies for Stable-Baselines3 that fit any number of clients."""

from __future__ import annotations

from collections.abc import Sequence

import torch as th
from gymnasium import spaces
from sb3_contrib.common.maskable.distributions import MaybeMasks
from stable_baselines3.common.type_aliases import Schedule

from .client_set import ClientSet, Observation, available_clients, is_available
from .distribution import BatchedMultiCategorical
from .element_policy import ElementPolicyMixin
from .initial_logits import checked_logits, default_wait_logits, share_logits
from .packed import Choices, PackedActions, check_set_spaces, level_mask
from .set_network import SetCritic, SetShape, flat_logits, fresh_networks, orthogonal
from .slate import SLATE_SIZES, SlateActions, masked_slate, prefer_small_slates

NO_MORE_STORAGE = 1e-6
TRUE_CLIENTS, TRUE_ZONES = "true_clients", "true_zones"
"""Parts of an observation that only a critic looks at, in training: what is to come of clients and grids."""
HEADS = ("independent", "slate")
"""How a policy says who trains, see `SetPolicyMixin`."""


class SetPolicyMixin(ElementPolicyMixin):
    """What the plain and the maskable set policy share; not a policy by itself.

    The policy reads `clients`, `server` and `zones` of the observation and gives one categorical per
    dimension of the `MultiDiscrete` action
    `[wait, quorum] (+ [server step]) + [levels] * N (+ [transfers] * N)`. It forbids by itself what the
    observation shows to be impossible: inviting or sending data to clients that are away, sending to full
    ones, training now (wait level 0) when nobody is available. Before training all quorums and all server
    steps are equally likely. Stable-Baselines3 hands a policy everything as arguments, hence their number.

    Args:
        observation_space: `Dict` with `clients [N, F]`, `server [G]` and `zones [Z, H]`.
        action_space: `MultiDiscrete` as above.
        lr_schedule: learning rate by remaining progress (Stable-Baselines3 sets it).
        hidden: width of the networks.
        pooling: `mean-max` or `attention`.
        heads: `independent`: a coin for every client; `slate`: how many, and who by a draw without
            replacement, see `slate`. The same networks with other logits.
        storage_feature: index of the client feature that is 0 when nothing more can be sent to the client;
            None if there is none.
        effective_only: count in an action's log-probability only the heads that had an effect: no clients,
            no quorum and no server step while waiting, no transfer to a client that is not invited. That is
            the exact probability of what the environment sees, and less noise for the gradient. False: all
            heads, as in Stable-Baselines3.
        initial_wait_logits: logits of the wait levels before training. The default rarely waits and hardly
            ever takes the last level, which may end the episode.
        initial_level_logits: logits of a client's local-step levels before training. The default invites
            three of ten available clients; a slate has up to four, and all positive levels alike.
        **kwargs: passed on to Stable-Baselines3's `ActorCriticPolicy`.
    """

    elements = "clients"

    def __init__(
        self,
        observation_space: spaces.Dict,
        action_space: spaces.MultiDiscrete,
        lr_schedule: Schedule,
        hidden: int = 64,
        pooling: str = "mean-max",
        heads: str = "independent",
        storage_feature: int | None = None,
        effective_only: bool = True,
        initial_wait_logits: Sequence[float] | None = None,
        initial_level_logits: Sequence[float] | None = None,
        **kwargs: object,
    ):
        check_set_spaces(observation_space, action_space)
        if heads not in HEADS:
            raise ValueError(f"heads: {heads!r}, expected one of {', '.join(HEADS)}")
        self.hidden, self.pooling, self.storage_feature = hidden, pooling, storage_feature
        self.heads = heads
        self.effective_only = effective_only
        self.num_clients = observation_space["clients"].shape[0]  # type: ignore[index]
        self.choices = Choices.of(action_space.nvec.tolist(), self.num_clients)
        self.initial_wait_logits = checked_logits(
            "initial_wait_logits", initial_wait_logits, default_wait_logits(self.choices.waits)
        )
        self.initial_level_logits = checked_logits(
            "initial_level_logits",
            initial_level_logits,
            [0.0] * self.choices.levels if self.draws_slate else share_logits(self.choices.levels),
        )
        super().__init__(observation_space, action_space, lr_schedule, **kwargs)  # type: ignore[arg-type]

    @property
    def draws_slate(self) -> bool:
        """Whether its clients are drawn as a slate."""
        return self.heads == "slate"

    def _build(self, lr_schedule: Schedule) -> None:
        sizes = {key: space.shape or () for key, space in self.observation_space.spaces.items()}
        shape = SetShape(sizes["clients"][1], sizes["server"][0], sizes["zones"][1])
        self.actor, self.critic = fresh_networks(
            shape,
            sum(self.choices.server) + (len(SLATE_SIZES) if self.draws_slate else 0),
            sum(self.choices.clients),
            self.hidden,
            self.pooling,
            self.initial_wait_logits,
            self.initial_level_logits,
        )
        if TRUE_CLIENTS in sizes:  # made behind the other one, so that the actor begins as it does without it
            seen = SetShape(
                shape.client + sizes[TRUE_CLIENTS][1], shape.server, shape.zone + sizes[TRUE_ZONES][1]
            )
            self.critic = SetCritic(seen, self.hidden, self.pooling)
            orthogonal(self.critic)
        if self.draws_slate:
            prefer_small_slates(self.actor.server_logits)
        self._fresh_optimizer(lr_schedule)

    def _get_constructor_parameters(self) -> dict[str, object]:
        data = super()._get_constructor_parameters()
        data.update(
            hidden=self.hidden,
            pooling=self.pooling,
            heads=self.heads,
            storage_feature=self.storage_feature,
            effective_only=self.effective_only,
            initial_wait_logits=self.initial_wait_logits,
            initial_level_logits=self.initial_level_logits,
        )
        return data

    def logits(self, obs: Observation) -> th.Tensor:
        """Flat logits `[B, sum(nvec)]` before any masking; zeros for the clients that are away."""
        return flat_logits(self.actor, obs, self.choices.levels)

    def possible(self, obs: Observation) -> th.Tensor:
        """Bool `[B, sum(nvec)]`: the choices that the observation does not rule out."""
        available, choices = is_available(obs), self.choices
        server = available.new_ones((available.shape[0], sum(choices.server)))
        if choices.waits > 1:
            server[:, 0] = available.any(dim=1)
        parts = [server, level_mask(available, choices.levels)]
        if choices.transfers:
            if self.storage_feature is not None:
                available = available & (obs["clients"][..., self.storage_feature] > NO_MORE_STORAGE)
            parts.append(level_mask(available, choices.transfers))
        return th.cat(parts, dim=1)

    def available(self, obs: Observation) -> th.Tensor:
        """Bool `[B, N]`: who could be invited now."""
        return is_available(obs)

    def effective(self, actions: th.Tensor) -> th.Tensor:
        """Bool `[B, D]`: the heads whose choice makes a difference, given the others."""
        trains, others, n = actions[:, :1] == 0, len(self.choices.server) - 1, self.num_clients
        parts = [th.ones_like(trains), trains.expand(-1, others + n)]
        if self.choices.transfers:
            parts.append(trains & (self.levels_of(actions) > 0))
        return th.cat(parts, dim=1)

    def levels_of(self, actions: th.Tensor) -> th.Tensor:
        """The clients' local-step levels `[B, N]`, as a view of actions `[B, D]`."""
        first = len(self.choices.server)
        return actions[:, first : first + self.num_clients]

    def distribution(self, obs: Observation, action_masks: MaybeMasks = None) -> BatchedMultiCategorical:
        """The actor's distribution; `action_masks` `[B, sum(nvec)]` may forbid more.

        Raises:
            ValueError: the policy draws a slate, which independent heads cannot express; see `slate`.
        """
        if self.draws_slate:
            raise ValueError("heads: 'slate', expected 'independent' for a distribution of independent heads")
        return super().distribution(obs, action_masks)

    def packed(self, obs: Observation, clients: ClientSet) -> PackedActions:
        """The distribution over the available clients; equals `distribution` without further masks."""
        server, each = self.actor(obs, clients)
        return PackedActions(self.choices, server, each, clients, self._storage(clients))

    def slate(
        self, obs: Observation, clients: ClientSet | None = None, action_masks: MaybeMasks = None
    ) -> SlateActions:
        """The distribution of a policy with `heads="slate"`; `action_masks` may forbid more."""
        clients = available_clients(obs) if clients is None else clients
        server, each = self.actor(obs, clients)
        if action_masks is not None:
            masks = th.as_tensor(action_masks, dtype=th.bool, device=server.device)
            server, each, clients = masked_slate(self.choices, server, each, clients, masks)
        return SlateActions(self.choices, server, each, clients, self._storage(clients))

    def likeliest(self, obs: Observation) -> th.Tensor:
        """The actions int64 `[B, D]` in which every head takes its likeliest choice."""
        return self.slate(obs).mode() if self.draws_slate else super().likeliest(obs)

    def predict_values(self, obs: Observation) -> th.Tensor:  # type: ignore[override]
        """The critic's values `[B, 1]`."""
        return self._values(obs, None)

    def _values(self, obs: Observation, clients: ClientSet | None) -> th.Tensor:
        """The same; `clients` if they are packed already. A critic that is shown the future packs its own."""
        if TRUE_CLIENTS in obs:
            clients, obs = None, _with_future(obs)
        values: th.Tensor = self.critic(obs, clients)
        return values

    def _storage(self, clients: ClientSet) -> th.Tensor | None:
        """Bool `[M]`, whether more can be sent to a client; None: the observation does not say."""
        if not self.choices.transfers or self.storage_feature is None:
            return None
        return clients.features[:, self.storage_feature] > NO_MORE_STORAGE

    def decide(self, distribution: BatchedMultiCategorical) -> th.Tensor:
        """The actions int64 `[B, D]` a coordinator takes for sure: the deterministic action of this policy.

        Every head takes its likeliest choice, but the number of invitations is the expected one, given to
        the clients the policy is surest of. Heads are independent: where everybody is invited with a chance
        of one in three, the likeliest choice of each is not to be, and the plain mode would invite nobody.
        """
        actions = distribution.mode()
        levels = self.level_log_probs(distribution)
        chance = 1.0 - levels[..., 0].exp()
        available = chance > 1e-6
        wanted = chance.sum(dim=1).round().clamp_min(1.0)
        rank = (-chance).argsort(dim=1, stable=True).argsort(dim=1, stable=True)
        chosen = available & (rank < wanted[:, None])
        self.levels_of(actions)[:] = th.where(chosen, 1 + levels[..., 1:].argmax(dim=2), 0)
        return actions

    def level_log_probs(self, distribution: BatchedMultiCategorical) -> th.Tensor:
        """Log-probabilities `[B, N, L]` of the clients' local-step levels."""
        first, n, levels = sum(self.choices.server), self.num_clients, self.choices.levels
        return distribution.log_probs()[:, first : first + n * levels].reshape(-1, n, levels)

    def _predict(  # type: ignore[override]
        self, observation: Observation, deterministic: bool = False, action_masks: MaybeMasks = None
    ) -> th.Tensor:
        if self.draws_slate:
            return _taken(self.slate(observation, None, action_masks), deterministic)
        return super()._predict(observation, deterministic, action_masks)

    def _act(
        self, obs: Observation, deterministic: bool, action_masks: MaybeMasks
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        clients = available_clients(obs)
        values = self._values(obs, clients)
        if self.draws_slate:
            slate = self.slate(obs, clients, action_masks)
            actions = _taken(slate, deterministic)
            return actions, values, slate.log_prob(actions, self.effective_only)
        if action_masks is None and not deterministic:
            packed = self.packed(obs, clients)
            actions = packed.sample()
            return actions, values, packed.log_prob(actions, self.effective_only)
        distribution = self.distribution(obs, action_masks)
        actions = self._actions(distribution, deterministic)
        return actions, values, self.action_log_prob(distribution, actions)

    def _evaluate(
        self, obs: Observation, actions: th.Tensor, action_masks: MaybeMasks
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        clients = available_clients(obs)
        values = self._values(obs, clients)
        if self.draws_slate:
            slate = self.slate(obs, clients, action_masks)
            return values, slate.log_prob(actions, self.effective_only), slate.entropy()
        if action_masks is None:
            packed = self.packed(obs, clients)
            return values, packed.log_prob(actions, self.effective_only), packed.entropy()
        distribution = self.distribution(obs, action_masks)
        return values, self.action_log_prob(distribution, actions), distribution.entropy()

    def action_log_prob(self, distribution: BatchedMultiCategorical, actions: th.Tensor) -> th.Tensor:
        """Log-probability `[B]` of actions `[B, D]`; only of the heads that had an effect if so asked."""
        if not self.effective_only:
            return distribution.log_prob(actions)
        return (distribution.head_log_prob(actions) * self.effective(actions)).sum(dim=1)


def _taken(slate: SlateActions, deterministic: bool) -> th.Tensor:
    return slate.mode() if deterministic else slate.sample()


def _with_future(obs: Observation) -> Observation:
    """What a critic sees that is shown the future: each client and grid with its own."""
    return {
        "clients": th.cat([obs["clients"], obs[TRUE_CLIENTS]], dim=-1),
        "zones": th.cat([obs["zones"], obs[TRUE_ZONES]], dim=-1),
        "server": obs["server"],
    }
