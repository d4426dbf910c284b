"""Features of an observation of serving: their names, order and meaning, as the documentation has them."""

from __future__ import annotations

from ..serving import ServingScenario

SLOT_TABLE = {
    "available": "1 if its machine's session runs",
    "session_age": "how long the session has lasted, log scale to a week",
    "announced_left": "time to the announced end, 0.5 at one hour; 1 if not announced",
    "forecast": "forecast probability of being available at the last lead",
    "loading": "1 if a model is on its way",
    "loading_left": "until it serves, 0.5 at ten minutes",
    "task": "one column for each task: 1 where the model it holds or loads is for it",
    "rung": "one column for each rung: 1 where the model is of it",
    "busy": "share of its capacity used in the last step",
    "capacity": "answers of the middle rung in a step, 0.5 where as many as are asked on average",
    "emissions": "points of the grams of an answer of the largest rung, 0.5 at one point of a request",
    "carbon_now": "intensity of its grid, 0.5 at 300 g/kWh",
    "carbon_ahead": "best forecast intensity relative to now, negative = cleaner hours come",
    "load_time": "until an ordered model of the largest rung would serve, 0.5 at an hour",
    "own_gain": "points of a step that its model adds to the others, 0.5 at 1 % of what may be had",
    "proposed_task": "one column for each task: 1 where a [proposal](#proposals) is for it",
    "proposed_rung": "one column for each rung: 1 where it is of it",
    "proposed_gain": "points of a step that the proposal adds, 0.5 at 1 % of what may be had",
    "payback": "steps in which that earns the load's price, 0.5 at three; 1 if nothing is proposed",
}
"""Columns of the observation `slots`, in order, and what they mean."""

TASK_TABLE = {
    "rate_fast": "requests of the last step over the mean of all tasks, 0.5 at the mean",
    "rate_slow": "the same of the mean over two hours",
    "zone": "one column for each zone: its share of the requests of two hours",
    "dropped": "share of the last step's requests that nobody answered",
    "queue": "requests that wait, 0.5 where they are as many as arrive in a day's twentieth",
    "oldest": "how near the oldest of them is to its deadline, 1 = it is due",
    "accuracy": "one column for each rung: its accuracy on validation rows",
    "room": "answers that slots have time for over expected requests, 0.5 where they are as many",
    "room_accuracy": "accuracy on validation rows of the models behind that room, its mean",
}
"""Columns of the observation `tasks`, in order, and what they mean."""

SERVER_TABLE = {
    "time_left": "share of the day that is left",
    "utc_sin": "sine of the hour of the day, UTC",
    "utc_cos": "cosine of it",
    "net_points": "points so far per share of the day done, over 100",
    "right": "right answers over answers so far",
    "available_share": "share of the slots that are available",
    "serving_share": "share of the slots that serve",
    "price_per_ms": "points of a request per second, log scale, 0 at one",
    "price_per_gb": "points per GB, log scale, 0 at 0.01",
    "price_per_kg": "points per kg CO2e, log scale, 0 at one",
    "hub_needed": "expected requests without room at a slot over the hub's capacity, 0.5 at all of it",
}
"""Entries of the observation `server`, in order, and what they mean."""


def slot_features(scenario: ServingScenario) -> tuple[str, ...]:
    """A name for every column of `slots`."""
    tasks, rungs = scenario.tasks, len(scenario.models.rungs)
    widths = {"task": tasks, "rung": rungs, "proposed_task": tasks, "proposed_rung": rungs}
    return _spread(SLOT_TABLE, widths)


def task_features(scenario: ServingScenario) -> tuple[str, ...]:
    """A name for every column of `tasks`."""
    return _spread(TASK_TABLE, {"zone": scenario.zones, "accuracy": len(scenario.models.rungs)})


def _spread(table: dict[str, str], widths: dict[str, int]) -> tuple[str, ...]:
    """Names of a table's columns, those of several numbered."""
    names: list[str] = []
    for name in table:
        names += [f"{name}_{number}" for number in range(widths[name])] if name in widths else [name]
    return tuple(names)
