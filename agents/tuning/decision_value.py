"""The value of a decision: the best scheduler found with it free, minus the best found with it frozen.

A world poses a question only where its answer is worth something. Every variant of the linear rule (one
decision held at its best constant, one kind of foresight more or less) has the same search, from the same
start, several times over; the figures come from test episodes that chose nothing.

`python benchmarks/worlds.py --help`
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from ...common.arrays import Floats
from ...common.files import slug
from ...common.splits import Split
from ...envs.scenario import Scenario, load_scenario
from ..evaluation import evaluate
from ..execution import Engine
from ..schedulers.linear import Knowledge
from .evolution import Evolution, evolve

FREE = "free"
_SCORED_ON = 64
"""Validation episodes on which a search's centres are scored."""
_WARM_WIDTH = 0.5
"""The second search starts from what the first one found and looks half as far around it."""
_REPORT_SEED = 104_729
"""Constants are chosen on validation episodes other than those on which the searches are scored."""
_FIGURES = ("net_points", "accuracy", "hours", "gigabytes", "kilograms", "rounds", "stopped")
"""Columns of the evaluations whose means are reported."""
T = TypeVar("T")


@dataclass(frozen=True)
class Variant:
    """A linear rule that is free, or lacks something, or knows more.

    Attributes:
        label: what tables call it.
        freeze: decision held at a constant; empty if none.
        constants: values tried; the best one is searched with.
        knowledge: which future it is shown, see `LinearRule`.
        changes: of the scenario, such as a forecast that is missing.
    """

    label: str
    freeze: str = ""
    constants: tuple[int, ...] = (0,)
    knowledge: Knowledge = "real"
    changes: Mapping[str, object] = field(default_factory=dict)

    def frozen(self, constant: int) -> dict[str, float]:
        """As `Evolution.freeze` takes it."""
        return {self.freeze: float(constant)} if self.freeze else {}


@dataclass(frozen=True)
class Study:
    """How much is spent on the question.

    Attributes:
        scenario: the world.
        seeds: searches of each variant.
        first_rounds: of each free rule's own search.
        rounds: of every variant's search after that, the free one's as well.
        episodes: of the test split, for the report.
        screening: validation episodes on which constants are chosen.
        first_seed: of the searches; the others follow. Together with another report seed it repeats a study
            with searches and episodes that chose nothing, the world itself included.
        report_seed: of the episodes on which constants are chosen and of those reported.
    """

    scenario: Scenario
    seeds: int = 3
    first_rounds: int = 200_000
    rounds: int = 100_000
    episodes: int = 192
    screening: int = 128
    first_seed: int = 0
    report_seed: int = _REPORT_SEED


@dataclass(frozen=True)
class VariantFound:
    """What a variant came to.

    Attributes:
        variant: which one.
        constant: the best one; None where nothing is frozen.
        net_points: `[seeds, episodes]`, of the test split, with the accuracy on rows held out from everybody.
        figures: means over all of them, by name.
        rounds: of search, all seeds together.
    """

    variant: Variant
    constant: int | None
    net_points: Floats
    figures: Mapping[str, float]
    rounds: int


