"""Requests as a Poisson process: rate x profile of the local day x bursts x popularity of the source."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import numpy as np
from pydantic import Field, field_validator

from ...common.arrays import Floats, Ints
from ...common.ranges import Drawn, drawn
from ...common.registry import Registry
from ...common.spelling import suggest
from ...common.splits import Split
from .episode import BIN_S, ArrivalEpisode, ArrivalModel, check_size, counted, num_bins
from .profiles import HOURS_OF_DAY, HOURS_OF_WEEK, PROFILES, normalised, profile_of_bins

ARRIVALS: Registry[ArrivalModel] = Registry("arrivals", ArrivalModel)
"""Models of request arrivals by name, recorded files ("file") among them."""

_Rate = Annotated[float, Field(gt=0)]
_Shape = Annotated[float, Field(ge=0, allow_inf_nan=True)]
_Exponent = Annotated[float, Field(ge=0, le=10)]
_Factor = Annotated[float, Field(ge=0)]
_ByHour: TypeAlias = Annotated[tuple[_Factor, ...], Field(min_length=HOURS_OF_DAY, max_length=HOURS_OF_WEEK)]


@ARRIVALS.register("poisson")
class PoissonArrivals(Drawn):
    """Poisson(per_hour x profile(local hour) x Gamma(burst) / burst x Zipf(rank)), minute by minute.

    The Gamma factor has mean 1 and is drawn anew for each source every `burst_s`, so that counts of a minute
    with mean m have the index of dispersion 1 + m / burst. Ranks are dealt at random; a source of rank r has
    a rate in proportion to r^-zipf, and the mean over the sources is `per_hour` whatever the exponent.

    Attributes:
        per_hour: requests per hour of a source, its mean over the day and over the sources; or a range.
        profile: "flat", "local-day" (1 + 0.6 cos(2 pi (h - 15) / 24), an assumption), or the rates of 24
            local hours, or of 168 from Monday on; only their proportions count.
        burst: shape of the Gamma factor, or a range; 0 or infinity for none.
        burst_s: how long one Gamma factor holds.
        zipf: exponent of the sources' popularity, or a range; 0: all are alike.
        rerank_h: after how many hours ranks are dealt anew; never if missing.
    """

    per_hour: _Rate | tuple[_Rate, _Rate] = 24.0
    profile: str | _ByHour = "local-day"
    burst: _Shape | tuple[_Shape, _Shape] = 4.0
    burst_s: Annotated[float, Field(ge=BIN_S)] = 600.0
    zipf: _Exponent | tuple[_Exponent, _Exponent] = 0.0
    rerank_h: Annotated[float, Field(gt=0)] | None = None

    @field_validator("profile")
    @classmethod
    def _known_profile(cls, profile: str | tuple[float, ...]) -> str | tuple[float, ...]:
        if isinstance(profile, str):
            if profile not in PROFILES:
                raise ValueError(f"profile: {profile!r} is unknown; {suggest(profile, PROFILES)}")
        elif len(profile) not in (HOURS_OF_DAY, HOURS_OF_WEEK):
            raise ValueError(f"profile: {len(profile)} hours, expected 24 or 168")
        elif not any(profile):
            raise ValueError("profile: nothing but zeros, expected an hour in which requests come")
        return profile

    def validate_for(self, num_sources: int, horizon_s: float) -> None:
        """Any number of sources and any horizon will do whose counts fit into memory."""
        check_size(num_sources, horizon_s)

    def draw(
        self,
        rng_seed: int,
        num_sources: int,
        start_utc_s: float,
        utc_offset_h: Floats,
        horizon_s: float,
        split: Split = "train",
        rank_group: int | None = None,
    ) -> ArrivalEpisode:
        """One episode; see `ArrivalModel.draw`."""
        check_size(num_sources, horizon_s)
        rng = np.random.default_rng(rng_seed)
        bins = num_bins(horizon_s)
        per_bin = drawn(self.per_hour, rng) * BIN_S / 3600.0
        shape, exponent = drawn(self.burst, rng), drawn(self.zipf, rng)
        named = PROFILES[self.profile] if isinstance(self.profile, str) else self.profile
        usual = per_bin * profile_of_bins(normalised(named), start_utc_s, utc_offset_h, bins)
        rate = usual.copy()
        if exponent > 0.0:
            rate *= self._popularity(exponent, num_sources, bins, rank_group, rng)
        if 0.0 < shape < np.inf:
            blocks = _blocks(bins, self.burst_s)
            rate *= (rng.standard_gamma(shape, (num_sources, int(blocks[-1]) + 1)) / shape)[:, blocks]
        return ArrivalEpisode(counted(rng.poisson(rate)), usual.astype(np.float32))

    def _popularity(
        self, exponent: float, num_sources: int, bins: int, rank_group: int | None, rng: np.random.Generator
    ) -> Floats:
        """Factors `[N, B]` of mean 1 over the sources of a group."""
        size = num_sources if rank_group is None else rank_group
        if size < 1 or num_sources % size:
            raise ValueError(f"rank_group: {size} of {num_sources} sources, expected groups of one size")
        weight = np.arange(1, size + 1) ** -exponent
        weight /= weight.mean()
        periods = np.zeros(1, dtype=np.int64)
        if self.rerank_h is not None:
            periods = _blocks(bins, 3600.0 * self.rerank_h)
        deals = (int(periods[-1]) + 1, num_sources // size, size)
        ranks = rng.permuted(np.broadcast_to(np.arange(size), deals), axis=2)
        by_period = weight[ranks].reshape(deals[0], num_sources).T
        return np.asarray(by_period[:, periods])


def _blocks(bins: int, block_s: float) -> Ints:
    """The block `[B]` of so many seconds in which each minute begins."""
    return np.asarray(np.floor(np.arange(bins) * (BIN_S / block_s) + 1e-9).astype(np.int64))
