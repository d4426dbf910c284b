"""Home of a trained scheduler: the menu it chooses from and the forecasts it reads, wherever it plays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...common.arrays import AnyArray, Floats
from ...common.settings import parse_settings
from ...envs.agent_view import (
    FURTHER,
    ActionLayout,
    ActionMode,
    LevelsMode,
    ObservationEncoder,
    further_levels,
    layout_for,
    layout_of,
    nearest_level,
)
from ...envs.contract import REFRESHES, RoundPlan, Situation
from ...envs.scenario import Budgets, Forecasting, Levels, Scenario


@dataclass(frozen=True)
class Home:
    """The menu and the leads of forecasts that a trained scheduler takes along into other worlds.

    Its action means the levels of its own menu; its weights read forecasts at leads of their own, and what is
    left of budgets as shares of those they know. Where a world's coordinator forecasts other leads, what lies
    between them is interpolated, from the present to the last one, which is held beyond.

    Attributes:
        levels: its menu.
        forecasting: the leads it reads.
        budgets: whose largest are the unit of what is left.
        moves_data: whether its action says what data are moved; where nothing can be sent, nothing is.
        refresh: its levels of who is sent the new model after a round; none where nobody serves.
    """

    levels: Levels
    forecasting: Forecasting
    budgets: Budgets
    moves_data: bool
    refresh: tuple[int, ...] = ()

    @classmethod
    def of(cls, home: Scenario, first_stop: int = 0) -> Home:
        """Those of a world, in which it could end runs after so many rounds, see `first_stop_of`."""
        levels = home.levels.model_copy(update={"first_stop": first_stop})
        moves_data = layout_of(home).moves_data
        return cls(levels, home.forecasting, home.budgets, moves_data, home.refresh_levels)

    @classmethod
    def from_json(cls, document: Mapping[str, object], where: str) -> Home:
        """The inverse of `to_json`; ValueError of one line, opened by `where`, if it is not one."""
        parts: dict[str, Mapping[str, object]] = {}
        for name in ("levels", "forecasting", "budgets"):
            part = document.get(name)
            if not isinstance(part, Mapping):
                raise ValueError(f"{where}: home: {name}: {part!r}, expected a mapping")
            parts[name] = part
        return cls(
            parse_settings(Levels, parts["levels"], f"{where}: home: levels"),
            parse_settings(Forecasting, parts["forecasting"], f"{where}: home: forecasting"),
            parse_settings(Budgets, parts["budgets"], f"{where}: home: budgets"),
            document.get("moves_data") is True,
            _refresh_levels(document.get("refresh", []), where),
        )

    def to_json(self) -> dict[str, object]:
        """A mapping of plain values; infinite waits as "inf"."""
        return {
            "levels": _plain(self.levels.model_dump()),
            "forecasting": self.forecasting.model_dump(mode="json"),
            "budgets": self.budgets.model_dump(mode="json"),
            "moves_data": self.moves_data,
            **({"refresh": list(self.refresh)} if self.refresh else {}),
        }

    def layout(self, clients: int) -> ActionLayout:
        """The layout of its actions for so many clients."""
        return layout_for(clients, self.levels, self.moves_data, self.refresh)

    def action_mode(self, world: Scenario) -> ActionMode:
        """What turns its actions into plans that a world takes."""
        return _Abroad(self.layout(world.clients), world)

    def encoder(
        self, world: Scenario, columns: Mapping[str, Sequence[str]] | None = None
    ) -> ObservationEncoder:
        """What turns a world's situations, once `read`, into its observations."""
        own = {"levels": self.levels, "forecasting": self.forecasting, "budgets": self.budgets}
        return ObservationEncoder(world.model_copy(update=own), columns)

    def read(self, situation: Situation) -> Situation:
        """The situation with forecasts at its own leads; the same object where they are the world's."""
        clients, zones = situation.clients, situation.zones
        near, far = np.array(self.forecasting.availability_leads_s), np.array(self.forecasting.carbon_leads_s)
        changes: dict[str, AnyArray] = {}
        if not np.array_equal(near, clients.forecast_leads_s):
            now = clients.available.astype(np.float64)
            chances = _at(near, clients.forecast_leads_s, clients.available_forecast, now)
            changes |= {"forecast_leads_s": near, "available_forecast": chances}
        if not np.array_equal(far, zones.carbon_leads_s):
            ahead = _at(far, zones.carbon_leads_s, zones.carbon_forecast, zones.carbon_g_per_kwh)
            changes |= {"carbon_leads_s": far, "carbon_forecast": ahead}
        return situation.changed(**changes) if changes else situation


class _Abroad(LevelsMode):
    """Levels of one's own, as far as a world offers these decisions.

    Args:
        layout: the scheduler's own.
        world: what offers them.
    """

    def __init__(self, layout: ActionLayout, world: Scenario):
        super().__init__(layout)
        self._world = layout_of(world)

    def read(self, actions: AnyArray, situation: Situation) -> RoundPlan:
        """What its own menu says; of what the world does not offer the nearest, or nothing."""
        plan, there = super().read(actions, situation), self._world
        changes: dict[str, AnyArray | None] = {}
        for name in FURTHER:
            said, levels = getattr(plan, name), further_levels(there, name)
            if said is None:
                continue
            offered = name in there.further
            changes[name] = levels[nearest_level(levels.astype(np.float64), said)] if offered else None
        return replace(plan, **changes)  # type: ignore[arg-type]


def _at(wanted_s: Floats, leads_s: Floats, forecast: Floats, now: Floats) -> Floats:
    """A forecast `[E, K, L]` of leads `[L]`, and the present `[E, K]`, at other leads `[M]`: `[E, K, M]`."""
    known_s = np.concatenate([[0.0], leads_s])
    values = np.concatenate([now[..., None], forecast], axis=-1)
    after = np.searchsorted(known_s, wanted_s).clip(1, len(known_s) - 1)
    share = ((wanted_s - known_s[after - 1]) / (known_s[after] - known_s[after - 1])).clip(0.0, 1.0)
    found: Floats = values[..., after - 1] * (1.0 - share) + values[..., after] * share
    return found


def _refresh_levels(found: object, where: str) -> tuple[int, ...]:
    if not isinstance(found, list) or any(level not in range(len(REFRESHES)) for level in found):
        raise ValueError(f"{where}: home: refresh: {found!r}, expected indices of {list(REFRESHES)}")
    return tuple(found)


def _plain(document: Mapping[str, Sequence[float] | float]) -> dict[str, object]:
    return {
        name: [str(each) if each == float("inf") else each for each in values]
        if isinstance(values, Sequence)
        else values
        for name, values in document.items()
    }