def variants(scenario: Scenario) -> list[Variant]:
    """The free rule, every decision frozen, and knowledge taken away or given."""
    steps = tuple(step for step in scenario.levels.local_steps if step > 0)
    most = min(scenario.clients, max(12, scenario.clients // 2))
    crowd = tuple(m for m in (1, 2, 3, 5, 8, 12, 20, 30, 50) if m <= most)
    found = [
        Variant(FREE),
        Variant("who: random", "who"),
        Variant("how many, quorum: constant", "participants", crowd),
        Variant("local steps: constant", "local_steps", tuple(sorted({*steps, 2, 60}))),
    ]
    if scenario.hub.share > 0:
        rows = scenario.hub.rows_per_client
        amounts = sorted({0, *(round(rows * share) for share in (0.06, 0.12, 0.25, 0.5, 1.0))})
        found.append(Variant("data moved: constant", "transfer_samples", tuple(amounts)))
    if scenario.levels.upload_bits:
        found.append(Variant("bits: constant", "upload_bits", scenario.levels.upload_bits))
    stops: tuple[int, ...] = (2, 3, 4, 6, 8, 11, 15, 20, 28, 40)
    if scenario.arrivals is not None:
        stops = (*stops, 60, 90, scenario.max_rounds)  # a model that is trained for long is served for long
        found.append(Variant("pause: constant", "pause", (0, 1, 2, 3, 4, 6, 8, 16)))
    if len(scenario.refresh_levels) > 1:
        found.append(Variant("refresh: constant", "refresh", scenario.refresh_levels))
    return [
        *found,
        Variant("wait: never", "wait"),
        Variant("stop: constant round", "stop_after_rounds", stops),
        Variant("no foresight of sessions", changes=_blind(scenario)),
        Variant("true ends of sessions", knowledge="ends"),
        Variant("no foresight of carbon", changes={"carbon": _without_forecast(scenario)}),
        Variant("true carbon", knowledge="carbon"),
        Variant("both true", knowledge="both"),
    ]


NESTED = (
    ("true ends of sessions", FREE),
    (FREE, "no foresight of sessions"),
    ("true carbon", FREE),
    (FREE, "no foresight of carbon"),
    ("both true", "true ends of sessions"),
    ("both true", "true carbon"),
)
"""Pairs in which the first knows all that the second knows: where it ends lower, that is search noise."""


def measure(
    study: Study, folder: Path, engine: Engine, chosen: Sequence[Variant] | None = None
) -> list[VariantFound]:
    """Search every variant and play it on test; what the folder's journals hold is not searched again.

    Args:
        study: how much to spend.
        folder: of the searches' journals.
        engine: who searches.
        chosen: the variants; None: all `variants`.

    Raises:
        ValueError: a journal of another study, or a search that crashed twice.
    """
    todo = variants(study.scenario) if chosen is None else list(chosen)
    seeds = range(study.first_seed, study.first_seed + study.seeds)
    free = Variant(FREE)
    first = {str(seed): (study, free, 0, seed, None, study.first_rounds, folder) for seed in seeds}
    starts = _landed(engine, search_variant, first)
    thetas = [starts[str(seed)].theta for seed in seeds]
    screens = {variant.label: (study, variant, thetas) for variant in todo}
    constants = _landed(engine, best_constant, screens)
    cells = {
        f"{variant.label} {seed}": (
            study, variant, constants[variant.label], seed, theta, study.rounds, folder
        )
        for variant in todo
        for seed, theta in zip(seeds, thetas, strict=True)
    }  # fmt: skip
    searched = _landed(engine, search_variant, cells)
    plays = {key: (study, *cells[key][1:3], searched[key].theta) for key in cells}
    played = _landed(engine, play_variant, plays)
    found = []
    for variant in todo:
        keys = [f"{variant.label} {seed}" for seed in seeds]
        rounds = sum(starts[str(seed)].rounds for seed in seeds) + sum(searched[key].rounds for key in keys)
        constant = constants[variant.label] if variant.freeze else None
        found.append(VariantFound(variant, constant, *_joined([played[key] for key in keys]), rounds))
    return found


@dataclass(frozen=True)
class _Searched:
    theta: tuple[float, ...]
    rounds: int


def search_variant(
    study: Study,
    variant: Variant,
    constant: int,
    seed: int,
    start: tuple[float, ...] | None,
    rounds: int,
    folder: Path,
) -> _Searched:
    """One search of one variant, in a process of its own."""
    stage = "first" if start is None else "again"
    evolution = Evolution(
        load_scenario(study.scenario, **variant.changes),
        rounds=rounds,
        seed=seed,
        val_episodes=_SCORED_ON,
        freeze=variant.frozen(constant),
        knowledge=variant.knowledge,
        start=start,
        width=1.0 if start is None else _WARM_WIDTH,
    )
    log = folder / slug(study.scenario.name) / f"{slug(variant.label)}.{stage}.{seed}.json"
    found = evolve(evolution, log)
    return _Searched(found.theta, found.rounds)


def best_constant(study: Study, variant: Variant, thetas: Sequence[tuple[float, ...]]) -> int:
    """The constant with the most net points under the free rules' weights, on validation episodes."""
    if len(variant.constants) == 1:
        return variant.constants[0]
    points = []
    for constant in variant.constants:
        plays = [_play(study, variant, constant, theta, "val", study.screening) for theta in thetas]
        points.append(np.mean([play["val_net_points"].mean() for play in plays]))
    return variant.constants[int(np.argmax(points))]


def play_variant(study: Study, variant: Variant, constant: int, theta: tuple[float, ...]) -> pd.DataFrame:
    """What a variant earns on the test episodes."""
    return _play(study, variant, constant, theta, "test", study.episodes)


def _play(
    study: Study, variant: Variant, constant: int, theta: tuple[float, ...], split: Split, episodes: int
) -> pd.DataFrame:
    """The episodes, as an evaluation has them."""
    scenario = load_scenario(study.scenario, **variant.changes)
    rule = Evolution(scenario, freeze=variant.frozen(constant), knowledge=variant.knowledge).rule(theta)
    players = {variant.label: rule}
    return evaluate(players, scenario, episodes, split, study.report_seed, progress=False).episodes


def _joined(plays: Sequence[pd.DataFrame]) -> tuple[Floats, dict[str, float]]:
    """Net points `[seeds, episodes]`, and the means of all figures."""
    figures = {name: float(np.mean([play[name].mean() for play in plays])) for name in _FIGURES}
    lost = [(play["lost"] / play["invitations"].clip(lower=1)).mean() for play in plays]
    return np.stack([play["net_points"] for play in plays]), figures | {"lost_share": float(np.mean(lost))}


def _landed(engine: Engine, job: Callable[..., T], work: Mapping[str, tuple[object, ...]]) -> dict[str, T]:
    return {landed.key: landed.result() for landed in engine.run(job, work)}


def _blind(scenario: Scenario) -> dict[str, object]:
    """The scenario's changes that leave a coordinator without announced ends and without a forecast."""
    spec = scenario.availability
    settings = dict(spec) if isinstance(spec, Mapping) else {"kind": spec}
    silent = {"availability": {**settings, "forecast": "none", "announced_share": 0.0}}
    try:
        load_scenario(scenario, **silent)
    except ValueError:  # nothing is ever announced by this model
        del silent["availability"]["announced_share"]
    return dict(silent)


def _without_forecast(scenario: Scenario) -> dict[str, object]:
    """The same grids without any forecast."""
    spec = scenario.carbon
    if isinstance(spec, Mapping):
        return {**spec, "forecast": "none"}
    return {"zones": [spec] if isinstance(spec, str) else spec, "forecast": "none"}
