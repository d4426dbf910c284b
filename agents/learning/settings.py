"""Settings of a learning run and of its algorithm; nothing heavy is imported, so that `--help` is quick."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import TYPE_CHECKING, TypeAlias, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Record = TypeVar("Record", bound=DataclassInstance)

ALGORITHMS = ("ppo", "maskable-ppo", "a2c", "dqn", "sac")
"""Names of the learning algorithms."""

TUNED = frozenset({"ppo", "maskable-ppo"})
"""Algorithms whose settings were searched; tables call the others untuned."""

NO_WARM_START = "none"

EVAL_EPISODES = 64
"""Paired test episodes of a comparison, unless asked otherwise."""
BEST_WARM_START = "best"
"""`warm_start` for the scheduler that did best when it was tuned in this world."""


@dataclass(frozen=True)
class PolicySettings:
    """The networks of PPO, maskable PPO and A2C on the `levels` ids."""

    hidden: int = 64
    """width of every layer"""
    pooling: str = "mean-max"
    """how clients become a context: mean-max or attention"""
    heads: str = "slate"
    """how it says who trains: how many and who by a draw (slate), or a coin per client (independent)"""
    frames: int = 1
    """observations of the last rounds that are seen at once; more than 1 gives any algorithm a memory"""
    initial_share: float = 0.3
    """share of the available clients that the untrained policy invites, or of the slots that it loads;
    a slate begins with up to four"""
    foresight: bool = False
    """whether the critic is shown the true future while it learns; who acts never is"""


@dataclass(frozen=True)
class PPOSettings:
    """PPO and maskable PPO (Schulman et al. 2017); the defaults suit 32 to 64 environments."""

    learning_rate: float = 1e-3
    """Adam's step at the start; it falls linearly"""
    final_learning_rate: float = 1e-4
    """Adam's step at the end"""
    rollout_steps: int = 64
    """rounds per environment between two updates"""
    batch_size: int = 512
    """rounds per minibatch"""
    epochs: int = 5
    """passes over every rollout"""
    gamma: float = 1.0
    """discount per round; episodes are short and their sum is what counts"""
    gae_lambda: float = 0.95
    """trade-off between bias and variance of the advantages"""
    clip_range: float = 0.2
    """how far a probability ratio may move within one update"""
    entropy: float = 0.0
    """weight of the entropy bonus, which is a sum over all heads"""
    value: float = 0.5
    """weight of the critic's loss"""
    max_grad_norm: float = 0.5
    """gradients are cut to this length"""
    target_kl: float = 0.05
    """an update stops early beyond 1.5 times this divergence"""


@dataclass(frozen=True)
class A2CSettings:
    """A2C (Mnih et al. 2016)."""

    learning_rate: float = 1e-3
    """RMSProp's step at the start; it falls linearly"""
    final_learning_rate: float = 1e-4
    """RMSProp's step at the end"""
    rollout_steps: int = 16
    """rounds per environment between two updates"""
    gamma: float = 1.0
    """discount per round"""
    gae_lambda: float = 0.95
    """trade-off between bias and variance of the advantages"""
    entropy: float = 1e-3
    """weight of the entropy bonus"""
    value: float = 0.5
    """weight of the critic's loss"""
    max_grad_norm: float = 0.5
    """gradients are cut to this length"""


@dataclass(frozen=True)
class DQNSettings:
    """DQN (Mnih et al. 2015) over the menu of schedulers of the `-discrete-` ids."""

    learning_rate: float = 5e-4
    """Adam's step at the start; it falls linearly"""
    final_learning_rate: float = 1e-4
    """Adam's step at the end"""
    buffer_mb: int = 200
    """size of the replay buffer in megabytes"""
    learning_starts: int = 2_000
    """random rounds before learning begins"""
    batch_size: int = 128
    """rounds per minibatch"""
    gradient_steps: int = 2
    """minibatches per step of all environments"""
    gamma: float = 0.99
    """discount per round"""
    target_update_steps: int = 2_000
    """rounds between two updates of the target network"""
    initial_exploration: float = 0.3
    """probability of a random action at the start; one entry of the menu ends the run, so not more"""
    exploration_share: float = 0.4
    """share of the training over which random actions fade out"""
    final_exploration: float = 0.05
    """probability of a random action after that"""


@dataclass(frozen=True)
class SACSettings:
    """SAC (Haarnoja et al. 2018) over the scores of the `-scores-` ids."""

    learning_rate: float = 5e-4
    """Adam's step at the start; it falls linearly"""
    final_learning_rate: float = 1e-4
    """Adam's step at the end"""
    buffer_mb: int = 200
    """size of the replay buffer in megabytes"""
    learning_starts: int = 2_000
    """random rounds before learning begins"""
    batch_size: int = 128
    """rounds per minibatch"""
    gradient_steps: int = 1
    """minibatches per step of all environments"""
    gamma: float = 0.99
    """discount per round"""
    tau: float = 0.01
    """speed of the target networks"""


