"""Checks of worlds and environments: the battery that the package's own pass, for everybody's.

One file, though a long one, as each battery of the package is.

A scenario of one's own, a world of one's own, and an id of one's own:

    from frugalfl.envs.testing import check_environment, check_world

    def test_my_scenario():
        check_world("my_scenario.yaml")

    def test_my_world():
        check_world(lambda num_envs: MyWorld(num_envs))

    def test_my_id():
        check_environment("my_package/Factory-v0")
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils.env_checker import check_env

from ..common.arrays import AnyArray, Bools, Ints
from ..common.units import BYTES_PER_GB, GRAMS_PER_KG, JOULES_PER_KWH, SECONDS_PER_HOUR
from .adapters import FederatedEnv
from .contract import STOP_S, RoundPlan, SimulatedWorld, Situation, StepResult
from .mixture import make_world
from .scenario import ScenarioSource, load_scenario

__all__ = ["check_environment", "check_world"]

_SEEDS = np.array([11, 5, 923], dtype=np.int64)
_SHARED = ("forecast_leads_s", "carbon_leads_s")
"""Arrays that all environments have in common."""

MakeWorld = Callable[[int], SimulatedWorld]
Arrays = dict[str, AnyArray]


@dataclass(frozen=True)
class _Moment:
    """What a world said before and after one decision, as arrays by name."""

    situation: Arrays
    result: Arrays
    totals: Arrays
    parameters: AnyArray


def check_world(source: ScenarioSource | MakeWorld, decisions: int = 6) -> None:
    """Play in a world, and see that it keeps what `SimulatedWorld` promises.

    Checked: the same seeds give the same episodes; a row of a batch is what it is alone; nobody but the
    clairvoyant is shown the future, and looking changes nothing; what is returned is fresh, so that writing
    into it harms nobody; only available clients are invited, and each of them completes, is lost or is
    cancelled; only training counts as a round; who completes has fetched its set-up; costs add up to the
    totals, and the terms to the reward; a bad plan is refused and changes nothing; a stopped episode is
    frozen while the others go on; a reset begins the rows that it names, and no other.

    Args:
        source: a scenario as `load_scenario` takes it, or a function that makes a world of so many
            environments.
        decisions: per episode.

    Raises:
        AssertionError: one line: what is not kept.
    """
    make = source if callable(source) else _maker(source)
    world = _begin(make, _SEEDS)
    _check_shape(world)
    played = _play(world, decisions)
    _compare(played, _play(_begin(make, _SEEDS), decisions), "the same seeds: the episodes differ")
    poisoned = _play(_begin(make, _SEEDS), decisions, poison=True)
    _compare(played, poisoned, "fresh arrays: writing into what was returned changed the episode")
    for row in range(len(_SEEDS)):
        alone = _play(_begin(make, _SEEDS[row : row + 1]), decisions, first_row=row)
        _compare([_of_row(moment, row) for moment in played], alone, f"batch: row {row} is another one alone")
    _check_costs(_begin(make, _SEEDS), decisions)
    _check_looking(_begin(make, _SEEDS))
    _check_bad_plan(_begin(make, _SEEDS))
    _check_end_and_reset(_begin(make, _SEEDS))


def check_environment(env_id: str, **options: Any) -> None:
    """See that a registered id is a good environment of Gymnasium, with masks that keep what they promise.

    Checked: Gymnasium's own checker; the same seed gives the same episode; observations are in their space
    and fresh; whoever is invited by an action that the masks allow does take part.

    Args:
        env_id: a registered id with a scalar reward.
        **options: keywords of `gym.make`.

    Raises:
        AssertionError: one line: what is not kept.
    """
    check_env(gym.make(env_id, disable_env_checker=True, **options).unwrapped, skip_render_check=True)
    first = _observations(gym.make(env_id, **options), poison=False)
    again = _observations(gym.make(env_id, **options), poison=True)
    _expect(len(first) == len(again), "the same seed: another number of steps")
    for one, other in zip(first, again, strict=True):
        _expect_equal(one, other, "the same seed, observations written into: the episodes differ")
    _check_masks(gym.make(env_id, **options))


def _maker(source: ScenarioSource) -> MakeWorld:
    scenario = load_scenario(source)
    return lambda num_envs: make_world(scenario, num_envs, "val")


def _begin(make: MakeWorld, seeds: Ints) -> SimulatedWorld:
    world = make(len(seeds))
    world.reset(np.ones(len(seeds), dtype=bool), seeds)
    return world


def _play(world: SimulatedWorld, decisions: int, poison: bool = False, first_row: int = 0) -> list[_Moment]:
    """Play some decisions with plans that depend on the row alone."""
    rngs = [np.random.default_rng([7, first_row + row]) for row in range(world.num_envs)]
    played = []
    for _ in range(decisions):
        situation = world.situation()
        plan = _some_plan(situation, rngs)
        seen = _copied(situation)
        result = world.step(plan)
        parameters, totals = world.parameters(), world.totals()
        played.append(_Moment(seen, _copied(result), _copies(totals), parameters.copy()))
        if poison:
            for array in [*dict(_arrays(situation)).values(), *dict(_arrays(result)).values(), parameters]:
                _poison(array)
            for array in totals.values():
                _poison(array)
    return played


def _some_plan(situation: Situation, rngs: list[np.random.Generator]) -> RoundPlan:
    """Random orders, some of them to clients that are not available; now and then a wait."""
    n = situation.num_clients
    steps = np.stack([rng.integers(1, 6, n) * (rng.random(n) < 0.6) for rng in rngs])
    return RoundPlan(
        local_steps=steps.astype(np.int32),
        transfer_samples=np.stack([rng.integers(0, 4, n) for rng in rngs]).astype(np.int32),
        quorum=np.array([rng.choice([0.5, 1.0]) for rng in rngs]),
        wait_s=np.array([rng.choice([0.0, 0.0, 0.0, 1800.0]) for rng in rngs]),
    )


def _check_shape(world: SimulatedWorld) -> None:
    scenario, situation = world.scenario, world.situation()
    shape = (world.num_envs, scenario.clients)
    _expect(world.num_envs == len(_SEEDS), f"num_envs: {world.num_envs}, expected {len(_SEEDS)}")
    _expect(len(world.zone_names) == scenario.zones, f"zone_names: expected {scenario.zones} names")
    found = situation.clients.available.shape
    _expect(found == shape, f"situation: clients of shape {found}, expected {shape}")
    zone = situation.clients.zone
    _expect(bool(((zone >= 0) & (zone < scenario.zones)).all()), "situation: a zone that does not exist")
    participation = world.participation.shape
    _expect(participation == shape, f"participation: shape {participation}, expected {shape}")
    served = world.client_test_accuracy().shape
    _expect(served == shape, f"client_test_accuracy: shape {served}, expected {shape}")
    accuracy = world.test_scores()[0]
    _expect(np.array_equal(accuracy, world.initial_test_accuracy), "initial_test_accuracy: not the score now")


def _check_costs(world: SimulatedWorld, decisions: int) -> None:
    rngs = [np.random.default_rng(row) for row in range(world.num_envs)]
    spent = {name: np.zeros(world.num_envs) for name in ("hours", "gigabytes", "kilowatt_hours", "kilograms")}
    for _ in range(decisions):
        situation = world.situation()
        plan = _some_plan(situation, rngs)
        result = world.step(plan)
        outcome, asked = result.outcome, plan.invited & result.active[:, None]
        allowed = asked & situation.clients.available
        _expect(
            not (outcome.invited & ~allowed).any(), "invited: somebody who was not available, or not asked"
        )
        groups = outcome.completed.astype(int) + outcome.lost + outcome.cancelled
        _expect(bool((groups <= 1).all()), "outcome: a client completed, was lost and was cancelled at once")
        counted = world.situation().run.round_index - situation.run.round_index
        _expect_equal(counted, 1 * (plan.is_round & result.active), "round_index: counts what is no round")
        fetched = outcome.down_bytes >= 0.999 * situation.clients.setup_bytes
        at_once = outcome.completed & ~situation.clients.busy
        _expect(bool(fetched[at_once].all()), "setup_bytes: somebody completed who had not fetched them")
        _expect_equal(result.reward, result.terms.sum(axis=1), "reward: not the sum of its terms")
        _expect(bool((result.terms[:, 1:] <= 0).all()), "terms: a cost that is positive")
        spent["hours"] += outcome.duration_s / SECONDS_PER_HOUR
        spent["gigabytes"] += (outcome.down_bytes + outcome.up_bytes).sum(axis=1) / BYTES_PER_GB
        spent["kilowatt_hours"] += outcome.energy_j.sum(axis=1) / JOULES_PER_KWH
        spent["kilograms"] += outcome.emissions_g.sum(axis=1) / GRAMS_PER_KG
    totals = world.totals()
    for name, sums in spent.items():
        _expect(np.allclose(totals[name], sums), f"totals: {name}: not the sum over clients and steps")


def _check_looking(world: SimulatedWorld) -> None:
    shown = _copied(world.situation())
    _expect(world.situation().future is None, "situation: the future is shown to everybody")
    clairvoyant = world.situation(clairvoyant=True)
    _expect(clairvoyant.future is not None, "situation: no future for clairvoyant schedulers")
    observable = {
        name: array for name, array in _copied(clairvoyant).items() if not name.startswith("future.")
    }
    _expect_equal(shown, observable, "situation: clairvoyant, it is another one")
    _expect_equal(shown, _copied(world.situation()), "situation: looking at it changed it")


def _check_bad_plan(world: SimulatedWorld) -> None:
    before, totals = _copied(world.situation()), _copies(world.totals())
    plan = _some_plan(world.situation(), [np.random.default_rng(0)] * world.num_envs)
    plan.quorum[-1] = 2.0
    try:
        world.step(plan)
    except ValueError as error:
        _expect("\n" not in str(error), "a bad plan: the message has more than one line")
    else:
        raise AssertionError("a bad plan: quorum 2 was accepted, expected a ValueError")
    _expect_equal(before, _copied(world.situation()), "a bad plan: it changed the situation")
    _expect_equal(totals, _copies(world.totals()), "a bad plan: it was charged")


def _check_end_and_reset(world: SimulatedWorld) -> None:
    """Row 0 is stopped and frozen; then row 1 is begun anew and the others stay as they are."""
    plan = _some_plan(world.situation(), [np.random.default_rng(row) for row in range(world.num_envs)])
    plan.wait_s[:] = 0.0
    plan.wait_s[0] = STOP_S
    result = world.step(plan)
    _expect(bool(result.terminated[0]), "stop: the episode did not terminate")
    totals, parameters = _copies(world.totals()), world.parameters()
    result = world.step(plan)
    _expect(not result.active[0], "an ended episode: still active")
    _expect(result.reward[0] == 0 and not result.outcome.invited[0].any(), "an ended episode: it went on")
    for name, values in world.totals().items():
        _expect_equal(values[0], totals[name][0], f"an ended episode: {name} changed")
    _expect_equal(world.parameters()[0], parameters[0], "an ended episode: its model changed")
    before = _copied(world.situation())
    envs: Bools = np.arange(world.num_envs) == 1
    world.reset(envs, _SEEDS)
    after = _copied(world.situation())
    _expect(after["run.round_index"][1] == 0 and after["run.hours"][1] == 0, "reset: it begins with a past")
    for row in (0, 2):
        _expect_equal(_rows(before, row), _rows(after, row), f"reset: of row 1, it changed row {row}")


def _observations(env: gym.Env[object, object], poison: bool, steps: int = 8) -> list[AnyArray | Arrays]:
    """Copies of what was seen and earned under actions drawn from the space."""
    observation, _ = env.reset(seed=3)
    env.action_space.seed(3)
    seen: list[AnyArray | Arrays] = []
    for _ in range(steps):
        _expect(env.observation_space.contains(observation), "observation: outside its space")
        parts = observation if isinstance(observation, dict) else {"observation": np.asarray(observation)}
        seen.append(_copies(parts))
        if poison:
            for part in parts.values():
                _poison(part)
        observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        seen.append(np.array([float(reward), terminated, truncated]))
        if terminated or truncated:
            break
    return seen


def _check_masks(env: gym.Env[object, object], steps: int = 12) -> None:
    """Whoever is invited by an action that the masks allow does take part."""
    inner, space = env.unwrapped, env.action_space
    if not isinstance(inner, FederatedEnv) or not isinstance(space, gym.spaces.MultiDiscrete):
        return
    env.reset(seed=4)
    space.seed(4)
    for _ in range(steps):
        mask, choices = np.asarray(env.get_wrapper_attr("action_masks")()), int(space.nvec.sum())
        _expect(mask.shape == (choices,), f"action_masks: shape {mask.shape}, expected ({choices},)")
        parts = np.split(mask, np.cumsum(space.nvec)[:-1])
        _expect(all(part.any() for part in parts), "action_masks: a dimension without any choice")
        action = space.sample(mask=tuple(part.astype(np.int8) for part in parts))
        view = inner.agent_view
        asked = int(view.action_mode.plan(action[None], view.situation).invited.sum())
        _, _, terminated, truncated, info = env.step(action)
        _expect(int(info["invited"]) == asked, "action_masks: somebody who is allowed cannot be invited")
        if terminated or truncated:
            env.reset()


def _compare(played: list[_Moment], other: list[_Moment], what: str) -> None:
    for decision, (one, two) in enumerate(zip(played, other, strict=True)):
        for part in fields(_Moment):
            mine, theirs = getattr(one, part.name), getattr(two, part.name)
            _expect_equal(mine, theirs, f"{what}, at decision {decision}, in {part.name}")


def _of_row(moment: _Moment, row: int) -> _Moment:
    """One environment's part of a moment, as a world of one says it."""
    return _Moment(
        _rows(moment.situation, row),
        _rows(moment.result, row),
        _rows(moment.totals, row),
        moment.parameters[row : row + 1],
    )


