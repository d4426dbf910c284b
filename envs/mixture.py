"""Mixtures: worlds in which every episode is of another kind, for schedulers that are to serve everybody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, cast

import numpy as np

from ..common.arrays import AnyArray, Bools, Floats, Floats32, Ints
from ..common.splits import Split
from .contract import (
    Asked,
    AskFacts,
    ClientFacts,
    Future,
    RoundOutcome,
    RoundPlan,
    Served,
    Situation,
    StepResult,
    StreamFacts,
)
from .round import ClientScores
from .scenario import Scenario, kinds_of, shares_of
from .world import FederatedWorld

Record = TypeVar("Record")

_STREAM = 0x4B494E44
"""Keeps the draw of the kind apart from what the seed decides within it."""


class MixtureWorld:
    """E independent worlds, each episode of a kind that is drawn from its seed; a `SimulatedWorld`.

    Behind it stands a `FederatedWorld` for every kind, in whose row i the episode of row i is played if it is
    of that kind; the row is frozen in all others. An episode is thus exactly the one that its kind's own
    scenario gives for the same seed. Where a kind has fewer clients than the mixture, the last ones stand for
    nobody: they are never available, hold nothing and weigh nothing.

    Args:
        scenario: one with a `mixture`, see `kinds_of`.
        num_envs: E.
        split: which disjoint part of the populations and trace windows to draw from.

    Attributes:
        kind: int64 `[E]`, of each episode, as an index of `kinds_of`; for evaluators, never for agents.
    """

    def __init__(self, scenario: Scenario, num_envs: int = 1, split: Split = "train"):
        self.scenario = scenario
        self.num_envs = num_envs
        self.worlds = tuple(FederatedWorld(kind, num_envs, split) for kind in kinds_of(scenario))
        self._shares = np.array(shares_of(scenario))
        self.kind = np.zeros(num_envs, dtype=np.int64)
        self._begun = False

    @property
    def zone_names(self) -> tuple[str, ...]:
        """Zones by number: every kind has its own."""
        return tuple(f"zone {number + 1}" for number in range(self.scenario.zones))

    @property
    def available(self) -> Bools:
        """Bool `[E, N]`, whose session runs, at work or not."""
        return self._of(lambda world: self._wide(world.available))

    @property
    def participation(self) -> Ints:
        """Int64 `[E, N]`, updates that arrived so far."""
        return self._of(lambda world: self._wide(world.participation))

    @property
    def malicious(self) -> Bools:
        """Bool `[E, N]`, who lies in the running episodes; for evaluators, never for agents."""
        return self._of(lambda world: self._wide(world.malicious))

    @property
    def initial_test_accuracy(self) -> Floats:
        """`[E]`, before the first round."""
        return self._of(lambda world: world.initial_test_accuracy.copy())

    def reset(self, envs: Bools, seeds: Ints) -> None:
        """Begin new episodes in the rows of `envs`, each drawn from its own seed and nothing else."""
        if not self._begun:  # in the rows of other kinds as well, so that nothing in them is undefined
            for world in self.worlds:
                world.reset(np.ones(self.num_envs, dtype=bool), seeds)
            self._begun = True
        for row in np.flatnonzero(envs):
            draw = np.random.default_rng([int(seeds[row]), _STREAM]).random()
            self.kind[row] = np.searchsorted(np.cumsum(self._shares)[:-1], draw, side="right")
        for number, world in enumerate(self.worlds):
            mine = self.kind == number
            world.cut_short(~mine)
            if (envs & mine).any():
                world.reset(envs & mine, seeds)

    def step(self, plan: RoundPlan) -> StepResult:
        """Carry out one plan, see `FederatedWorld.step`.

        Raises:
            ValueError: if the plan's shapes or values are out of range; the worlds are then as before.
        """
        levels = self.scenario.levels
        plan.validate(
            self.num_envs,
            self.scenario.clients,
            levels.server_step,
            levels.upload_bits,
            self.scenario.refresh_levels,
            levels.ask_below,
        )
        return self._of(
            lambda world: _padded(world.step(_narrowed(plan, world.scenario.clients)), self.scenario.clients)
        )

    def cut_short(self, envs: Bools) -> None:
        """End the running episodes in the rows of `envs`, as a limit of steps from outside does."""
        for world in self.worlds:
            world.cut_short(envs)

    def situation(self, clairvoyant: bool = False) -> Situation:
        """What a coordinator knows now; with the true future too if `clairvoyant`."""
        return self._of(lambda world: _padded(world.situation(clairvoyant), self.scenario.clients))

    def totals(self) -> dict[str, Floats]:
        """What every episode came to so far, by name, each `[E]`."""
        return self._of(lambda world: world.totals())

    def test_scores(self) -> tuple[Floats, Floats]:
        """Accuracy and loss on the held-out test set, each `[E]`; for evaluators, never for agents."""
        return self._of(lambda world: world.test_scores())

    def pooled_accuracy(self) -> Floats:
        """`[E]`, accuracy on validation and training rows together; for searches in hindsight only."""
        return self._of(lambda world: world.pooled_accuracy())

    def client_test_accuracy(self) -> Floats:
        """`[E, N]`, how well the global models serve each client; for evaluators, never for agents."""
        return self._of(lambda world: self._wide(world.client_test_accuracy(), np.nan))

    def client_scores(self) -> ClientScores:
        """How well every client is served in the end, see `FederatedWorld.client_scores`."""
        return self._of(lambda world: _padded(world.client_scores(), self.scenario.clients))

    def parameters(self) -> Floats32:
        """Float32 `[E, P]`, the global models; zeros behind those that are smaller than the largest."""
        found = [world.parameters() for world in self.worlds]
        largest = max(models.shape[1] for models in found)
        padded = [np.pad(models, ((0, 0), (0, largest - models.shape[1]))) for models in found]
        return cast("Floats32", _chosen(padded, self.kind))

    def _wide(self, values: AnyArray, nobody: float = 0) -> Any:
        """`[E, N]` of the mixture from that of a kind."""
        return _wide(values, self.scenario.clients, nobody)

    def _of(self, ask: Callable[[FederatedWorld], Record]) -> Record:
        """What every row's own world answers; only worlds that have a row are asked."""
        present = np.unique(self.kind)
        answers = [ask(self.worlds[number]) for number in present]
        return cast("Record", _chosen(answers, np.searchsorted(present, self.kind)))