LearnerSettings: TypeAlias = PPOSettings | A2CSettings | DQNSettings | SACSettings
"""Settings of any learning algorithm."""


@dataclass(frozen=True)
class RunSettings:
    """Settings of one learning run; everything in it is JSON-able and stands in `config.json`."""

    env: str = "frugalfl/Volunteers-v0"
    algo: str = "ppo"
    timesteps: int = 400_000
    num_envs: int = 32
    seed: int = 0
    device: str = "cpu"
    warm_start: str = NO_WARM_START
    warm_start_rounds: int = 20_000
    segment_steps: int = 16_384
    validate_every: int = 3
    val_episodes: int = 128
    reward_scale: float = 10.0
    world: Mapping[str, object] = field(default_factory=dict)
    """keyword arguments of the environment: `scenario` and changes of its fields"""
    policy: PolicySettings = field(default_factory=PolicySettings)
    ppo: PPOSettings = field(default_factory=PPOSettings)
    a2c: A2CSettings = field(default_factory=A2CSettings)
    dqn: DQNSettings = field(default_factory=DQNSettings)
    sac: SACSettings = field(default_factory=SACSettings)

    def check(self) -> RunSettings:
        """Return the settings if they are in range, else raise ValueError naming the field."""
        if self.algo not in ALGORITHMS:
            raise ValueError(f"algo: {self.algo!r}, expected one of {', '.join(ALGORITHMS)}")
        for name in (
            "timesteps",
            "num_envs",
            "segment_steps",
            "validate_every",
            "val_episodes",
            "warm_start_rounds",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)}, expected at least 1")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed: {self.seed}, expected 0 <= seed < 2**32")
        if not self.reward_scale > 0:
            raise ValueError(f"reward_scale: {self.reward_scale}, expected a positive number")
        for part in ("policy", "ppo", "a2c", "dqn", "sac"):
            _check_numbers(part, getattr(self, part))
        return self

    @property
    def label(self) -> str:
        """What tables call the learned scheduler."""
        return self.algo if self.algo in TUNED else f"{self.algo}-untuned"

    @property
    def learner(self) -> LearnerSettings:
        """The settings of the chosen algorithm."""
        parts: dict[str, LearnerSettings] = {
            "ppo": self.ppo,
            "maskable-ppo": self.ppo,
            "a2c": self.a2c,
            "dqn": self.dqn,
            "sac": self.sac,
        }
        return parts[self.algo]

    def to_json(self) -> dict[str, object]:
        """A mapping of plain values."""
        return {**asdict(self), "world": dict(self.world)}

    @classmethod
    def from_json(cls, document: Mapping[str, object]) -> RunSettings:
        """The inverse of `to_json`; ValueError naming a field that is unknown or of another type."""
        return _read(cls(), document, "settings").check()


_AT_LEAST_ONE = frozenset(
    {"hidden", "frames", "rollout_steps", "batch_size", "epochs", "buffer_mb", "gradient_steps"}
)
_MAY_BE_ZERO = frozenset({"entropy", "learning_starts", "initial_exploration", "final_exploration"})
_SHARES = frozenset(
    {
        "gamma",
        "gae_lambda",
        "initial_share",
        "exploration_share",
        "initial_exploration",
        "final_exploration",
        "tau",
    }
)


def _check_numbers(part: str, values: PolicySettings | LearnerSettings) -> None:
    """Every number of the algorithms' settings is positive, counts are at least 1 and shares at most 1."""
    for item in fields(values):
        value, name = getattr(values, item.name), item.name
        label = f"{part}.{name.replace('_', '-')}"
        if isinstance(value, str | bool):
            continue
        if not math.isfinite(value) or value < 0 or (value == 0 and name not in _MAY_BE_ZERO):
            low = "at least 1" if name in _AT_LEAST_ONE else "a positive number"
            raise ValueError(f"{label}: {value}, expected {low}")
        if name in _SHARES and value > 1:
            raise ValueError(f"{label}: {value}, expected at most 1")


def _read(default: Record, document: object, label: str) -> Record:
    """A copy of a settings dataclass with the document's values, checked for names and types."""
    if not isinstance(document, Mapping):
        raise ValueError(f"{label}: {document!r}, expected a mapping")
    known = {item.name for item in fields(default)}
    odd = sorted(set(document) - known)
    if odd:
        raise ValueError(f"{label}: unknown field {odd[0]!r}")
    values: dict[str, object] = {}
    for name in known & set(document):  # older runs lack newer fields, whose defaults change nothing
        standard, given = getattr(default, name), document[name]
        if is_dataclass(standard) and not isinstance(standard, type):
            given = _read(standard, given, f"{label}.{name}")
        elif isinstance(standard, float) and isinstance(given, int):
            given = float(given)
        elif not isinstance(given, Mapping if isinstance(standard, Mapping) else type(standard)):
            raise ValueError(f"{label}.{name}: {given!r}, expected {type(standard).__name__}")
        values[name] = given
    return replace(default, **values)