def _rows(arrays: Arrays, row: int) -> Arrays:
    return {
        name: array if array.ndim == 0 or name.rpartition(".")[2] in _SHARED else array[row : row + 1]
        for name, array in arrays.items()
    }


def _arrays(record: object, prefix: str = "") -> Iterator[tuple[str, AnyArray]]:
    """Every array of a record and its parts, by name."""
    if not is_dataclass(record):
        return
    for field in fields(record):
        value = getattr(record, field.name)
        if is_dataclass(value):
            yield from _arrays(value, f"{prefix}{field.name}.")
        elif value is not None:
            yield f"{prefix}{field.name}", np.asarray(value)


def _copied(record: Situation | StepResult) -> Arrays:
    return {name: array.copy() for name, array in _arrays(record)}


def _copies(arrays: Arrays) -> Arrays:
    return {name: np.array(array) for name, array in arrays.items()}


def _poison(array: AnyArray) -> None:
    """Write nonsense into an array, if it may be written into."""
    if array.flags.writeable and array.ndim:
        array[...] = 1 if array.dtype.kind == "b" else -77


def _expect(kept: bool | np.bool_, what: str) -> None:
    if not kept:
        raise AssertionError(what)


def _expect_equal(one: AnyArray | Arrays, other: AnyArray | Arrays, what: str) -> None:
    """Equal to the last bit, nan like nan."""
    if isinstance(one, dict) and isinstance(other, dict):
        _expect(one.keys() == other.keys(), f"{what}: {sorted(one.keys() ^ other.keys())}")
        for name in one:
            _expect_equal(one[name], other[name], f"{what}: {name}")
        return
    _expect(
        np.array_equal(np.asarray(one), np.asarray(other), equal_nan=np.asarray(one).dtype.kind == "f"), what
    )