def make_world(
    scenario: Scenario, num_envs: int = 1, split: Split = "train"
) -> FederatedWorld | MixtureWorld:
    """The simulated worlds of a scenario, of one kind or of several; arguments as of `FederatedWorld`."""
    return (MixtureWorld if scenario.mixture else FederatedWorld)(scenario, num_envs, split)


_CYCLED = frozenset(
    {
        "zone",
        "step_s",
        "down_bytes_per_s",
        "up_bytes_per_s",
        "compute_watts",
        "network_j_per_byte",
        "setup_bytes",
    }
)
"""Fields in which nobody looks like one of the clients, so that means and medians stay what they are."""
_NOBODY = {
    "announced_left_s": np.inf,
    "last_loss": np.nan,
    "last_norm": np.nan,
    "probed_loss": np.nan,
    "reported_loss": np.nan,
    "update_norm": np.nan,
    "right_share": np.nan,
}
"""What nobody has in the fields that are neither cycled nor 0."""
_PER_CLIENT: dict[type, tuple[str, ...]] = {
    ClientFacts: tuple(field.name for field in fields(ClientFacts) if field.name != "forecast_leads_s"),
    RoundOutcome: tuple(
        field.name
        for field in fields(RoundOutcome)
        if field.name not in ("repairs", "duration_s", "accuracy", "loss", "diverged", "served")
    ),
    Future: ("session_left_s", "next_start_s"),
    ClientScores: tuple(field.name for field in fields(ClientScores)),
    StreamFacts: (
        "arrived",
        "requests",
        "memory_rows",
        "memory_age_s",
        "version_lag",
        "labels",
        "right",
        "right_share",
    ),
    AskFacts: ("asked",),
    Served: ("requests", "right", "loss", "labels", "labels_right", "refreshed"),
    Asked: ("count",),
}
"""Fields whose second axis is the clients."""


def _padded(record: Record, clients: int) -> Record:
    """A record of so many clients, the last of them nobody; the record itself if it has as many."""
    changes: dict[str, Any] = {}
    for field in fields(record):  # type: ignore[arg-type]
        value = getattr(record, field.name)
        if is_dataclass(value) and not isinstance(value, type):
            changes[field.name] = _padded(value, clients)
        elif field.name in _PER_CLIENT.get(type(record), ()):
            nobody = None if field.name in _CYCLED else _NOBODY.get(field.name, 0.0)
            changes[field.name] = _wide(value, clients, nobody)
    return replace(record, **changes)  # type: ignore[type-var]


def _wide(values: AnyArray, clients: int, nobody: float | None) -> AnyArray:
    """`[E, clients, ...]` from fewer clients; None: nobody looks like one of them."""
    n = values.shape[1]
    if n == clients:
        return values
    if nobody is None:
        return values[:, np.arange(clients) % n]
    found = np.full((len(values), clients, *values.shape[2:]), nobody, dtype=values.dtype)
    found[:, :n] = values
    return found


def _narrowed(plan: RoundPlan, clients: int) -> RoundPlan:
    """The orders of the first clients."""
    parts: dict[str, Any] = {
        name: None if getattr(plan, name) is None else getattr(plan, name)[:, :clients]
        for name in ("local_steps", "transfer_samples", "weights", "probe_samples")
    }
    return replace(plan, **parts)


def _chosen(answers: list[Any], choice: Ints) -> Any:
    """Row i of each array from `answers[choice[i]]`; records, mappings and tuples entry by entry.

    Arrays that belong to no row (the leads of forecasts) are the same in all answers.
    """
    first = answers[0]
    if len(answers) == 1 or first is None:
        return first
    if is_dataclass(first):
        names = [field.name for field in fields(first)]
        values = {name: _chosen([getattr(each, name) for each in answers], choice) for name in names}
        return type(first)(**values)  # type: ignore[misc]
    if isinstance(first, Mapping):
        return {name: _chosen([each[name] for each in answers], choice) for name in first}
    if isinstance(first, tuple):
        return tuple(_chosen(list(parts), choice) for parts in zip(*answers, strict=True))
    return _rows(answers, choice)


def _rows(answers: list[AnyArray], choice: Ints) -> AnyArray:
    if len({each.shape for each in answers}) > 1:  # of moments of drift some kinds have more than others
        widest = max(each.shape[1] for each in answers)
        after = [((0, 0), (0, widest - each.shape[1])) for each in answers]
        answers = [
            np.pad(each, more, constant_values=np.inf) for each, more in zip(answers, after, strict=True)
        ]
    first = answers[0]
    if len(first) != len(choice) or first.dtype == object:
        return first
    found = first.copy()
    for number, each in enumerate(answers[1:], start=1):
        mine = choice == number
        found[mine] = each[mine]
    return found
