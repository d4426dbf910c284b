"""Every number that a scenario or an option of its plug-ins may hold is finite, and no truth value."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from frugalfl.envs.scenario import Scenario, load_scenario
from frugalfl.fl_core.aggregation import AGGREGATORS, COMPRESSIONS
from frugalfl.fl_core.data import DATASETS, PARTITIONS
from frugalfl.traces.availability import GENERATORS

# Infinity means something here: a wait that ends the run, an end announced from the session's start.
ENDLESS = {("levels", "wait_s"), ("notice_s",)}


def numbers_of(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        for inner in models_in(field.annotation):
            yield from numbers_of(inner, (*path, name))
        if admits(field.annotation, float) or admits(field.annotation, int):
            yield (*path, name)


def models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in get_args(annotation) for found in models_in(part)]


def admits(annotation: Any, kind: type) -> bool:
    return annotation is kind or any(admits(part, kind) for part in get_args(annotation))


PHONES = load_scenario("phones")
SCENARIO_NUMBERS = sorted(set(numbers_of(Scenario)))


def nested(path: tuple[str, ...], value: object) -> dict[str, Any]:
    for name in reversed(path):
        value = {name: value}
    return value  # type: ignore[return-value]


def test_the_walk_finds_the_numbers():
    assert {("clients",), ("preferences", "price_per_kg"), ("workload", "step_s")} <= set(SCENARIO_NUMBERS)
    assert len(SCENARIO_NUMBERS) > 40


@pytest.mark.parametrize("path", SCENARIO_NUMBERS, ids=".".join)
def test_a_scenario_refuses_what_is_no_finite_number(path):
    values = [math.nan, math.inf, -math.inf, True]
    for value in values:
        for shape in (value, [0.5, value]):
            if path in ENDLESS and value == math.inf:
                continue
            with pytest.raises(ValueError) as caught:
                load_scenario(PHONES, **nested(path, shape))
            assert "\n" not in str(caught.value)


def test_a_price_beyond_all_points_is_refused():
    with pytest.raises(
        ValueError, match=r"price_per_gb: 1e\+308, expected less than or equal to 1000000000000"
    ):
        load_scenario("phones", preferences={"price_per_gb": 1e308})


@pytest.mark.parametrize(
    "registry", [AGGREGATORS, COMPRESSIONS, DATASETS, PARTITIONS, GENERATORS], ids=lambda one: one.what
)
def test_options_of_plug_ins_refuse_what_is_no_finite_number(registry):
    seen = 0
    for kind in registry.names():
        options = registry.options(kind)
        for path in () if options is None else sorted(set(numbers_of(options))):
            seen += 1
            for value in (math.nan, math.inf, True):
                if path[-1:] in ENDLESS and value == math.inf:
                    continue
                with pytest.raises(ValueError):
                    options.model_validate(nested(path, value))
    assert seen
