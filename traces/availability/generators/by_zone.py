"""Several kinds of machines in one world: every zone has a model of availability of its own."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field, field_validator, model_validator

from ....common.arrays import Floats, Ints
from ....common.settings import Settings, Spec
from ..episode import AvailabilityEpisode, AvailabilityModel, AvailabilityRequest, Sessions
from ..forecasts import DEFAULT_FORECAST, AvailabilityForecastField
from .base import GENERATORS


@GENERATORS.register("by-zone")
class ByZone(Settings):
    """Zones of different kinds: spot capacity here, lent desktops there.

    Every model of `of` draws its own zones' clients, as if there were no others.

    Attributes:
        of: models of availability, by name or with their settings.
        zones: for each zone the place of its model in `of`, from 0; repeated where there are more zones.
        forecast: what the coordinator's forecast is made of, for all (see `forecasts`).
    """

    of: tuple[Spec, ...] = Field(default=("spot", "volunteers"), min_length=1)
    zones: tuple[Annotated[int, Field(ge=0)], ...] = Field(default=(0, 1), min_length=1)
    forecast: AvailabilityForecastField = DEFAULT_FORECAST

    @field_validator("of")
    @classmethod
    def _known(cls, of: tuple[Spec, ...]) -> tuple[Spec, ...]:
        for spec in of:
            GENERATORS.choose(spec)
        return of

    @model_validator(mode="after")
    def _places(self) -> ByZone:
        if max(self.zones) >= len(self.of):
            raise ValueError(f"zones: {self.zones}, expected numbers below the {len(self.of)} models of `of`")
        self._models: list[AvailabilityModel] = []
        return self

    @property
    def models(self) -> list[AvailabilityModel]:
        """The models of `of`, made once, since some read files."""
        if not self._models:
            self._models.extend(GENERATORS.make(spec) for spec in self.of)
        return self._models

    def sample(self, request: AvailabilityRequest, rng: np.random.Generator) -> AvailabilityEpisode:
        """One episode."""
        kind = np.resize(np.array(self.zones), request.utc_offset_h.size)
        parts = []
        for index, model in enumerate(self.models):
            mine = np.flatnonzero(kind == index)
            rows = np.flatnonzero(np.isin(request.zone, mine))
            if rows.size:
                zone = np.searchsorted(mine, request.zone[rows])
                offset_h = request.utc_offset_h[mine]
                own = AvailabilityRequest(
                    request.start_utc_s, request.horizon_s, zone, offset_h, request.split
                )
                parts.append((rows, model.sample(own, rng)))
        return self._joined(parts, request.zone.size)

    def _joined(self, parts: list[tuple[Ints, AvailabilityEpisode]], n: int) -> AvailabilityEpisode:
        """The draws of several models, each of some of the clients, as one."""
        width = max(part.sessions.start_s.shape[1] for _, part in parts)
        start_s, end_s, said_s = (np.full((n, width), np.inf) for _ in range(3))
        announced = np.zeros((n, width), dtype=bool)
        climatology, relaxation_s, notice_s = np.empty((n, 24), dtype=np.float32), np.empty(n), np.empty(n)
        share = 0.0
        for rows, part in parts:
            sessions, own = part.sessions, part.sessions.start_s.shape[1]
            start_s[rows, :own], end_s[rows, :own] = sessions.start_s, sessions.end_s
            said_s[rows, :own] = _said(part)
            announced[rows, :own] = sessions.announced
            climatology[rows], relaxation_s[rows] = part.climatology, part.relaxation_s
            notice_s[rows] = part.announce_notice_s
            share += part.announced_share * rows.size / n
        return AvailabilityEpisode(
            sessions=Sessions(start_s, end_s, announced),
            climatology=climatology,
            relaxation_s=relaxation_s,
            announce_notice_s=notice_s,
            forecast=self.forecast,
            seed=parts[0][1].seed,
            announced_end_s=said_s,
            announced_share=share,
        )

    def validate_for(self, num_clients: int, horizon_s: float) -> None:
        """Whatever one of the models refuses is refused."""
        for model in self.models:
            model.validate_for(num_clients, horizon_s)


def _said(episode: AvailabilityEpisode) -> Floats:
    """The ends as they are announced, `[N, S]`."""
    return episode.sessions.end_s if episode.announced_end_s is None else episode.announced_end_s
